"""Depthwise weights as pairs of 16-bit halves: every tap once, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from lpc.compiler.contractions.depthwise_halves import pack_halves, tap_pairs, unpack_halves
from lpc.compiler.contractions.geometry import Contraction

KERNELS = [(1, 1), (1, 3), (3, 1), (1, 4), (2, 2), (3, 3), (4, 2), (5, 5), (7, 7), (2, 5)]


def depthwise(channels: int, kernel: tuple[int, int], dilations: tuple[int, int]) -> Contraction:
    (kh, kw), (dy, dx) = kernel, dilations
    taps = tuple((y * dy, x * dx) for y in range(kh) for x in range(kw))
    return Contraction(
        True, channels, channels, 1, taps, kernel, (1, 1), (0, 0), 1, 8, 8, dilations
    )


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("dilations", [(1, 1), (2, 3)], ids=str)
def test_every_tap_counts_once(kernel: tuple[int, int], dilations: tuple[int, int]) -> None:
    c = depthwise(16, kernel, dilations)
    pairs = tap_pairs(c)
    counted = [first for first, _, _ in pairs] + [second for _, second, both in pairs if both]
    assert sorted(counted) == sorted(c.taps)
    # What stands beside an odd tap is read as well, so it has to be a tap of the window.
    assert {tap for first, second, _ in pairs for tap in (first, second)} <= set(c.taps)
    assert len(pairs) <= (len(c.taps) + 1) // 2


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("channels", [1, 15, 16, 40, 112])
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_packing_and_back(kernel: tuple[int, int], channels: int, lanes: int) -> None:
    c = depthwise(channels, kernel, (1, 1))
    weight = np.random.default_rng(channels).integers(-128, 128, (channels, 1, *kernel))
    data = pack_halves(c, weight.astype(np.int8), lanes)
    np.testing.assert_array_equal(unpack_halves(c, data, lanes), weight)
