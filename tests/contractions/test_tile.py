"""The tile choice fits the registers, wastes little, and copes with any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.targets import TARGETS, Target, by_name
from lpc.compiler.contractions.geometry import Grid
from lpc.compiler.contractions.ordered_tile import Choice, estimate_ordered_tiles
from lpc.compiler.contractions.tile import Tile, rank_tiles, ranked
from lpc.compiler.dialects.tensors import Array

SIZES = st.one_of(st.integers(1, 20), st.sampled_from((49, 56, 112, 196, 784, 3136, 12544)))
OLDER = [target for target in TARGETS if target.dot4 is None]
NATURAL = [(target, False) for target in TARGETS] + [(by_name("avx512_vnni"), True)]


@given(
    case=st.sampled_from(NATURAL),
    rows=SIZES,
    columns=SIZES,
    channels=st.one_of(st.integers(1, 70), st.sampled_from((256, 1000, 2048))),
    steps=st.sampled_from((1, 2, 7, 64, 576)),
)
def test_fits(
    case: tuple[Target, bool], rows: int, columns: int, channels: int, steps: int
) -> None:
    target, quantized = case
    tiles = rank_tiles(target, quantized, rows, columns, channels, steps)
    assert len(set(tiles)) == len(tiles) <= 4
    for tile in tiles:
        assert tile.lanes == target.lanes
        assert 1 <= tile.m <= columns
        assert 1 <= tile.n <= -(-channels // tile.lanes)
        # The sums, one input and the vectors of weights live at the same time.
        assert tile.m * tile.n + tile.n + 1 <= target.registers


@pytest.mark.parametrize(("target", "quantized"), NATURAL, ids=lambda v: getattr(v, "name", v))
def test_one_pixel_has_one_row_of_sums(target: Target, quantized: bool) -> None:
    assert all(tile.m == 1 for tile in rank_tiles(target, quantized, 1, 1, 1000, 512))
    assert rank_tiles(target, quantized, 1, 1, 1, 1) == (Tile(1, 1, target.lanes),)


def test_large_layers_use_the_registers() -> None:
    target = by_name("avx512_vnni")
    tile = rank_tiles(target, True, 1, 3136, 256, 64)[0]
    assert tile.m * tile.n >= target.registers // 2
    assert tile.m > 1


def choices(
    target: Target, spread: float, columns: int = 196, channels: int = 64, steps: int = 64
) -> tuple[Choice, ...]:
    """For normally distributed weights."""

    def sampler(n: int, most: int) -> list[Array]:
        generator = np.random.default_rng(n)
        shape = (most, n * target.lanes, steps, 4)
        return list(np.clip(np.rint(generator.normal(0, spread, shape)), -127, 127).astype(np.int8))

    grid = Grid(1, columns, True)
    return ranked(estimate_ordered_tiles(target, grid, channels, sampler, 1, 4 * steps))


@settings(max_examples=40)
@given(
    target=st.sampled_from(OLDER),
    spread=st.sampled_from((1, 20, 60)),
    columns=SIZES,
    channels=st.sampled_from((1, 9, 64, 1000)),
    steps=st.sampled_from((1, 7, 64)),
)
def test_ordered_tiles_fit(
    target: Target, spread: float, columns: int, channels: int, steps: int
) -> None:
    for choice in choices(target, spread, columns, channels, steps):
        tile, longest = choice.tile, choice.menu.longest
        assert 1 <= tile.m <= columns
        assert 1 <= tile.n <= -(-channels // tile.lanes)
        # The sums, ones, an input, a temporary, and the weights of the longest chain; or ones, a
        # pixel's inputs and two products, with weights in memory.
        beside = 3 + longest * (tile.n if tile.n == 1 or target.vector_bytes > 32 else 1)
        assert tile.m == 1 or tile.m * tile.n + beside <= target.registers


@pytest.mark.parametrize("target", OLDER, ids=lambda t: t.name)
def test_small_weights_get_long_chains_and_large_ones_short_ones(target: Target) -> None:
    assert choices(target, 5)[0].menu.longest == 4
    assert choices(target, 300)[0].menu.longest < 4


def test_ranked_are_the_best_and_near_it() -> None:
    estimates = [(10.0, "a"), (9.995, "b"), (8.0, "c"), (9.0, "d"), (11.0, "e"), (8.5, "f")]
    assert ranked(estimates) == ("c", "f", "d", "b")
    assert ranked([(1.0, "a"), (1.3, "b")]) == ("a",)
    assert ranked([(1.0, "a"), (0.9999, "b")]) == ("a", "b")
