"""The forms of the int8 dot product are exact wherever their proof holds, and no further."""

from __future__ import annotations

import numpy as np
import pytest
from chain_semantics import adversarial_inputs, assert_chains_exact
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.contractions.chains import ALONE, Menu, SortedBlock, sort_blocks
from lpc.compiler.contractions.forms import (
    FORMS,
    OFFSET2,
    OFFSET4,
    PAIRS,
    PAIRS2,
    PAIRS4,
    Form,
    StepOrder,
    chain_offsets,
    verify_order,
)
from lpc.compiler.contractions.packing import natural_orders
from lpc.compiler.dialects.tensors import Array

EXTREMES = (-128, -127, -66, -65, -64, -63, -33, -32, -1, 0, 1, 32, 33, 63, 64, 65, 66, 127)


@st.composite
def blocks(draw: st.DrawFn) -> Array:
    """Weights [channels, steps, 4] that admit many forms, or few."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 12)), 4)
    kind = draw(st.sampled_from(("extreme", "uniform", "normal", "sparse")))
    if kind == "extreme":
        return generator.choice(EXTREMES, shape).astype(np.int8)
    if kind == "uniform":
        low = draw(st.sampled_from((-128, -127)))
        return generator.integers(low, 128, shape).astype(np.int8)
    spread = draw(st.sampled_from((4, 12, 24, 40, 60)))
    values = np.clip(np.rint(generator.normal(0, spread, shape)), -128, 127)
    if kind == "sparse":
        values *= generator.random(shape) < 0.3
    return values.astype(np.int8)


@st.composite
def menus(draw: st.DrawFn) -> Menu:
    second = draw(st.integers(0, len(FORMS) - 1))
    first = draw(st.one_of(st.none(), st.sampled_from(FORMS[:second] or (None,))))
    return Menu(first, FORMS[second])


def sort_one(weights: Array, menu: Menu = ALONE) -> SortedBlock:
    (block,) = sort_blocks(weights[None], weights.shape[1], menu)
    return block


def inputs_of(block: SortedBlock, codes: Array) -> Array:
    """What each step reads of codes [..., steps, 4] in natural order."""
    flat = codes.reshape(*codes.shape[:-2], -1)
    return np.asarray(flat[..., block.order.starts[:, None] + np.arange(4)])


@settings(max_examples=300)
@given(weights=blocks(), menu=menus())
def test_every_chain_is_exact_on_adversarial_inputs(weights: Array, menu: Menu) -> None:
    block = sort_one(weights, menu)
    order = block.order
    assert {f for f, n in zip(FORMS, order.counts, strict=True) if n} <= {menu.first, menu.second}
    assert order.executed == len(order.starts) == block.panel.shape[1]
    assert verify_order(block.panel, order.counts)
    inputs = inputs_of(block, adversarial_inputs(weights))
    assert_chains_exact(block.panel, order.counts, inputs[:, None])
    np.testing.assert_array_equal(
        natural_orders(block.panel, [order], weights.shape[1])[0], weights
    )


@settings(max_examples=150)
@given(weights=blocks(), data=st.data())
def test_whatever_is_verified_is_exact(weights: Array, data: st.DataObject) -> None:
    """Orders that the search did not make: the check alone decides."""
    form = data.draw(st.sampled_from(FORMS))
    chains = weights.shape[1] // form.chain
    panel = weights[:, : chains * form.chain]
    counts = tuple(chains if f is form else 0 for f in FORMS)
    if chains and verify_order(panel, counts):
        assert_chains_exact(panel, counts, adversarial_inputs(panel)[:, None])


@settings(max_examples=100)
@given(weights=blocks(), menus=st.lists(menus(), min_size=2, max_size=3), data=st.data())
def test_blocks_are_proved_together_as_they_are_alone(
    weights: Array, menus: list[Menu], data: st.DataObject
) -> None:
    sorted_blocks = [sort_one(weights, menu) for menu in menus]
    counts = np.array([block.order.counts for block in sorted_blocks])
    panels = [block.panel.copy() for block in sorted_blocks]
    if data.draw(st.booleans()):  # one of them is wrong, perhaps
        panels[-1][:, 0, :2] = data.draw(st.sampled_from((64, 65, 127, -128)))
    joined = np.concatenate(panels, axis=1)
    alone = [verify_order(p, tuple(c)) for p, c in zip(panels, counts, strict=True)]
    assert verify_order(joined, counts) == all(alone)
    offsets = [chain_offsets(p, tuple(c)) for p, c in zip(panels, counts, strict=True)]
    np.testing.assert_array_equal(chain_offsets(joined, counts), np.concatenate(offsets))
    restored = natural_orders(
        np.concatenate([block.panel for block in sorted_blocks], axis=1),
        [block.order for block in sorted_blocks],
        weights.shape[1],
    )
    np.testing.assert_array_equal(restored, np.stack([weights] * len(menus)))


def single(form: Form) -> tuple[int, ...]:
    return tuple(int(f is form) for f in FORMS)


#: The step(s) of one chain at the limit of a form, and one past it: [channels, chain, 4].
AT_THE_LIMIT = [
    (PAIRS, [[[64, 64, 127, 1]]], [[[64, 65, 65, 64]]]),
    (PAIRS, [[[-64, -64, -127, -1]]], [[[-64, -65, -65, -64]]]),
    (PAIRS2, [[[32, 32, 0, 0], [32, 32, 0, 0]]], [[[32, 32, 0, 0], [32, 33, 0, 0]]]),
    (PAIRS2, [[[-32, -32, 0, 0], [-32, -32, 0, 0]]], [[[-32, -32, 0, 0], [-32, -33, 0, 0]]]),
    (PAIRS4, [[[16, 16, -9, 0]] + [[16, 16, 0, 0]] * 3], [[[16, 16, 0, 0]] * 3 + [[17, 16, 0, 0]]]),
    (OFFSET2, [[[64, 64, 0, 0], [127, -2, 0, 0]]], [[[64, 64, 0, 0], [127, -3, 0, 0]]]),
    (OFFSET2, [[[-127, 1, 0, 0], [-127, 2, 0, 0]]], [[[-127, 2, 0, 0], [-127, 2, 0, 0]]]),
    (OFFSET4, [[[32, 32, 0, 0]] * 3 + [[64, -1, 0, 0]]], [[[32, 32, 0, 0]] * 3 + [[64, -2, 0, 0]]]),
]  # fmt: skip


@pytest.mark.parametrize(("form", "within", "beyond"), AT_THE_LIMIT)
def test_bounds_are_tight(form: Form, within: list[int], beyond: list[int]) -> None:
    good, bad = np.array(within, np.int8), np.array(beyond, np.int8)
    menu = Menu(None, form)
    assert sort_one(good, menu).order.counts == single(form)
    assert verify_order(good, single(form))
    assert_chains_exact(good, single(form), adversarial_inputs(good)[:, None])
    assert sort_one(bad, menu).order.counts != single(form)
    assert not verify_order(bad, single(form))
    with pytest.raises(AssertionError):  # the instructions do go wrong there
        assert_chains_exact(bad, single(form), adversarial_inputs(bad)[:, None])


@pytest.mark.parametrize("value", [-128, -127, 127])
def test_what_saturates_in_pairs_is_read_apart(value: int) -> None:
    weights = np.full((1, 2, 4), value, np.int8)
    block = sort_one(weights)
    assert (np.count_nonzero(block.panel.reshape(-1, 2), axis=1) <= 1).all()
    np.testing.assert_array_equal(natural_orders(block.panel, [block.order], 2)[0], weights)


def test_a_count_that_runs_past_the_steps_is_refused() -> None:
    weights = np.ones((2, 4, 4), np.int8)
    assert verify_order(weights, single(PAIRS4))
    assert not verify_order(weights, tuple(2 * count for count in single(PAIRS4)))
    assert not verify_order(weights, tuple(-count for count in single(PAIRS4)))


def test_padding_is_not_executed() -> None:
    order = StepOrder(np.array([4, 0, -1, -1]), single(PAIRS2))
    assert order.executed == 2
    panel = np.arange(16, dtype=np.int8).reshape(1, 4, 4)
    np.testing.assert_array_equal(natural_orders(panel, [order], 2)[0], panel[:, [1, 0]])
