"""Tables as chained rows, saturation as a clamp: what the byte ops of an epilogue rest on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from lpc.compiler.bounds import magnitude, saturates
from lpc.compiler.codegen.byte_tables import chained_rows, table_of
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, si8, ui8
from support import EXAMPLES, SEEDS, Bench, extreme_codes
from xdsl.ir import SSAValue


def shuffled(rows: Array, codes: Array) -> Array:
    """The sum that the docstring of byte_tables.py states, literally."""
    total = np.zeros(len(codes), np.uint8)
    for k, row in enumerate(rows.reshape(16, 16)):
        if k <= 8:
            y = (codes.astype(np.int64) - 16 * k) & 255
        else:
            start = ((codes.astype(np.int64) - 128) & 255).astype(np.uint8).view(np.int8)
            y = (np.maximum(start, -16).astype(np.int64) - 16 * (k - 8)) & 255
        total ^= np.where(y & 128, 0, row[y & 15]).astype(np.uint8)
    return total


@given(SEEDS)
@EXAMPLES
def test_rows_give_the_table(seed: int) -> None:
    table = extreme_codes(np.random.default_rng(seed), (256,), np.uint8)
    rows = chained_rows(table)
    np.testing.assert_array_equal(table_of(rows), table)
    np.testing.assert_array_equal(shuffled(rows, np.arange(256, dtype=np.uint8)), table)


@pytest.mark.parametrize("count", [1, 3, 15, 16, 17, 31, 33, 63, 64, 65, 100, 257])
def test_every_code_through_random_tables(count: int) -> None:
    g, bench = np.random.default_rng(count), Bench()
    for dtype in (np.uint8, np.int8):
        x = bench.input(extreme_codes(g, (2, count), dtype))
        table = g.integers(0, 256, 256).astype(np.uint8)
        bench.output(bench(graph.LutOp(x, table)), f"{count} of {dtype.__name__}")
    bench.check()


def residual_of(bench: Bench, scale: float) -> SSAValue:
    codes = bench.input(np.zeros((1, 20), np.uint8))
    real = bench(graph.DequantizeOp(codes, scale, 3, 1))
    return bench(graph.AddOp(real, bench(graph.UnaryOp("relu", real))))


def test_saturation_clamps_what_is_bounded_only() -> None:
    bench = Bench()
    bounded = residual_of(bench, 0.5)
    assert magnitude(bounded) == 2 * 252 * 0.5
    unknown = bench.input(np.zeros((1, 20), np.float32))
    assert saturates(graph.QuantizeOp(bounded, 1e-3, 0, ui8, 1))
    assert not saturates(graph.QuantizeOp(bounded, 1e-8, 0, ui8, 1))
    assert not saturates(graph.QuantizeOp(unknown, 1.0, 0, ui8, 1))
    assert not saturates(graph.QuantizeOp(bench(graph.UnaryOp("exp", bounded)), 1.0, 0, ui8, 1))
    sums = bench.input(np.zeros((1, 20), np.int32))
    assert saturates(graph.RequantizeOp(sums, 0.25, 0, ui8, 1))
    assert not saturates(graph.RequantizeOp(sums, 0.5, 0, ui8, 1))


def test_reals_beyond_an_int_are_clamped_to_the_right_end() -> None:
    """cvtps2dq gives −2³¹ for what does not fit, also for large positive numbers and NaN."""
    bench = Bench()
    reals = np.array([3e9, -3e9, np.inf, -np.inf, np.nan, 2.0**31, 1e30, 5], np.float32)
    bench.output(bench(graph.QuantizeOp(bench.input(reals), 1.0, 7, ui8, 0)), "quantize")
    sums = np.array([2**31 - 1, -(2**31), 2**30, -(2**30), 200, -3, 0, 9], np.int32)
    for multiplier in (1.0, 0.75, 0.4999, 0.25):
        op = graph.RequantizeOp(bench.input(sums), multiplier, 128, ui8, 0)
        bench.output(bench(op), f"requantize by {multiplier}")
    # A zero point is added between two saturations, the first of which ends at 16 bits.
    ends = np.arange(-600, 600, dtype=np.int32)
    halves = np.concatenate([k * 2**15 + ends for k in (-3, -2, -1, 0, 1, 2, 3)])
    for z, signed in ((0, ui8), (255, ui8), (77, ui8), (-128, si8), (127, si8)):
        op = graph.RequantizeOp(bench.input(halves), 0.4999, z, signed, 0)
        bench.output(bench(op), f"zero point {z}")
    codes = bench.input(extreme_codes(np.random.default_rng(1), (40,), np.uint8))
    real = bench(graph.DequantizeOp(codes, 1e6, 100, 0))
    bench.output(bench(graph.QuantizeOp(real, 1e-2, 9, ui8, 0, 3, 240)), "a ratio of 1e8")
    bench.check()
