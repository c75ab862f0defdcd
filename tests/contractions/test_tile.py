"""The tile choice fits the registers, wastes little, and copes with any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpc.compiler.codegen.targets import TARGETS, Target, by_name
from lpc.compiler.contractions.tile import choose_tile, even_pieces

SIZES = st.one_of(st.integers(1, 20), st.sampled_from((49, 56, 112, 196, 784, 3136, 12544)))


@given(
    target=st.sampled_from(TARGETS),
    quantized=st.booleans(),
    rows=SIZES,
    columns=SIZES,
    channels=st.one_of(st.integers(1, 70), st.sampled_from((256, 1000, 2048))),
    steps=st.sampled_from((1, 2, 7, 64, 576)),
)
def test_fits(
    target: Target, quantized: bool, rows: int, columns: int, channels: int, steps: int
) -> None:
    tile = choose_tile(target, quantized, rows, columns, channels, steps)
    assert tile.lanes == target.lanes
    assert 1 <= tile.m <= columns
    assert 1 <= tile.n <= -(-channels // tile.lanes)
    # The sums, one input and the vectors of weights live at the same time.
    assert tile.m * tile.n + tile.n + 1 <= target.registers


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("quantized", [True, False])
def test_one_pixel_has_one_row_of_sums(target: Target, quantized: bool) -> None:
    assert choose_tile(target, quantized, 1, 1, 1000, 512).m == 1
    single = choose_tile(target, quantized, 1, 1, 1, 1)
    assert (single.m, single.n) == (1, 1)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_large_layers_use_the_registers(target: Target) -> None:
    tile = choose_tile(target, True, 1, 3136, 256, 64)
    assert tile.m * tile.n >= target.registers // 4
    assert tile.m > 1


def test_vnni_keeps_more_sums_than_avx2() -> None:
    few, many = (choose_tile(by_name(t), True, 1, 3136, 256, 64) for t in ("avx2", "avx512_vnni"))
    assert many.m * many.n > few.m * few.n


@given(total=st.integers(1, 400), size=st.integers(1, 30))
def test_even_pieces_cover_a_row(total: int, size: int) -> None:
    pieces = even_pieces(total, size)
    assert sum(count * length for count, length in pieces) == total
    assert sum(count for count, _ in pieces) == -(-total // size)
    lengths = [length for _, length in pieces]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] - lengths[-1] == len(lengths) - 1 <= 1
    assert lengths[-1] >= 1


def test_pixels_that_share_a_cache_set_are_few() -> None:
    """Inputs 4096 bytes apart share 8 (or 12) places of the first-level cache."""
    target = by_name("avx512_vnni")
    assert choose_tile(target, False, 1, 196, 256, 1024, 4096).m <= 8
    assert choose_tile(target, False, 1, 196, 256, 1024, 4096 + 64).m > 8


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_float_sums_hide_the_latency_of_addition(target: Target) -> None:
    tile = choose_tile(target, False, 7, 7, 512, 4608)
    chains = 8 if target.fma else 4
    assert all(m * tile.n >= chains for _, m in even_pieces(7, tile.m))
