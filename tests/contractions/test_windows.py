"""Windows hold every weight once, lie inside their run, and pair only what fits in 16 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.contractions.forms import pairs_fit
from lpc.compiler.contractions.windows import cut_windows, windows_of_run
from lpc.compiler.dialects.tensors import Array


def gathered(windows: Array, starts: Array, size: int) -> Array:
    """Σ of what the windows of one block hold of each input, [channels, inputs]."""
    total = np.zeros((windows.shape[0], size), np.int64)
    for place, start in enumerate(starts):
        if start >= 0:
            total[:, start : start + 4] += windows[:, place]
    return total


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    blocks=st.integers(1, 3),
    channels=st.sampled_from((1, 4, 8, 16)),
    runs=st.integers(1, 3),
    run_steps=st.integers(1, 9),
    spread=st.sampled_from((5, 40, 60, 300)),
)
def test_every_weight_is_in_one_window(
    seed: int, blocks: int, channels: int, runs: int, run_steps: int, spread: int
) -> None:
    generator = np.random.default_rng(seed)
    shape = (blocks, channels, runs * run_steps, 4)
    weights = np.clip(np.rint(generator.normal(0, spread, shape)), -128, 127).astype(np.int8)
    windows, starts = cut_windows(weights, run_steps)
    assert windows.dtype == np.int8
    assert pairs_fit(windows).all()
    used = starts[starts >= 0]
    assert (used % (4 * run_steps) <= 4 * run_steps - 4).all()
    assert used.max() <= 4 * runs * run_steps - 4
    for block in range(blocks):
        found = gathered(windows[block], starts[block], 4 * runs * run_steps)
        np.testing.assert_array_equal(found, weights[block].reshape(channels, -1))


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ("1111 1110", [(0, 0, 4), (4, 4, 8)]),
        # 4 and 5 do not pair: the second window starts a byte earlier and takes three.
        ("1111 0110", [(0, 0, 4), (3, 4, 7), (4, 7, 8)]),
        # The first window cannot start earlier: its last input is left to the next.
        ("1101 1110", [(0, 0, 3), (3, 3, 7), (4, 7, 8)]),
        ("0000 0000", [(0, 0, 1), (0, 1, 3), (2, 3, 5), (4, 5, 7), (4, 7, 8)]),
    ],
)
def test_windows_move_where_pairs_do_not_fit(
    fits: str, expected: list[tuple[int, int, int]]
) -> None:
    bits = bytes(int(bit) for bit in fits.replace(" ", ""))
    assert windows_of_run(bits, len(bits)) == expected
