"""int8 convolution, with epilogues, against the interpreter: bit for bit on every target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from lpc.compiler.codegen.kernels import gemm
from lpc.compiler.codegen.targets import TARGETS, Target, by_name
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, ui8
from support import (
    EXAMPLES,
    FEW_EXAMPLES,
    SEEDS,
    Bench,
    extreme_codes,
    in_some_form,
    levels_of,
    pick,
)
from xdsl.ir import SSAValue

#: Around vectors of 4, 8 and 16 lanes and blocks of them.
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 49, 64, 65)
SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 17, 29)


@dataclass(frozen=True)
class Shape:
    """A convolution that has at least one output pixel."""

    images: int
    height: int
    width: int
    inputs: int
    outputs: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    groups: int

    @property
    def window(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "pads": self.pads,
            "dilations": self.dilations,
            "groups": self.groups,
            "layout": "nhwc",
        }

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.images, self.height, self.width, self.inputs)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.outputs, self.inputs // self.groups, *self.kernel)


def draw_shape(g: np.random.Generator, depthwise: bool = False, largest: int = 65) -> Shape:
    kernel = pick(
        g, ((1, 1), (1, 1), (3, 3), (3, 3), (2, 2), (1, 3), (3, 1), (5, 5), (4, 2), (7, 7))
    )
    dilations = pick(g, ((1, 1), (1, 1), (1, 1), (2, 2), (1, 2), (3, 1)))
    top, left, bottom, right = (
        int(g.integers(0, k)) if g.random() < 0.6 else 0 for k in (*kernel, *kernel)
    )
    pads = (top, left, bottom, right)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    height, width = (max(pick(g, SIDES), r - pads[i] - pads[i + 2]) for i, r in enumerate(reach))
    channels = [c for c in CHANNELS if c <= largest]
    groups = 1
    inputs, outputs = pick(g, channels), pick(g, channels)
    if depthwise:
        inputs = groups = max(2, inputs)
        outputs = inputs * int(pick(g, (1, 1, 1, 2)))
    elif g.random() < 0.25:
        groups = int(pick(g, (2, 3, 4)))
        inputs, outputs = groups * max(1, inputs // 4), groups * max(1, outputs // 4)
    strides = pick(g, ((1, 1), (1, 1), (2, 2), (1, 2), (3, 2)))
    images = int(pick(g, (1, 1, 1, 2, 3)))
    return Shape(images, height, width, inputs, outputs, kernel, strides, dilations, pads, groups)


def draw_weights(g: np.random.Generator, s: Shape) -> tuple[Array, Any]:
    """Weights and zero point: small, full range, only extremes, or codes with a zero point each."""
    kind = pick(g, ("small", "full", "extreme", "unsigned", "signed zero point", "wide"))
    if kind == "small":  # pairs fit 16 bits: vpmaddubsw is allowed
        return g.integers(-64, 65, s.weight_shape).astype(np.int8), 0
    if kind == "extreme":
        return g.choice(np.array([-128, 127], np.int8), s.weight_shape), 0
    if kind == "full":
        return extreme_codes(g, s.weight_shape, np.int8), 0
    count = int(pick(g, (1, s.outputs)))
    if kind == "unsigned":
        return extreme_codes(g, s.weight_shape, np.uint8), np.full(count, 128, np.int32)
    if kind == "signed zero point":
        return extreme_codes(g, s.weight_shape, np.int8), g.integers(-3, 4, count)
    return extreme_codes(g, s.weight_shape, np.uint8), g.integers(0, 256, count)


def draw_input_zero_points(g: np.random.Generator, s: Shape) -> Array:
    """One, or one for each group, repeated for its channels."""
    if s.groups == 1 or g.random() < 0.5:
        return np.asarray([pick(g, (0, 128, 255, 3))])
    return np.repeat(g.integers(0, 256, s.groups), s.inputs // s.groups)


def qconv(bench: Bench, g: np.random.Generator, s: Shape, x: SSAValue) -> tuple[SSAValue, str]:
    weight, zero_point = draw_weights(g, s)
    bias = g.integers(-(2**20), 2**20, s.outputs).astype(np.int32)
    input_zero_point = draw_input_zero_points(g, s)
    op = graph.QConv2dOp(
        x,
        bench.constant(weight),
        bench.constant(bias) if g.random() < 0.7 else None,
        input_zero_point=input_zero_point,
        weight_zero_point=zero_point,
        **s.window,
    )
    return bench(op), f"{s} {weight.dtype} zero point {input_zero_point}, {zero_point}"


def requantized(bench: Bench, g: np.random.Generator, sums: SSAValue, taps: int) -> SSAValue:
    channels = shape_of(sums)[-1]
    count = int(pick(g, (1, channels)))
    multiplier = (g.uniform(0.2, 3.0, count) / (50 * np.sqrt(taps) * 70)).astype(np.float32)
    qmin, qmax = pick(g, ((0, 255), (0, 255), (17, 201)))
    zero_point = int(g.integers(0, 256))
    return bench(graph.RequantizeOp(sums, multiplier, zero_point, ui8, 3, qmin, qmax))


def residual(bench: Bench, g: np.random.Generator, codes: SSAValue) -> SSAValue:
    """Perhaps a table, dequantize, add the dequantized other branch, relu or clip, quantize."""
    shape = shape_of(codes)
    other = bench.input(extreme_codes(g, shape, np.uint8))
    if g.random() < 0.4:  # a table inside the body: its result is needed as reals
        codes = bench(graph.LutOp(codes, extreme_codes(g, (256,), pick(g, (np.uint8, np.int8)))))
    if g.random() < 0.2:
        other = bench(graph.LutOp(other, extreme_codes(g, (256,), np.uint8)))
    lhs = bench(graph.DequantizeOp(codes, 0.037, 131, 3))
    rhs = bench(graph.DequantizeOp(other, 0.051, int(pick(g, (0, 7))), 3))
    value = bench(graph.AddOp(lhs, rhs) if g.random() < 0.5 else graph.AddOp(rhs, lhs))
    kind = pick(g, ("none", "relu", "clip", "sigmoid"))
    if kind == "relu":
        value = bench(graph.UnaryOp("relu", value))
    elif kind == "clip":
        value = bench(graph.UnaryOp("clip", value, 0.0, 6.0))
    elif kind == "sigmoid":
        value = bench(graph.UnaryOp("sigmoid", value))
    return bench(graph.QuantizeOp(value, 0.05, 3, ui8, 3))


def add_case(bench: Bench, g: np.random.Generator, s: Shape) -> None:
    """Accumulators, codes, codes through a table, or a residual block."""
    x = bench.input(extreme_codes(g, s.input_shape, np.uint8))
    sums, label = qconv(bench, g, s, x)
    end = pick(g, ("sums", "codes", "codes", "table", "residual", "twice"))
    if end == "sums":
        bench.output(sums, label)
        return
    codes = requantized(bench, g, sums, int(np.prod(s.weight_shape[1:])))
    if end == "table":
        codes = bench(graph.LutOp(codes, extreme_codes(g, (256,), np.uint8)))
    elif end == "residual":
        codes = residual(bench, g, codes)
    elif end == "twice":  # through the workspace, with its layout and halo
        shape = shape_of(codes)
        n, h, w, c = shape
        again = Shape(n, h, w, c, int(pick(g, CHANNELS)), (3, 3), (1, 1), (1, 1), (1, 2, 1, 0), 1)
        if shape[1] > 1 and shape[2] > 0:
            codes, more = qconv(bench, g, again, codes)
            label += " then " + more
    bench.output(codes, f"{end} of {label}")


@given(SEEDS)
@EXAMPLES
def test_random_convolutions(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(8):
        add_case(bench, g, draw_shape(g))
    with in_some_form(g):
        bench.check()


def test_blocks_in_several_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one block, or of as many as 1500 bytes hold; usually such small layers are one group."""
    monkeypatch.setattr(gemm, "_GROUP_BYTES", 1500)
    g, bench = np.random.default_rng(7), Bench()
    for _ in range(6):
        add_case(bench, g, draw_shape(g))
    with in_some_form(g):
        bench.check()


def test_results_with_more_room_than_what_is_added() -> None:
    """The workspace has room for whole vectors; inputs end with the caller's memory."""
    g, bench = np.random.default_rng(8), Bench()
    for channels in (5, 20, 33):
        shape = Shape(1, 2, 3, channels, channels, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1)
        sums, label = qconv(
            bench, g, shape, bench.input(extreme_codes(g, (1, 2, 3, channels), np.uint8))
        )
        codes = residual(bench, g, requantized(bench, g, sums, channels))
        sums, _ = qconv(bench, g, shape, codes)
        bench.output(sums, f"sum of an input and {label}")
    bench.check()


@given(SEEDS)
@FEW_EXAMPLES
def test_random_depthwise_convolutions(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(6):
        add_case(bench, g, draw_shape(g, depthwise=True))
    bench.check()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_windows_at_the_extremes(target: Target) -> None:
    """3×3 and depthwise: all inputs 255 with all weights at one end, and alternating ends."""
    bench = Bench()
    for channels in (1, 4, 17, 64):
        for low, high in ((127, 127), (-127, -127), (-128, -128), (-128, 127)):
            x = bench.input(np.full((1, 5, 5, channels), 255, np.uint8))
            for groups in (1, channels) if channels > 1 else (1,):
                shape = (channels, channels // groups, 3, 3)
                ends = np.array([low, high], np.int8)
                weight = ends[np.indices(shape).sum(0) % 2]
                op = graph.QConv2dOp(
                    x, bench.constant(weight), pads=(1, 1, 1, 1), groups=groups, layout="nhwc"
                )
                bench.output(bench(op), f"{channels=} {groups=} {low=} {high=}")
    bench.check([target])


def test_weights_at_the_limit_of_pair_sums() -> None:
    """±64 and ±128 in pairs: the largest weights for which 16-bit sums are exact."""
    bench = Bench()
    for pair in ((64, 64), (-64, -64), (-128, 0), (0, -128), (127, 1), (-128, 127), (1, 127)):
        weight = np.tile(np.array(pair, np.int8), 32).reshape(1, 64, 1, 1).repeat(17, 0)
        for value in (0, 255):
            x = bench.input(np.full((1, 2, 3, 64), value, np.uint8))
            op = graph.QConv2dOp(x, bench.constant(weight), input_zero_point=255, layout="nhwc")
            bench.output(bench(op), f"{pair} times {value}")
    bench.check()


@pytest.mark.parametrize(("columns", "wide"), [(8, False), (64, True)])
def test_steps_that_reach_far(columns: int, wide: bool) -> None:
    """Where a step's inputs are takes 16 bits, or 32 where windows are more than 64 KiB long."""

    def layer() -> Bench:
        g, bench = np.random.default_rng(8), Bench()
        x = bench.input(extreme_codes(g, (1, 3, columns, 512), np.uint8))
        weight = g.integers(-128, 128, (8, 512, 3, 3)).astype(np.int8)
        op = graph.QConv2dOp(x, bench.constant(weight), pads=(1, 1, 1, 1), layout="nhwc")
        bench.output(bench(op), "sums")
        return bench

    text = levels_of(layer().module(), by_name("avx2"))["asm"].printed()
    assert isinstance(text, str)
    assert ("movzwl" in text) != wide
    layer().check([target for target in TARGETS if target.dot4 is None])
