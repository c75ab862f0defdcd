"""Elementwise kernels: the bits of numpy, on every target."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.graph import UNARY_KINDS
from lpc.compiler.dialects.tensors import Array, element_type_of, shape_of, si8, ui8
from support import EXAMPLES, SEEDS, Bench, extreme_codes, pick
from xdsl.ir import SSAValue

LENGTHS = (1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 63, 65)
PARAMETERS: dict[str, tuple[float, ...]] = {
    "leaky_relu": (0.1,),
    "elu": (1.3,),
    "selu": (1.6732632, 1.0507009),
    "hard_sigmoid": (0.2, 0.5),
    "clip": (-1.25, 2.5),
}
BINARY = (graph.AddOp, graph.SubOp, graph.MulOp, graph.DivOp, graph.MaximumOp, graph.MinimumOp)
SPECIAL = np.array(
    [
        0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -0.5, -2.5, 3.0, 6.0, 88.8, -88.8, 104.0, -104.0,
        1e-40, -1e-40, 1e-30, 3e38, -3e38, 8388609.0, 2147483648.0, -2147483904.0,
        np.inf, -np.inf, np.nan,
    ],
    np.float32,
)  # fmt: skip


def floats(g: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers of many magnitudes, and the special ones."""
    size = int(np.prod(shape))
    values = g.standard_normal(size) * np.exp(g.uniform(-8, 8, size))
    special = g.choice(SPECIAL, size)
    return np.where(g.random(size) < 0.2, special, values).astype(np.float32).reshape(shape)


def draw_shape(g: np.random.Generator) -> tuple[int, ...]:
    rank = int(g.integers(1, 5))
    return (*(int(n) for n in g.integers(1, 5, rank - 1)), int(pick(g, LENGTHS)))


def narrowed(g: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to `shape`: the same, per channel, per pixel, a scalar, or mixed."""
    kind = pick(g, ("same", "channel", "pixel", "scalar", "mixed", "mixed"))
    if kind == "channel":
        return shape[-1:]
    if kind == "pixel":
        return (*shape[:-1], 1)
    if kind == "scalar":
        return (1,)
    if kind == "mixed":
        return tuple(1 if g.random() < 0.4 else d for d in shape)
    return shape


def operand(bench: Bench, array: Array, g: np.random.Generator) -> SSAValue:
    return bench.constant(array) if g.random() < 0.4 else bench.input(array)


def add_binary(bench: Bench, g: np.random.Generator) -> None:
    shape = draw_shape(g)
    kind = pick(g, (*BINARY, graph.PReluOp))
    shapes = [shape, narrowed(g, shape)]
    if g.random() < 0.3:
        shapes[0] = narrowed(g, shape)
        shapes[1] = shape
    x = bench.input(floats(g, shapes[0]))
    y = operand(bench, floats(g, shapes[1]), g)
    lhs, rhs = (x, y) if g.random() < 0.6 or kind is graph.PReluOp else (y, x)
    value = bench(kind(lhs, rhs))
    label = f"{kind.name} {shape_of(lhs)} {shape_of(rhs)}"
    if g.random() < 0.4:
        value = bench(graph.UnaryOp("relu", value))
        label += ", relu"
    bench.output(value, label)


@given(SEEDS)
@EXAMPLES
def test_binary_ops_broadcast(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(20):
        add_binary(bench, g)
    bench.check()


def test_single_channels_have_no_room_for_vectors() -> None:
    """Rows that are not flat, because one operand is broadcast along them."""
    g, bench = np.random.default_rng(7), Bench()
    for shape in ((1, 2, 1), (3, 1), (2, 3, 5, 1)):
        x, slope = bench.input(floats(g, shape)), bench.input(floats(g, (1,)))
        bench.output(bench(graph.PReluOp(x, slope)), f"prelu {shape}")
    bench.check()


def test_every_unary_function() -> None:
    """All special values, and arguments around and between all interesting points."""
    g, bench = np.random.default_rng(5), Bench()
    for kind in UNARY_KINDS:
        x = np.concatenate([SPECIAL, g.standard_normal(200) * 4, floats(g, (131,))])
        value = bench.input(x.astype(np.float32))
        bench.output(bench(graph.UnaryOp(kind, value, *PARAMETERS.get(kind, ()))), kind)
    for exponent in (2.0, 3.0, -1.0, 0.5, -0.5, 0.0, 1.0):
        value = bench.input(floats(g, (77,)))
        power = bench.constant(np.float32(exponent))
        bench.output(bench(graph.PowOp(value, power)), f"power {exponent}")
    bench.check()


def draw_channels(g: np.random.Generator, rank: int) -> tuple[tuple[int, ...], int, int]:
    """A shape, an axis of it, mostly the last one, and how many scales there are along that."""
    shape = [*(int(n) for n in g.integers(1, 4, rank - 1)), int(pick(g, LENGTHS))]
    axis = rank - 1 if g.random() < 0.6 else int(g.integers(rank))
    shape[axis], shape[-1] = shape[-1], shape[axis]
    return tuple(shape), axis, int(pick(g, (1, shape[axis])))


def add_quantize(bench: Bench, g: np.random.Generator) -> None:
    """Real values on and around ties, to codes; per tensor and per channel."""
    shape, axis, count = draw_channels(g, 3)
    dtype = pick(g, (np.uint8, np.int8))
    info = np.iinfo(dtype)
    scale = np.exp2(g.integers(-6, 3, count)).astype(np.float32)
    if g.random() < 0.5:
        scale *= np.float32(0.7)
    zero_point = g.integers(info.min, info.max + 1, count)
    steps = g.integers(-600, 600, shape) / 2
    x = (steps * scale.reshape(-1, *(1,) * (2 - axis))).astype(np.float32)
    x = np.where(g.random(shape) < 0.2, np.nextafter(x, np.float32(np.inf)), x)
    x = np.where(g.random(shape) < 0.1, floats(g, shape), x)
    low, high = pick(g, ((info.min, info.max), (info.min + 9, info.max - 30)))
    code = element_type_of(dtype)
    op = graph.QuantizeOp(bench.input(x), scale, zero_point, code, axis, low, high)
    bench.output(bench(op), f"quantize {shape} {dtype.__name__} {count} scales along {axis}")


def add_requantize(bench: Bench, g: np.random.Generator) -> None:
    """Accumulators whose product with the multiplier ties, and the largest ones."""
    shape, axis, count = draw_channels(g, 2)
    dtype = pick(g, (np.uint8, np.int8))
    info = np.iinfo(dtype)
    multiplier = np.exp2(g.integers(-8, 0, count)).astype(np.float32)
    if g.random() < 0.5:
        multiplier = (multiplier * g.uniform(0.5, 1, count)).astype(np.float32)
    sums = g.integers(-(2**16), 2**16, shape)
    ends = g.choice([-(2**31), 2**31 - 1, 2**24 + 1, -(2**24) - 1, 2**30 + 63], shape)
    sums = np.where(g.random(shape) < 0.2, ends, sums).astype(np.int32)
    zero_point = int(g.integers(info.min, info.max + 1))
    code = element_type_of(dtype)
    op = graph.RequantizeOp(bench.input(sums), multiplier, zero_point, code, axis)
    bench.output(bench(op), f"requantize {shape} {dtype.__name__} {count} along {axis}")


def add_dequantize(bench: Bench, g: np.random.Generator) -> None:
    shape, axis, count = draw_channels(g, 2)
    dtype = pick(g, (np.uint8, np.int8, np.int32))
    info = np.iinfo(dtype)
    codes = extreme_codes(g, shape, dtype)
    zero_point = g.integers(-128, 256, count) if dtype is not np.int32 else 0
    scale = g.uniform(1e-3, 1, count).astype(np.float32)
    if dtype is np.int32:
        codes = g.integers(info.min // 2, info.max // 2, shape).astype(np.int32)
    op = graph.DequantizeOp(bench.input(codes), scale, zero_point, axis)
    bench.output(bench(op), f"dequantize {shape} {dtype.__name__} {count} along {axis}")


def add_fake_quantize(bench: Bench, g: np.random.Generator) -> None:
    """What `split-fake-quantize` declines: any limits, also reversed ones."""
    shape, axis, count = draw_channels(g, 3)
    limits = []
    for size in (1.0, 3.0):
        ends = g.uniform(-size, size, (2, count, *(1,) * (2 - axis))).astype(np.float32)
        limits += list(ends if g.random() < 0.3 else np.sort(ends, axis=0))
    il, ih, ol, oh = limits
    x = g.uniform(-1.5, 1.5, shape).astype(np.float32)
    x = np.where(g.random(shape) < 0.2, pick(g, (il, ih)), x)
    x = np.where(g.random(shape) < 0.1, floats(g, shape), x)
    levels = int(pick(g, (2, 16, 255, 256, 1000)))
    op = graph.FakeQuantizeOp(bench.input(x), levels, il, ih, ol, oh)
    bench.output(bench(op), f"fake_quantize {shape} {levels} levels, {count} along {axis}")


def add_codes(bench: Bench, g: np.random.Generator) -> None:
    """Tables and changes of signedness, alone and after each other."""
    shape = draw_shape(g)
    dtype = pick(g, (np.uint8, np.int8))
    value = bench.input(extreme_codes(g, shape, dtype))
    names = []
    for _ in range(int(g.integers(1, 4))):
        if g.random() < 0.5:
            names.append("recode")
            value = bench(graph.RecodeOp(value))
        else:
            names.append("lut")
            table = extreme_codes(g, (256,), pick(g, (np.uint8, np.int8)))
            value = bench(graph.LutOp(value, table))
    bench.output(value, f"{names} {shape} {dtype.__name__}")


def add_cast(bench: Bench, g: np.random.Generator) -> None:
    shape = draw_shape(g)
    kinds: tuple[Any, ...] = (np.uint8, np.int8, np.int32, np.float32)
    source, target = pick(g, kinds), pick(g, kinds)
    if source is np.float32:
        low, high = (-1000, 1000) if target is np.int32 else (0, 100)
        array = g.uniform(low, high, shape).astype(np.float32)
    else:
        array = g.integers(0, 100, shape).astype(source)
    op = graph.CastOp(bench.input(array), element_type_of(target))
    bench.output(bench(op), f"cast {source.__name__} → {target.__name__} {shape}")


def add_residual(bench: Bench, g: np.random.Generator) -> None:
    """Two branches of codes: dequantize, an op, a function, quantize."""
    shape = draw_shape(g)
    sides: list[SSAValue] = []
    for _ in range(2):
        dtype = pick(g, (np.uint8, np.int8))
        codes = bench.input(extreme_codes(g, narrowed(g, shape) if sides else shape, dtype))
        sides.append(bench(graph.DequantizeOp(codes, 0.03, int(g.integers(-9, 9)), 0)))
    value = bench(pick(g, BINARY[:3])(*sides))
    kind = pick(g, ("relu", "hard_swish", "tanh", "sigmoid"))
    value = bench(graph.UnaryOp(kind, value))
    value = bench(graph.QuantizeOp(value, 0.02, 5, pick(g, (ui8, si8)), 0))
    bench.output(value, f"codes, {kind} {shape}")


def add_gate(bench: Bench, g: np.random.Generator) -> None:
    """Squeeze and excite: one factor per channel, from codes through a table, for all pixels."""
    n, h, w, c = (*(int(size) for size in g.integers(1, 6, 3)), int(pick(g, (*LENGTHS, 144))))
    x = bench.input(extreme_codes(g, (n, h, w, c), pick(g, (np.uint8, np.int8))))
    gate = bench.input(extreme_codes(g, (int(pick(g, (1, n))), 1, 1, c), np.uint8))
    if g.random() < 0.5:
        gate = bench(graph.LutOp(gate, extreme_codes(g, (256,), np.uint8)))
    count = int(pick(g, (1, c)))
    real = bench(graph.DequantizeOp(x, g.uniform(0.01, 0.1, count).astype(np.float32), 7, 3))
    factor = bench(graph.DequantizeOp(gate, 1 / 255, 0, 3))
    sides = (real, factor) if g.random() < 0.5 else (factor, real)
    value = bench(graph.QuantizeOp(bench(graph.MulOp(*sides)), 0.02, 9, ui8, 3))
    bench.output(value, f"gate {(n, h, w, c)} {count} scales")


CASES = (
    add_quantize, add_requantize, add_dequantize, add_fake_quantize, add_codes, add_cast,
    add_residual, add_gate,
)  # fmt: skip


@given(SEEDS)
@EXAMPLES
def test_codes(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for add in CASES * 2:
        add(bench, g)
    bench.check()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_zero_point_is_added_after_rounding(dtype: type[np.generic]) -> None:
    """Ties with odd zero points: 2.5 rounds to 2, then 1 is added."""
    bench = Bench()
    x = np.arange(-300, 300, dtype=np.float32) / 2
    for zero_point in (0, 1, 127):
        op = graph.QuantizeOp(bench.input(x), 1.0, zero_point, element_type_of(dtype), 0)
        bench.output(bench(op), f"zero point {zero_point}")
    bench.check()


def test_long_chains_of_functions() -> None:
    """A dozen functions in one kernel, none fused into another's rounding."""
    g, bench = np.random.default_rng(3), Bench()
    kinds = ("sigmoid", "tanh", "exp", "softplus", "gelu", "erf", "silu", "mish")
    for first, second in pairwise(kinds):
        x = bench.input(g.standard_normal((3, 37)).astype(np.float32) * 3)
        value = bench(graph.UnaryOp(first, x))
        value = bench(graph.AddOp(bench(graph.MulOp(value, x)), x))
        bench.output(bench(graph.UnaryOp(second, value)), f"{first}, {second}")
    bench.check()
