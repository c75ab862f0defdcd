"""Codes that an epilogue makes only to have reals of them: never made, same bits, signs of zeros
included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import ui8
from support import FEW_EXAMPLES, SEEDS, Bench, extreme_codes, pick
from xdsl.ir import SSAValue


def requantized(bench: Bench, g: np.random.Generator, zero_point: int) -> SSAValue:
    """Of a small product: many results round to zero, from both sides, and some lie in between."""
    x = bench.input(g.integers(0, 8, (1, 3, 5, 16)).astype(np.uint8))
    weight = bench.constant(g.integers(-4, 5, (16, 16, 1, 1)).astype(np.int8))
    sums = bench(graph.QConv2dOp(x, weight, input_zero_point=4, layout="nhwc"))
    multiplier = pick(g, (0.5, 0.25, 0.01, 0.125, 3.0))
    return bench(graph.RequantizeOp(sums, multiplier, zero_point, ui8, 3))


@given(SEEDS)
@FEW_EXAMPLES
def test_reals_of_requantized_codes(seed: int) -> None:
    """As they are, plus other codes' reals on either side, and plus others of their kind."""
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(6):
        zero_point = int(pick(g, (0, 3, 128, 255)))
        own = int(pick(g, (zero_point, zero_point, 0, 77)))
        a = graph.DequantizeOp(requantized(bench, g, zero_point), 0.037, own, 3)
        value = bench(a)
        kind = pick(g, ("alone", "left", "right", "both", "itself"))
        if kind == "both":
            other = graph.DequantizeOp(requantized(bench, g, zero_point), 0.02, zero_point, 3)
            value = bench(graph.AddOp(value, bench(other)))
        elif kind == "itself":
            value = bench(graph.AddOp(value, value))
        elif kind != "alone":
            codes = bench.input(extreme_codes(g, (1, 3, 5, 16), np.uint8) // 64)
            other = graph.DequantizeOp(codes, 0.05, int(pick(g, (0, 1))), 3)
            sides = (value, bench(other))
            value = bench(graph.AddOp(*(sides if kind == "left" else sides[::-1])))
        bench.output(value, f"{kind}: zero points {zero_point}, {own}")
    bench.check()


@pytest.mark.parametrize("zero_points", [(0, 0), (3, 3), (3, 0)])
def test_codes_that_are_wanted_too(zero_points: tuple[int, int]) -> None:
    """A requantize whose codes are stored as well as their reals."""
    g, bench = np.random.default_rng(3), Bench()
    codes = requantized(bench, g, zero_points[0])
    bench.output(codes, "codes")
    bench.output(bench(graph.DequantizeOp(codes, 0.037, zero_points[1], 3)), "reals")
    bench.check()
