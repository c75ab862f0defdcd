"""The two kernels of the search for lanes, which run in the compiler."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.contractions.forms import (
    OFFSET2,
    PAIR_LIMIT,
    PAIRS,
    PAIRS2,
    PAIRS4,
    WIDTH_LIMIT,
    Form,
)
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.search.exchange import Bounds, exchange
from lpc.compiler.search.filling import filled_lanes
from lpc.compiler.search.rows import WIDTH, rows_of

TEAMS = {
    "seed": st.integers(0, 2**32 - 1),
    "channels": st.sampled_from((1, 8, 16, 24)),
    "inputs": st.integers(0, 70),
    "deviation": st.sampled_from((5.0, 40.0, 60.0, 300.0)),
}


def gaussian(seed: int, deviation: float, *shape: int) -> Array:
    values = np.random.default_rng(seed).normal(0, deviation, shape)
    return np.rint(values).clip(-128, 127).astype(np.int8)


def parts(weights: Array, lane: Array) -> tuple[Array, Array]:
    """Positive and negative parts of a lane's weights, [channels, members]."""
    own = weights[:, lane[lane >= 0]].astype(np.int64)
    return np.maximum(own, 0), np.maximum(-own, 0)


def keeps(weights: Array, lane: Array, form: Form) -> bool:
    """The bounds as forms.py has them."""
    positive, negative = (part.sum(1) for part in parts(weights, lane))
    if not form.offset:
        return bool(max(positive.max(), negative.max()) <= PAIR_LIMIT)
    pairs = [part.sum(1).max() for pair in lane.reshape(-1, 2) for part in parts(weights, pair)]
    return bool(max(pairs) <= PAIR_LIMIT and (positive + negative).max() <= WIDTH_LIMIT)


def bounds_of(form: Form) -> Bounds:
    return Bounds(PAIR_LIMIT, WIDTH_LIMIT if form.offset else None)


def test_rows_hold_both_signs() -> None:
    weights = np.array([[1, -128, 0], [-3, 127, 5]], np.int8)
    rows = rows_of(weights)
    assert rows.shape == (3, 2 * WIDTH)
    np.testing.assert_array_equal(rows[:, :2], [[1, 0], [0, 127], [0, 5]])
    np.testing.assert_array_equal(rows[:, WIDTH : WIDTH + 2], [[0, 3], [128, 0], [0, 0]])
    assert rows.sum() == np.abs(weights.astype(np.int64)).sum()


@settings(max_examples=60)
@given(**TEAMS, length=st.sampled_from((2, 4, 8)))
def test_filled_lanes_have_room_for_what_they_hold(
    seed: int, channels: int, inputs: int, deviation: float, length: int
) -> None:
    weights = gaussian(seed, deviation, channels, inputs)
    lanes = filled_lanes(rows_of(weights), length, PAIR_LIMIT)
    assert lanes.shape == (inputs // length, length)
    members = lanes[lanes >= 0]
    assert len(np.unique(members)) == len(members)
    assert (lanes[:, 0] >= 0).all()
    form = {2: PAIRS, 4: PAIRS2, 8: PAIRS4}[length]
    assert all(keeps(weights, lane, form) for lane in lanes)


@settings(max_examples=60)
@given(**TEAMS, form=st.sampled_from((PAIRS, PAIRS2, PAIRS4, OFFSET2)))
def test_exchanged_inputs_are_still_there_and_lanes_that_fit_are_told(
    seed: int, channels: int, inputs: int, deviation: float, form: Form
) -> None:
    weights, length = gaussian(seed, deviation, channels, inputs), 2 * form.chain
    rows = rows_of(weights)
    rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    lanes = np.arange(-(-inputs // length) * length).reshape(-1, length)
    lanes[lanes >= inputs] = -1
    before = lanes.copy()
    after, fits = exchange(rows, lanes, bounds_of(form), 8)
    np.testing.assert_array_equal(lanes, before)
    np.testing.assert_array_equal(np.sort(after, axis=None), np.sort(before, axis=None))
    assert fits.tolist() == [keeps(weights, lane, form) for lane in after]
    again, _ = exchange(rows, lanes, bounds_of(form), 8)
    np.testing.assert_array_equal(after, again)


@pytest.mark.parametrize(("form", "least"), [(PAIRS2, 18), (OFFSET2, 30)])
def test_exchanges_make_lanes_fit(form: Form, least: int) -> None:
    """Of 32 lanes, as they come, few keep their bounds."""
    rows = rows_of(gaussian(1, 46, 16, 128))
    rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    lanes = np.arange(128).reshape(-1, 4)
    _, before = exchange(rows, lanes, bounds_of(form), 0)
    _, after = exchange(rows, lanes, bounds_of(form), 256)
    assert before.sum() <= 6
    assert after.sum() >= least
