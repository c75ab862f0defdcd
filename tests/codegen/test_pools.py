"""Pools: exact on codes, canonical order on floats."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import ui8
from support import EXAMPLES, SEEDS, Bench, extreme_codes, pick

CHANNELS = (1, 3, 4, 8, 15, 16, 17, 32, 33, 64, 65, 80, 97, 130)
SIDES = (1, 2, 3, 5, 7, 8, 14)


def draw_window(
    g: np.random.Generator, dilated: bool
) -> tuple[tuple[int, ...], tuple[int, int], dict[str, Any]]:
    """Input shape, kernel and the rest; every window holds a tap inside the input."""
    kernel = pick(g, ((2, 2), (3, 3), (1, 2), (3, 1), (5, 4), (7, 7)))
    dilations = pick(g, ((1, 1), (1, 1), (2, 1), (2, 3))) if dilated else (1, 1)
    pads = tuple(int(g.integers(0, k)) if g.random() < 0.5 else 0 for k in (*kernel, *kernel))
    sides = []
    for i, (k, d) in enumerate(zip(kernel, dilations, strict=True)):
        # A side of at least the reach leaves no window in the padding alone.
        sides.append(max(pick(g, SIDES), (k - 1) * d + 1, pads[i], pads[i + 2]))
    strides = pick(g, ((1, 1), (2, 2), (1, 3)))
    shape = (int(pick(g, (1, 2))), *sides, int(pick(g, CHANNELS)))
    window = {"strides": strides, "pads": pads, "layout": "nhwc"}
    if dilated:
        window["dilations"] = dilations
    return shape, kernel, window


def add_max(bench: Bench, g: np.random.Generator) -> None:
    shape, kernel, window = draw_window(g, True)
    dtype = pick(g, (np.uint8, np.int8, np.float32))
    if dtype is np.float32:
        x = g.standard_normal(shape).astype(np.float32)
        x = np.where(g.random(shape) < 0.1, np.float32(-np.inf), x)
    else:
        x = extreme_codes(g, shape, dtype)
    value = bench(graph.MaxPoolOp(bench.input(x), kernel, **window))
    bench.output(value, f"max {dtype.__name__} {shape} {kernel} {window}")


def add_max_of_dequantized(bench: Bench, g: np.random.Generator) -> None:
    shape, kernel, window = draw_window(g, True)
    codes = bench.input(extreme_codes(g, shape, np.uint8))
    value = bench(graph.DequantizeOp(codes, 0.02, 100, 3))
    value = bench(graph.MaxPoolOp(value, kernel, **window))
    if g.random() < 0.5:
        value = bench(graph.QuantizeOp(value, 0.021, 90, ui8, 3))
    bench.output(value, f"max of dequantized {shape} {kernel} {window}")


def add_average(bench: Bench, g: np.random.Generator) -> None:
    shape, kernel, window = draw_window(g, False)
    include = bool(g.integers(2))
    x = bench.input(g.standard_normal(shape).astype(np.float32))
    value = bench(graph.AvgPoolOp(x, kernel, count_include_pad=include, **window))
    if g.random() < 0.5:
        value = bench(graph.UnaryOp("relu", value))
    bench.output(value, f"average {shape} {kernel} {window} {include}")


def add_sum(bench: Bench, g: np.random.Generator) -> None:
    shape, kernel, window = draw_window(g, False)
    zero_point = int(pick(g, (0, 128, 255)))
    x = bench.input(extreme_codes(g, shape, pick(g, (np.uint8, np.int8))))
    value = bench(graph.QSumPoolOp(x, kernel, input_zero_point=zero_point, **window))
    if g.random() < 0.5:
        multiplier = np.float32(1 / np.prod(kernel))
        value = bench(graph.RequantizeOp(value, multiplier, 3, ui8, 3))
    bench.output(value, f"sum {shape} {kernel} {window} zero point {zero_point}")


CASES = (add_max, add_max_of_dequantized, add_average, add_sum)


@given(SEEDS)
@EXAMPLES
def test_pools(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for add in CASES * 2:
        add(bench, g)
    bench.check()


def test_global_pools() -> None:
    g, bench = np.random.default_rng(2), Bench()
    for side, channels in ((7, 64), (13, 3), (1, 17), (64, 1)):
        x = bench.input(extreme_codes(g, (2, side, side, channels), np.uint8))
        total = bench(graph.QSumPoolOp(x, (side, side), input_zero_point=9, layout="nhwc"))
        bench.output(total, f"global sum {side} {channels}")
        y = bench.input(g.standard_normal((2, side, side, channels)).astype(np.float32))
        bench.output(bench(graph.AvgPoolOp(y, (side, side), layout="nhwc")), f"global {side}")
    bench.check()
