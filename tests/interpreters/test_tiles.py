"""The tile unit in numpy: its arithmetic against sums in Python, and all that the CPU refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.dialects.tile import ConfigureOp, Shape
from lpc.compiler.interpreters.tiles import TileError, TileUnit


def configuration(*shapes: Shape) -> Array:
    padded = [*shapes, *[(0, 0)] * (8 - len(shapes))]
    return np.frombuffer(ConfigureOp(padded).content, np.uint8)


def unit_of(*shapes: Shape) -> TileUnit:
    unit = TileUnit()
    unit.ldtilecfg(configuration(*shapes))
    return unit


def codes(seed: int, rows: int, size: int) -> Array:
    """Bytes, many of them extreme."""
    g = np.random.default_rng(seed)
    ends = g.choice(np.array([0, 1, 127, 128, 129, 255], np.uint8), (rows, size))
    values = g.integers(0, 256, (rows, size)).astype(np.uint8)
    return np.where(g.random((rows, size)) < 0.5, ends, values)


def test_configuration_is_laid_out_as_in_the_manual() -> None:
    memory = configuration((3, 20), (16, 64))
    assert memory[0] == 1
    assert memory[16:20].tolist() == [20, 0, 64, 0]
    assert memory[48:50].tolist() == [3, 16]
    assert memory.sum() == 1 + 20 + 64 + 3 + 16


@given(st.integers(1, 16), st.integers(1, 16), st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_products(rows: int, columns: int, depth: int, seed: int) -> None:
    unit = unit_of((rows, 4 * columns), (rows, 4 * depth), (depth, 4 * columns))
    a, b, c = codes(seed, rows, 4 * depth), codes(seed + 1, depth, 4 * columns), codes(seed, 16, 64)
    start = c[:rows, : 4 * columns]
    for number, data in enumerate((start, a, b)):
        unit.tileloadd(number, data)
    unit.tdpbusd(0, 1, 2)
    result = unit.tilestored(0).view(np.int32)
    for m in range(rows):
        for n in range(columns):
            total = int(start.view(np.int32)[m, n]) + sum(
                int(a[m, 4 * k + j]) * int(b.view(np.int8)[k, 4 * n + j])
                for k in range(depth)
                for j in range(4)
            )
            assert int(result[m, n]) == (total + 2**31) % 2**32 - 2**31
    # What lies outside the configured part of the register stays zero.
    assert not unit.data[0, rows:].any()
    assert not unit.data[0, :, 4 * columns :].any()


def test_a_load_clears_what_it_does_not_write() -> None:
    unit = unit_of((2, 8))
    unit.data[0] = 7
    unit.tileloadd(0, np.ones((2, 8), np.uint8))
    assert unit.data[0].sum() == 16


def test_loading_a_configuration_clears_all_data() -> None:
    unit = unit_of((2, 8))
    unit.tileloadd(0, np.ones((2, 8), np.uint8))
    unit.ldtilecfg(configuration((2, 8)))
    assert not unit.data.any()


def test_release() -> None:
    unit = unit_of((2, 8))
    assert not unit.released
    unit.tilerelease()
    assert unit.released
    unit = unit_of((2, 8))
    unit.ldtilecfg(np.zeros(64, np.uint8))  # palette 0
    assert unit.released


@pytest.mark.parametrize(
    ("at", "value"),
    # palette, start row, the reserved bytes at their borders, 65 bytes, 17 rows, no bytes, no rows
    [(0, 2), (1, 1), (2, 1), (15, 1), (32, 1), (47, 1), (56, 1), (63, 1), (16, 65), (17, 1),
     (48, 17), (16, 0), (48, 0), (30, 4), (55, 1)],
)  # fmt: skip
def test_bad_configurations(at: int, value: int) -> None:
    memory = configuration((16, 64)).copy()
    memory[at] = value
    unit = TileUnit()
    with pytest.raises(TileError, match="#GP"):
        unit.ldtilecfg(memory)


GOOD = ((4, 32), (4, 24), (6, 32), (4, 32), (5, 24))


@pytest.mark.parametrize(
    "use",
    [
        lambda unit: unit.tdpbusd(0, 0, 2),
        lambda unit: unit.tdpbusd(0, 1, 1),
        lambda unit: unit.tdpbusd(0, 1, 0),
        lambda unit: unit.tdpbusd(0, 1, 3),  # 24 bytes of depth against 4 rows
        lambda unit: unit.tdpbusd(0, 4, 2),  # 5 rows into 4
        lambda unit: unit.tdpbusd(4, 1, 2),
        lambda unit: unit.tdpbusd(7, 1, 2),  # not configured
        lambda unit: unit.tilestored(5),
        lambda unit: unit.tilestored(8),
        lambda unit: unit.tilestored(6),
    ],
)
def test_undefined(use: Callable[[TileUnit], object]) -> None:
    unit = unit_of(*GOOD)
    unit.tdpbusd(0, 1, 2)
    with pytest.raises(TileError, match="#UD"):
        use(unit)


def test_rows_that_are_no_whole_words() -> None:
    unit = unit_of((4, 30))
    with pytest.raises(TileError, match="no multiple of 4"):
        unit.tilestored(0)


def test_nothing_works_without_a_configuration() -> None:
    unit = TileUnit()
    with pytest.raises(TileError, match="no configuration"):
        unit.tilestored(0)
