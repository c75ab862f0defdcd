"""Concatenations of channels: what is written and read in the middle of another tensor's pixels.

Networks grow at random: every step makes a tensor from one that exists, with any kind of kernel, or
concatenates some of them, often the same ones as before and more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import given
from lpc.compiler.codegen.program import TargetProgram
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import is_code, shape_of, ui8
from support import FEW_EXAMPLES, SEEDS, Bench, extreme_codes, levels_of, pick
from xdsl.ir import SSAValue

#: Mostly multiples of 16, which all but the last part must have.
CHANNELS = (16, 16, 16, 16, 32, 32, 32, 48, 48, 64, 64, 80, 1, 20)


@dataclass
class Network:
    """The tensors so far, all of one image size, and what is concatenated."""

    bench: Bench
    g: np.random.Generator
    tensors: list[SSAValue] = field(default_factory=list)
    joined: list[list[SSAValue]] = field(default_factory=list)

    def some(self) -> SSAValue:
        tensor: SSAValue = pick(self.g, self.tensors)
        return tensor

    def codes(self, value: SSAValue) -> SSAValue:
        if is_code(value):
            return value
        return self.bench(graph.QuantizeOp(value, 0.05, int(pick(self.g, (0, 7))), ui8, 3))

    def reals(self, value: SSAValue) -> SSAValue:
        return self.bench(graph.DequantizeOp(value, 1 / 16, 7, 3)) if is_code(value) else value

    def grow(self) -> None:
        steps = [convolution, convolution, depthwise, pool, table, residual, real_convolution, row]
        if shape_of(self.some())[2] == 16:
            steps += [product, product]
        grown = pick(self.g, steps)(self, self.some())
        if self.g.random() < 0.2:
            grown = self.reals(grown)
        self.tensors.append(grown)

    def join(self) -> None:
        """A few tensors of one type, or what was concatenated before and more."""
        g = self.g
        if self.joined and g.random() < 0.5:
            parts = list(pick(g, self.joined))
            more = [t for t in self.tensors if is_code(t) == is_code(parts[0])]
            parts += [pick(g, more)] if more else []
        else:
            code = is_code(self.some())
            alike = [t for t in self.tensors if is_code(t) == code]
            count = min(len(alike), int(pick(g, (1, 2, 2, 3, 4))))
            parts = [alike[int(i)] for i in g.permutation(len(alike))[:count]]
            parts.sort(key=lambda t: shape_of(t)[-1] % 16 != 0 and g.random() < 0.8)
            if g.random() < 0.1:
                parts.append(parts[0])
        self.joined.append(parts)
        self.tensors.append(self.bench(graph.ConcatOp(parts, 3)))


def convolution(net: Network, x: SSAValue, outputs: int | None = None) -> SSAValue:
    """With a halo or without, and small enough for one image size."""
    g, bench, x = net.g, net.bench, net.codes(x)
    outputs, side = outputs or int(pick(g, CHANNELS)), int(pick(g, (1, 3, 3)))
    weight = g.integers(-20, 21, (outputs, shape_of(x)[-1], side, side)).astype(np.int8)
    pads = (side // 2,) * 4
    zero_point = int(pick(g, (0, 7)))
    op = graph.QConv2dOp(
        x, bench.constant(weight), input_zero_point=zero_point, pads=pads, layout="nhwc"
    )
    return bench(graph.RequantizeOp(bench(op), 0.002, 120, ui8, 3))


def depthwise(net: Network, x: SSAValue) -> SSAValue:
    g, bench, x = net.g, net.bench, net.codes(x)
    channels = shape_of(x)[-1]
    weight = g.integers(-90, 91, (channels, 1, 3, 3)).astype(np.int8)
    op = graph.QConv2dOp(
        x,
        bench.constant(weight),
        input_zero_point=int(pick(g, (0, 7))),
        pads=(1, 1, 1, 1),
        groups=channels,
        layout="nhwc",
    )
    return bench(graph.RequantizeOp(bench(op), 0.002, 120, ui8, 3))


def pool(net: Network, x: SSAValue) -> SSAValue:
    window: dict[str, Any] = {"pads": (1, 1, 1, 1), "layout": "nhwc"}
    if net.g.random() < 0.5:
        return net.bench(graph.MaxPoolOp(x, (3, 3), **window))
    return net.bench(graph.AvgPoolOp(net.reals(x), (3, 3), count_include_pad=False, **window))


def table(net: Network, x: SSAValue) -> SSAValue:
    """Elementwise: a table, or floats."""
    if not is_code(x):
        return net.bench(graph.UnaryOp("relu", x))
    return net.bench(graph.LutOp(x, net.g.integers(0, 256, 256).astype(np.uint8)))


def residual(net: Network, x: SSAValue) -> SSAValue:
    """A convolution that adds what it reads: two tensors with strides of their own, or one."""
    bench, g = net.bench, net.g
    own = net.reals(convolution(net, x, shape_of(x)[-1]))
    total = bench(graph.AddOp(own, net.reals(net.codes(x))))
    return net.codes(total) if g.random() < 0.7 else total


def real_convolution(net: Network, x: SSAValue) -> SSAValue:
    """Of codes times a power of two: sums are exact in any order."""
    g, bench = net.g, net.bench
    x, outputs = net.reals(net.codes(x)), int(pick(g, CHANNELS))
    weight = g.integers(-3, 4, (outputs, shape_of(x)[-1], 1, 1)).astype(np.float32)
    return bench(graph.Conv2dOp(x, bench.constant(weight), layout="nhwc"))


def row(net: Network, x: SSAValue) -> SSAValue:
    value = net.bench(graph.SoftmaxOp(net.reals(x), 3))
    return net.bench(graph.QuantizeOp(value, 1 / 255, 0, ui8, 3))


def product(net: Network, x: SSAValue) -> SSAValue:
    """Of 16 columns of pixels and as many channels: two tensors, either of which may be a part."""
    narrow = [t for t in net.tensors if shape_of(t)[-1] == 16]
    a = net.codes(pick(net.g, narrow)) if narrow else convolution(net, x, 16)
    sums = net.bench(graph.QMatMulOp(a, net.codes(x), a_zero_point=7, b_zero_point=3))
    return net.bench(graph.RequantizeOp(sums, 0.002, 120, ui8, 3))


def add_network(bench: Bench, g: np.random.Generator) -> None:
    shape = (int(pick(g, (1, 1, 2))), int(g.integers(1, 8)), int(pick(g, (*range(1, 8), 16, 16))))
    net = Network(bench, g)
    net.tensors.append(bench.input(extreme_codes(g, (*shape, int(pick(g, CHANNELS))), np.uint8)))
    if g.random() < 0.3:
        net.tensors.append(bench.constant(extreme_codes(g, (*shape, 16), np.uint8)))
    net.tensors.append(convolution(net, net.tensors[0]))
    for _ in range(int(g.integers(4, 10))):
        (net.join if g.random() < 0.45 else net.grow)()
    unread = [t for t in net.tensors if not list(t.uses)]
    others = [t for t in net.tensors[1:] if g.random() < 0.15 and t not in unread]
    unread = [convolution(net, t) if g.random() < 0.6 else t for t in unread]
    for value in unread + others:
        if g.random() < 0.3:
            value = bench(graph.ReshapeOp(value, (int(np.prod(shape_of(value))),)))
        bench.output(value, f"{len(net.joined)} concats of {shape}")


@given(SEEDS)
@FEW_EXAMPLES
def test_networks(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(6):
        add_network(bench, g)
    bench.check()


def test_what_is_written_in_place_is_no_step() -> None:
    bench = Bench()
    x = bench.input(np.zeros((1, 2, 3, 16), np.uint8))
    parts = [bench(graph.LutOp(x, np.full(256, fill, np.uint8))) for fill in (1, 2)]
    joined = bench(graph.ConcatOp(parts, 3))
    bench.output(bench(graph.LutOp(joined, np.arange(256, dtype=np.uint8))), "both")
    program = levels_of(bench.module(), by_name("sse42"))["obj"].content
    assert isinstance(program, TargetProgram)
    first, second, both = program.steps
    whole = first.arguments[1]
    assert second.arguments[1] == replace(whole, offset=whole.offset + 16)
    assert both.arguments[0] == whole
