"""The forms of the int8 dot product are exact wherever their proof holds, and no further.

Every chain is evaluated with the meaning of its instructions, saturation and wrapping included, on
the inputs that drive its sums furthest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.instructions import BY_NAME
from lpc.compiler.contractions.forms import (
    CENTRED,
    CENTRED2,
    FORMS,
    PAIRS,
    PAIRS2,
    PAIRS_02,
    PAIRS_03,
    WIDE,
    Form,
    StepOrder,
    apply_pairing,
    sort_steps,
    verify_order,
)
from lpc.compiler.dialects.tensors import Array

EXTREMES = (-128, -127, -66, -65, -64, -63, -33, -32, -1, 0, 1, 32, 33, 63, 64, 65, 66, 127)
MADDUBS = BY_NAME["vpmaddubsw.256"].semantics
MADDWD = BY_NAME["vpmaddwd.256"].semantics
SIGN = BY_NAME["vpsignb.256"].semantics


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


def adversarial_inputs(weights: Array) -> Array:
    """Codes [inputs, steps, 4]: all that a channel's weights make large, and all edges."""
    rows = [np.where(weights > 0, 255, 0), np.where(weights < 0, 255, 0)]
    edges = [np.full((1, *weights.shape[1:]), a) for a in (0, 1, 127, 128, 129, 254, 255)]
    random = np.random.default_rng(0).integers(0, 256, (4, *weights.shape[1:]))
    return np.concatenate([*rows, *edges, random]).astype(np.uint8)


def flat(array: Array, dtype: type[np.generic]) -> Array:
    return np.ascontiguousarray(array, dtype).reshape(-1)


def executed(form: Form, a: Array, w: Array) -> Array:
    """One chain as instructions: codes and weights [..., chain, 4] as they meet; i32 [...]."""
    sums: Array | None = None
    if form is WIDE:
        even, odd = (
            MADDWD(flat(a[..., i::2], np.int16), flat(w[..., i::2], np.int16)) for i in (0, 1)
        )
        return (even + odd).reshape(a.shape[:-2])
    for k in range(form.chain):
        codes, weights = flat(a[..., k, :], np.uint8), flat(w[..., k, :], np.int8)
        if form.centred:
            offset = (codes ^ 0x80).view(np.int8)
            negated = np.subtract(np.int8(0), offset)  # wraps: −128 stays
            weights = SIGN(weights, offset)
            codes = np.maximum(offset, negated).view(np.uint8)
            codes = np.where(offset == -128, np.uint8(128), codes)
        pairs = MADDUBS(codes, weights)
        sums = pairs if sums is None else sums + pairs  # wraps in 16 bits
    assert sums is not None
    assert sums.dtype == np.int16
    return MADDWD(sums, np.ones_like(sums)).reshape(a.shape[:-2])


def exact(form: Form, a: Array, w: Array) -> Array:
    codes = a.astype(np.int64) - (128 if form.centred else 0)
    return np.asarray((codes * w.astype(np.int64)).sum((-1, -2)))


def assert_chains_exact(panel: Array, counts: tuple[int, ...], inputs: Array) -> None:
    """`panel`, `inputs`: in kernel order and pairing."""
    position = 0
    for form, count in zip(FORMS, counts, strict=True):
        for _ in range(count):
            chain = slice(position, position + form.chain)
            a, w = np.broadcast_arrays(inputs[:, None, chain], panel[None, :, chain])
            np.testing.assert_array_equal(executed(form, a, w), exact(form, a, w), form.name)
            position += form.chain
    assert position == panel.shape[1]


@settings(max_examples=150)
@given(weights=blocks())
def test_every_chain_is_exact_on_adversarial_inputs(weights: Array) -> None:
    order = sort_steps(weights)
    assert len(order.counts) == len(FORMS)
    np.testing.assert_array_equal(np.sort(order.steps), np.arange(weights.shape[1]))
    assert sum(n * f.chain for n, f in zip(order.counts, FORMS, strict=True)) == weights.shape[1]
    panel = apply_pairing(weights[:, order.steps], order.counts)
    assert verify_order(panel, order.counts)
    inputs = adversarial_inputs(weights)[:, order.steps]
    assert_chains_exact(panel, order.counts, apply_pairing(inputs, order.counts))
    np.testing.assert_array_equal(
        apply_pairing(panel, order.counts, inverse=True), weights[:, order.steps]
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
        assert_chains_exact(panel, counts, adversarial_inputs(panel))


def single(form: Form) -> tuple[int, ...]:
    return tuple(int(f is form) for f in FORMS)


#: The step(s) of one chain at the limit of a form, and one past it: [channels, chain, 4].
AT_THE_LIMIT = [
    (PAIRS, [[[64, 64, 127, 1]]], [[[64, 65, 65, 64]]]),
    (PAIRS, [[[-64, -64, -127, -1]]], [[[-64, -65, -65, -64]]]),
    (PAIRS2, [[[32, 32, 0, 0], [32, 32, 0, 0]]], [[[32, 32, 0, 0], [32, 33, 0, 0]]]),
    (PAIRS2, [[[-32, -32, 0, 0], [-32, -32, 0, 0]]], [[[-32, -32, 0, 0], [-32, -33, 0, 0]]]),
    (CENTRED, [[[127, 127, 127, 127]]], [[[127, -128, 127, 127]]]),
    (
        CENTRED2,
        [[[-127, -127, -127, -127], [-1, 0, 0, 0]], [[0, 0, 0, 1], [127, 127, 127, 127]]],
        [[[-127, -127, -127, -127], [-1, -1, 0, 0]], [[0, 0, 0, 1], [127, 127, 127, 127]]],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("form", "within", "beyond"), AT_THE_LIMIT)
def test_bounds_are_tight(form: Form, within: list[int], beyond: list[int]) -> None:
    good, bad = np.array(within, np.int8), np.array(beyond, np.int8)
    assert sort_steps(good).counts == single(form)
    assert verify_order(good, single(form))
    assert_chains_exact(good, single(form), adversarial_inputs(good))
    assert sort_steps(bad).counts[FORMS.index(form)] == 0
    assert not verify_order(bad, single(form))
    with pytest.raises(AssertionError):  # the instructions do go wrong there
        assert_chains_exact(bad, single(form), adversarial_inputs(bad))


def test_another_pairing_saves_what_the_natural_one_cannot() -> None:
    for form, step in ((PAIRS_02, [127, 127, 1, 1]), (PAIRS_03, [127, 64, 64, 1])):
        weights = np.array([[step]], np.int8)
        assert sort_steps(weights).counts == single(form)
    # Two channels that disagree on the pairing leave only the centred form.
    both = np.array([[[127, 127, 1, 1]], [[127, 1, 127, 1]], [[127, 1, 1, 127]]], np.int8)
    assert sort_steps(both).counts == single(CENTRED)


def test_wide_takes_what_is_left() -> None:
    weights = np.array([[[-128, -1, -128, -1]]], np.int8)
    assert sort_steps(weights).counts == single(WIDE)
    assert_chains_exact(weights, single(WIDE), adversarial_inputs(weights))


def test_a_count_that_misses_steps_is_refused() -> None:
    weights = np.ones((2, 4, 4), np.int8)
    order = sort_steps(weights)
    assert verify_order(weights, order.counts)
    for change in (-1, 1):
        counts = (order.counts[0], order.counts[1] + change, *order.counts[2:])
        assert not verify_order(weights, counts)


def test_positions_of_centred_steps() -> None:
    counts = tuple({PAIRS: 2, CENTRED2: 1, CENTRED: 2, WIDE: 1}.get(f, 0) for f in FORMS)
    order = StepOrder(np.arange(7), counts)
    assert order.centred_positions().tolist() == [2, 3, 4, 5]
