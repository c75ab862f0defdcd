"""fp32 convolution: |difference from exact| ≤ (K + 3)·2⁻²⁴·Σ|x·w|, for any order and with FMA."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import ui8
from lpc.compiler.interpreters.contractions import Window, conv2d
from support import FEW_EXAMPLES, SEEDS, Bench
from test_convolution import Shape, draw_shape


def add_case(bench: Bench, g: np.random.Generator, s: Shape) -> None:
    x = g.standard_normal(s.input_shape).astype(np.float32)
    weight = g.standard_normal(s.weight_shape).astype(np.float32)
    bias = g.standard_normal(s.outputs).astype(np.float32)
    operand = bench.constant(bias) if g.random() < 0.7 else None
    value = bench(graph.Conv2dOp(bench.input(x), bench.constant(weight), operand, **s.window))
    if g.random() < 0.4:
        value = bench(graph.UnaryOp("relu", value))
    window = Window(s.kernel, s.strides, s.pads, s.dilations)
    total = conv2d(np.abs(x), np.abs(weight), np.abs(bias), window, s.groups, "nhwc")
    depth = int(np.prod(s.weight_shape[1:]))
    bench.output(value, f"f32 {s}", (depth + 3) * 2.0**-24 * total.astype(np.float64) * 1.001)


@given(SEEDS)
@FEW_EXAMPLES
def test_float_convolutions(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for number in range(9):
        add_case(bench, g, draw_shape(g, depthwise=number % 3 == 0))
    bench.check()


def test_float_layers_share_a_workspace() -> None:
    """Three layers deep, so that halos and padded channels are written by kernels."""
    g, bench = np.random.default_rng(9), Bench()
    for channels in (3, 16, 20):
        value = bench.input(g.uniform(0, 1, (2, 6, 7, channels)).astype(np.float32))
        exact = 0.0
        for outputs in (16, 5, 16):
            depth = value.type.get_shape()[-1]  # type: ignore[attr-defined]
            weight = g.uniform(0, 1 / depth, (outputs, depth, 3, 3)).astype(np.float32)
            op = graph.Conv2dOp(value, bench.constant(weight), pads=(1, 1, 1, 1), layout="nhwc")
            value, exact = bench(op), max(1.0, exact) * 9.0
        # All terms are positive: relative errors of the layers add up.
        bound = np.full(value.type.get_shape(), exact * 3 * 200 * 2.0**-24)  # type: ignore[attr-defined]
        bench.output(value, f"three layers from {channels} channels", bound)
    bench.check()


def test_codes_of_a_float_depthwise_convolution() -> None:
    """In the halo that the next convolution reads is its zero point; what is added is an input."""
    g, bench = np.random.default_rng(10), Bench()
    for channels in (5, 16, 20):
        shape = (1, 3, 4, channels)
        window: dict[str, Any] = {"pads": (1, 1, 1, 1), "layout": "nhwc"}
        x = bench.input(g.integers(-9, 10, shape).astype(np.float32))
        weight = bench.constant(g.integers(-3, 4, (channels, 1, 3, 3)).astype(np.float32))
        value = bench(graph.Conv2dOp(x, weight, groups=channels, **window))
        value = bench(graph.AddOp(value, bench.input(g.integers(0, 9, shape).astype(np.float32))))
        codes = bench(graph.QuantizeOp(value, 0.5, 7, ui8, 3))
        weight = bench.constant(g.integers(-9, 10, (16, channels, 3, 3)).astype(np.int8))
        sums = graph.QConv2dOp(codes, weight, input_zero_point=7, **window)
        bench.output(bench(sums), f"codes of a depthwise convolution of {channels} channels")
    bench.check()
