"""Codes of functions that are approximated first: those of the interpreter, for any argument."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from lpc.compiler.approximations import APPROXIMATIONS
from lpc.compiler.codegen.kernels.speculation import LONGEST_RUN, speculation_of
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, element_type_of, ui8
from lpc.compiler.functions import evaluate_unary
from support import FEW_EXAMPLES, SEEDS, Bench, pick
from xdsl.ir import SSAValue

Real: TypeAlias = float | np.floating[Any]
ROOT, CUBE = np.float32(sqrt(2 / pi)), np.float32(0.044715)


class Build:
    """Ops, with numbers as constants."""

    def __init__(self, bench: Bench):
        self.bench = bench

    def unary(self, kind: str, x: SSAValue) -> SSAValue:
        return self.bench(graph.UnaryOp(kind, x))

    def add(self, a: SSAValue | Real, b: SSAValue | Real) -> SSAValue:
        return self._op(graph.AddOp, a, b)

    def mul(self, a: SSAValue | Real, b: SSAValue | Real) -> SSAValue:
        return self._op(graph.MulOp, a, b)

    def div(self, a: SSAValue | Real, b: SSAValue | Real) -> SSAValue:
        return self._op(graph.DivOp, a, b)

    def power(self, a: SSAValue, exponent: float) -> SSAValue:
        return self._op(graph.PowOp, a, exponent)

    def _op(self, kind: Any, *sides: SSAValue | Real) -> SSAValue:
        values = [
            side if isinstance(side, SSAValue) else self.bench.constant(np.float32(side))
            for side in sides
        ]
        return self.bench(kind(*values))


F32 = np.float32
#: Ops that make up a function, as they are exported, and the same in numpy.
COMPOSED: dict[str, tuple[Callable[[Build, SSAValue], SSAValue], Callable[[Array], Array]]] = {
    "x·sigmoid(x)": (
        lambda b, x: b.mul(x, b.unary("sigmoid", x)),
        lambda x: x * evaluate_unary("sigmoid", x),
    ),
    "sigmoid(x)·x": (
        lambda b, x: b.mul(b.unary("sigmoid", x), x),
        lambda x: evaluate_unary("sigmoid", x) * x,
    ),
    "(x·(erf(x/√2) + 1))·½": (
        lambda b, x: b.mul(b.mul(x, b.add(b.unary("erf", b.div(x, sqrt(2))), 1)), 0.5),
        lambda x: x * (evaluate_unary("erf", x / F32(sqrt(2))) + F32(1)) * F32(0.5),
    ),
    "(½·x)·(1 + erf(√½·x))": (
        lambda b, x: b.mul(b.mul(0.5, x), b.add(1, b.unary("erf", b.mul(sqrt(0.5), x)))),
        lambda x: F32(0.5) * x * (evaluate_unary("erf", F32(sqrt(0.5)) * x) + F32(1)),
    ),
    "(½·x)·(1 + tanh(√(2/π)·(x + 0.044715·x³)))": (
        lambda b, x: b.mul(
            b.mul(0.5, x),
            b.add(1, b.unary("tanh", b.mul(ROOT, b.add(x, b.mul(CUBE, b.power(x, 3)))))),
        ),
        lambda x: F32(0.5) * x * (evaluate_unary("tanh", ROOT * (x + CUBE * (x * x * x))) + F32(1)),
    ),
    "x·((tanh((x·x·x·0.044715 + x)·√(2/π)) + 1)·½)": (
        lambda b, x: b.mul(
            x,
            b.mul(
                b.add(
                    b.unary("tanh", b.mul(b.add(b.mul(b.mul(b.mul(x, x), x), CUBE), x), ROOT)),
                    1,
                ),
                0.5,
            ),
        ),
        lambda x: x * ((evaluate_unary("tanh", (x * x * x * CUBE + x) * ROOT) + F32(1)) * F32(0.5)),
    ),
}
KINDS = (*APPROXIMATIONS, *COMPOSED)
#: What scales are drawn from: codes that cover the function, few codes, and mostly saturated ones.
SCALES = (0.003, 0.006, 0.025, 0.3)
SPECIAL = np.asarray(
    [
        0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 86.0, -86.0, 87.4,
        -87.4, 88.1, -88.1, 105.0, -105.0, 1e9, -1e9, 1e20, -1e20, 16.0, -16.0, 2147483600.0,
    ],
    np.float32,
)  # fmt: skip


def reals(kind: str, x: Array) -> Array:
    with np.errstate(all="ignore"):
        if kind in COMPOSED:
            return np.asarray(COMPOSED[kind][1](x))
        return evaluate_unary(kind, x)


def apply(bench: Bench, kind: str, x: SSAValue) -> SSAValue:
    return COMPOSED[kind][0](Build(bench), x) if kind in COMPOSED else Build(bench).unary(kind, x)


def ordered(x: Array) -> Array:
    """Whole numbers in the order of the floats."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def floats_of(numbers: Array) -> Array:
    bits = np.where(numbers < 0, -numbers | 0x80000000, numbers)
    return bits.astype(np.uint32).view(np.float32)


def near_steps(kind: str, scale: float, g: np.random.Generator) -> Array:
    """Arguments next to those where the code changes: nowhere else can an approximation fail."""

    def code(numbers: Array) -> Array:
        return np.rint(reals(kind, floats_of(numbers)) / np.float32(scale))

    ends = np.sort(ordered(g.normal(0, 4, 2000).astype(np.float32)))
    low, high = ends[:-1], ends[1:]
    changes = code(low) != code(high)
    low, high = low[changes], high[changes]
    while (high - low > 1).any():
        middle = (low + high) // 2
        same = code(middle) == code(low)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return floats_of((low[:, None] + np.arange(-3, 5)).reshape(-1))


def arguments(kind: str, scale: float, g: np.random.Generator, size: int) -> Array:
    steps = near_steps(kind, scale, g)
    x = np.concatenate([SPECIAL, g.permutation(steps)[: size // 2]])
    rest = g.normal(0, 4, max(0, size - len(x))).astype(np.float32)
    return g.permutation(np.concatenate([x, rest]))[:size]


def add(bench: Bench, g: np.random.Generator, kind: str) -> None:
    """Rows that are flat, and pixels of channels with scales of their own."""
    dtype, scale = pick(g, (np.uint8, np.int8)), float(pick(g, SCALES))
    info, many = np.iinfo(dtype), g.random() < 0.5
    channels = int(pick(g, (1, 5, 16, 33, 64, 100, LONGEST_RUN + 7)))
    shape = (1, int(g.integers(1, 4)), int(g.integers(1, 900 // channels + 2)), channels)
    x = arguments(kind, scale, g, int(np.prod(shape))).reshape(shape)
    spread = g.choice([1, 1, 0.5, 1.7], channels if many else 1)
    zero_point = g.integers(info.min, info.max + 1, channels if many and g.random() < 0.7 else 1)
    low, high = pick(g, ((info.min, info.max), (info.min + 9, info.max - 30)))
    op = graph.QuantizeOp(
        apply(bench, kind, bench.input(x)),
        (scale * spread).astype(np.float32), zero_point, element_type_of(dtype), 3, low, high,
    )  # fmt: skip
    assert speculation_of(bench(op)) is not None
    bench.output(op.result, f"{kind}, {shape} {dtype.__name__} {scale} {len(spread)} scales")


@given(SEEDS)
@FEW_EXAMPLES
def test_codes(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for kind in KINDS:
        add(bench, g, kind)
    bench.check()


def test_arguments_that_are_computed() -> None:
    """Codes and an addition before the function, a gate for each channel, and results that more
    than the quantize reads."""
    g, bench = np.random.default_rng(3), Bench()
    codes = bench.input(g.integers(0, 256, (1, 5, 7, 40)).astype(np.uint8))
    real = bench(graph.DequantizeOp(codes, 0.05, 128, 3))
    gate = bench.input(g.normal(0, 2, (1, 1, 1, 40)).astype(np.float32))
    for value in (real, bench(graph.AddOp(real, gate)), bench(graph.MulOp(real, gate))):
        swish = apply(bench, "x·sigmoid(x)", value)
        bench.output(bench(graph.QuantizeOp(swish, 0.02, 15, ui8, 3)), "codes")
    bench.output(swish, "and reals", bound=np.full((1, 5, 7, 40), 1e-6))
    bench.check()


@pytest.mark.parametrize("scale", [1e-9, 0.0, float("nan")])
def test_scales_that_leave_too_much_in_doubt(scale: float) -> None:
    bench = Bench()
    value = bench(graph.UnaryOp("sigmoid", bench.input(np.zeros((1, 8), np.float32))))
    assert speculation_of(bench(graph.QuantizeOp(value, scale, 0, ui8, 1))) is None


def test_others_are_computed() -> None:
    bench = Bench()
    b, x, y = Build(bench), *(bench.input(np.zeros((1, 8), np.float32)) for _ in range(2))
    others = (
        x,
        b.unary("exp", x),
        b.mul(x, b.unary("sigmoid", y)),
        b.mul(b.mul(x, b.unary("sigmoid", x)), 2),
        b.mul(b.mul(0.5, x), b.add(1, b.unary("erf", b.div(y, sqrt(2))))),
        b.mul(b.mul(0.5, x), b.add(1, b.unary("erf", b.div(x, 1.414)))),
        b.mul(b.mul(0.5, x), b.add(0.999, b.unary("erf", b.div(x, sqrt(2))))),
        b.mul(b.mul(0.5, x), b.add(1, b.unary("tanh", b.mul(ROOT, b.add(x, b.power(x, 3)))))),
        b.mul(b.mul(b.mul(0.5, x), x), b.add(1, b.unary("erf", b.div(x, sqrt(2))))),
    )
    for value in others:
        assert speculation_of(bench(graph.QuantizeOp(value, 0.1, 0, ui8, 1))) is None
