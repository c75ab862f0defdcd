"""Gathered steps hold every input once, in chains that are exact on adversarial inputs."""

from __future__ import annotations

import numpy as np
import pytest
from chain_semantics import adversarial_inputs, assert_chains_exact
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.contractions.chains import Menu
from lpc.compiler.contractions.forms import (
    FORMS,
    OFFSET2,
    PAIRS,
    PAIRS2,
    PAIRS4,
    chain_offsets,
    verify_order,
)
from lpc.compiler.contractions.gathered_tile import piece_rows, row_of_inputs
from lpc.compiler.contractions.gathering import gather_team
from lpc.compiler.dialects.tensors import Array

MENUS = (
    Menu(PAIRS2, OFFSET2),
    Menu(PAIRS4, PAIRS2),
    Menu(PAIRS2, PAIRS),
    Menu(None, OFFSET2),
    Menu(None, PAIRS),
)


def gaussian(seed: int, deviation: float, *shape: int) -> Array:
    values = np.random.default_rng(seed).normal(0, deviation, shape)
    return np.rint(values).clip(-128, 127).astype(np.int8)


def read_by(inputs: Array, codes: Array) -> Array:
    """Codes [..., steps, 4] of codes [..., inputs]: anything in the places of none."""
    return np.where(inputs >= 0, codes[..., np.maximum(inputs, 0)], np.uint8(255))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    teams=st.integers(1, 3),
    channels=st.sampled_from((1, 4, 8, 24)),
    inputs=st.integers(1, 70),
    deviation=st.sampled_from((5.0, 40.0, 60.0, 300.0)),
    menu=st.sampled_from(MENUS),
)
def test_every_chain_is_exact(
    seed: int, teams: int, channels: int, inputs: int, deviation: float, menu: Menu
) -> None:
    weights = gaussian(seed, deviation, teams, channels, inputs)
    for own in weights:
        team = gather_team(own, menu)
        order, places = team.order, team.order.starts
        chosen = {f for f, n in zip(FORMS, order.counts, strict=True) if n}
        assert chosen <= {menu.first, menu.second}
        assert order.executed == len(places) == team.panel.shape[1]
        assert sorted(places[places >= 0]) == list(range(inputs))
        assert not team.panel[:, places < 0].any()
        assert verify_order(team.panel, order.counts)
        codes = adversarial_inputs(own[:, :, None])[..., 0]
        total = assert_chains_exact(team.panel, order.counts, read_by(places, codes)[:, None])
        offsets = chain_offsets(team.panel, order.counts).reshape(-1, channels, 2)
        total -= offsets.sum((0, 2), dtype=np.int64)
        np.testing.assert_array_equal(total, codes.astype(np.int64) @ own.T.astype(np.int64))


@pytest.mark.parametrize(
    ("deviation", "channels", "inputs", "part", "most"),
    [(40, 32, 768, 0.88, 192), (44, 16, 256, 0.8, 64), (46, 16, 128, 0.5, 32), (50, 16, 64, 0, 18)],
)
def test_nearly_all_inputs_are_in_full_chains(
    deviation: float, channels: int, inputs: int, part: float, most: int
) -> None:
    """Windows of such weights are 7 % more steps and more, of which a tenth is alone."""
    weights = gaussian(1, deviation, 2, channels, inputs)
    for own in weights:
        team = gather_team(own, Menu(PAIRS2, OFFSET2))
        counts = dict(zip(FORMS, team.order.counts, strict=True))
        assert team.order.executed <= most
        assert counts[PAIRS2] * 8 >= part * inputs


@pytest.mark.parametrize("length", [16, 17, 31, 32, 40])
def test_rows_of_inputs_are_their_own(length: int) -> None:
    """A piece of sixteen inputs ends where its run does, and so do the rows made of it."""
    steps = -(-length // 4)
    rows = row_of_inputs(2, length, steps).reshape(2, -1)[:, :length]
    assert len(np.unique(rows)) == rows.size
    for run in range(2):
        for k in range(length):
            piece, place = divmod(int(rows[run, k]) - run * piece_rows(length), 16)
            assert min(16 * piece, length - 16) + place == k
