"""Matrix products, with constant weights and of two activations: int8 exact, fp32 bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from lpc.compiler.codegen.kernels import batched_panels
from lpc.compiler.codegen.kernels.batched_bytes import choose_signs
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, ui8
from support import FEW_EXAMPLES, SEEDS, Bench, extreme_codes, in_some_form, levels_of, pick
from xdsl.ir import SSAValue

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65)

Shape = tuple[int, ...]


def draw_shapes(g: np.random.Generator, constant: bool) -> tuple[Shape, Shape]:
    """(…, m, k) and (…, k, n); leading axes broadcast, b has none where it is a weight matrix."""
    m, k, n = (int(pick(g, SIZES)) for _ in range(3))
    lead = tuple(int(d) for d in g.integers(1, 4, int(g.integers(0, 3))))
    if constant:
        return (*lead, m, k), (k, n)
    a = tuple(1 if g.random() < 0.2 else d for d in lead)
    b = tuple(1 if g.random() < 0.2 else d for d in lead)
    b = b[len(b) - int(g.integers(0, len(b) + 1)) :] if g.random() < 0.3 else b
    return (*a, m, k), (*b, k, n)


def add_codes(bench: Bench, g: np.random.Generator, constant: bool) -> None:
    """int8: accumulators, or codes after a requantize and a residual addition."""
    a_shape, b_shape = draw_shapes(g, constant)
    a_type = np.uint8 if constant else pick(g, (np.uint8, np.int8))
    b_type = pick(g, (np.uint8, np.int8))
    a = bench.input(extreme_codes(g, a_shape, a_type))
    right = extreme_codes(g, b_shape, b_type)
    b = bench.constant(right) if constant else bench.input(right)
    count = int(pick(g, (1, b_shape[-1])))
    info, wide = np.iinfo(a_type), np.iinfo(b_type)
    zero_points = g.integers(wide.min, wide.max + 1, count) if g.random() < 0.6 else 0
    bias = g.integers(-(2**16), 2**16, b_shape[-1]).astype(np.int32)
    op = graph.QMatMulOp(
        a,
        b,
        bench.constant(bias) if g.random() < 0.5 else None,
        a_zero_point=int(g.integers(info.min, info.max + 1)),
        b_zero_point=zero_points,
    )
    value = bench(op)
    label = f"{a_type.__name__}{a_shape} · {b_type.__name__}{b_shape} {constant=}"
    if g.random() < 0.5:
        value = finished(bench, g, value)
        label += " to codes"
    bench.output(value, label)


def finished(bench: Bench, g: np.random.Generator, sums: SSAValue) -> SSAValue:
    axis = len(shape_of(sums)) - 1
    channels = shape_of(sums)[-1]
    scale = (g.uniform(1, 4, int(pick(g, (1, channels)))) * 1e-4).astype(np.float32)
    value = bench(graph.DequantizeOp(sums, scale, 0, axis))
    other = bench.input(extreme_codes(g, shape_of(sums), np.uint8))
    value = bench(graph.AddOp(value, bench(graph.DequantizeOp(other, 0.02, 3, axis))))
    return bench(graph.QuantizeOp(value, 0.05, 100, ui8, axis))


def bound_of(a: Array, b: Array, bias: Array | None = None) -> Array:
    """|fp32 result − exact| ≤ (K + 2)·2⁻²⁴·Σ|a·b| for any order of summation, also with FMA."""
    total = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    if bias is not None:
        total = total + np.abs(bias)
    # Twice: the interpreter rounds its float64 sum once, too.
    return np.asarray((a.shape[-1] + 3) * 2.0**-24 * total)


def add_floats(bench: Bench, g: np.random.Generator, constant: bool) -> None:
    a_shape, b_shape = draw_shapes(g, constant)
    a, b = (g.standard_normal(s).astype(np.float32) for s in (a_shape, b_shape))
    bias: Any = g.standard_normal(b_shape[-1]).astype(np.float32) if g.random() < 0.5 else None
    operand = None
    if bias is not None:
        operand = bench.constant(bias) if g.random() < 0.7 else bench.input(bias)
    right = bench.constant(b) if constant else bench.input(b)
    value = bench(graph.MatMulOp(bench.input(a), right, operand))
    if g.random() < 0.4:
        value = bench(graph.UnaryOp("relu", value))
    bench.output(value, f"f32 {a_shape} · {b_shape} {constant=}", bound_of(a, b, bias))


@given(SEEDS)
@FEW_EXAMPLES
def test_products_with_constant_weights(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(4):
        add_codes(bench, g, True)
        add_floats(bench, g, True)
    with in_some_form(g):
        bench.check()


@given(SEEDS)
@FEW_EXAMPLES
def test_products_of_activations(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(4):
        add_codes(bench, g, False)
        add_floats(bench, g, False)
    bench.check()


def test_long_products_of_activations_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    g = np.random.default_rng(5)
    for most in (batched_panels._MOST_DEPTH, 16):
        monkeypatch.setattr(batched_panels, "_MOST_DEPTH", most)
        bench = Bench()
        for m, k, n in ((5, 2 * most + 3, 17), (13, most + 1, 16), (3, 3 * most, 33), (7, most, 5)):
            a, b = (bench.input(extreme_codes(g, (2, *s), np.uint8)) for s in ((m, k), (k, n)))
            sums = bench(graph.QMatMulOp(a, b, a_zero_point=7, b_zero_point=200))
            bench.output(sums, f"{m}x{k} by {k}x{n}, parts of {most}")
        bench.check()


def test_constant_batches_and_constant_left_operands() -> None:
    """Constants that are no weight matrix are read from the library's data."""
    g, bench = np.random.default_rng(4), Bench()
    for a_shape, b_shape in (
        ((3, 5, 7), (3, 7, 20)), ((5, 7), (3, 7, 16)), ((2, 2, 4), (4, 3)), ((1, 1), (1, 5)),
        ((1, 6), (6, 1)),
    ):  # fmt: skip
        a, b = (g.standard_normal(s).astype(np.float32) for s in (a_shape, b_shape))
        left, right = bench.input(a), bench.constant(b)
        bench.output(bench(graph.MatMulOp(left, right)), f"{b_shape}", bound_of(a, b))
        left, right = bench.constant(a), bench.input(b)
        bench.output(bench(graph.MatMulOp(left, right)), f"const {a_shape}", bound_of(a, b))
        bias = g.standard_normal(b_shape[-1]).astype(np.float32)
        value = bench(graph.MatMulOp(bench.input(a), bench.constant(b), bench.input(bias)))
        bench.output(value, f"bias at run time {b_shape}", bound_of(a, b, bias))
    bench.check()


def test_activations_at_the_extremes() -> None:
    """Both operands at the ends of their types, against zero points at the ends."""
    bench = Bench()
    for k in (1, 2, 63, 64, 65, 1024):
        for dtype in (np.uint8, np.int8):
            info = np.iinfo(dtype)
            for end, zero_point in ((info.max, info.min), (info.min, info.max)):
                a = bench.input(np.full((2, 3, k), end, dtype))
                b = bench.input(np.full((2, k, 17), end, dtype))
                op = graph.QMatMulOp(a, b, a_zero_point=zero_point, b_zero_point=zero_point)
                bench.output(bench(op), f"{k=} {dtype.__name__} {end=}")
    bench.check()


@pytest.mark.parametrize(
    ("target", "dtype", "zero_points", "signs"),
    [
        # Codes of both operands as they lie in memory, without a sum for a zero point.
        ("avx10", np.uint8, (0, 0), "uu"),
        ("avx10", np.int8, (0, 0), "ss"),
        # Symmetric codes, unsigned: flips take zero points away, and cost least.
        ("avx10", np.uint8, (128, 128), "ss"),
        ("avx_vnni", np.uint8, (128, 128), "us"),
        # Sums of columns are made once for all rows, so the zero point of a is the cheaper one.
        ("avx_vnni", np.uint8, (0, 0), "su"),
        ("avx_vnni", np.int8, (0, 0), "us"),
    ],
)
def test_signs_of_products(
    target: str, dtype: Any, zero_points: tuple[int, int], signs: str
) -> None:
    operands = [(np.dtype(dtype), np.asarray([zero], np.int32)) for zero in zero_points]
    chosen = choose_signs(operands[0], operands[1], by_name(target), (128, 128, 64))
    assert "".join(seen.sign for seen in chosen) == signs


@pytest.mark.parametrize(("dtype", "opcode"), [(np.uint8, "vpdpbuud"), (np.int8, "vpdpbssd")])
def test_codes_of_equal_signs_are_multiplied_as_they_are(dtype: Any, opcode: str) -> None:
    bench = Bench()
    a, b = (bench.input(np.zeros(shape, dtype)) for shape in ((2, 8, 64), (2, 64, 32)))
    bench.output(bench(graph.QMatMulOp(a, b)), "sums")
    text = levels_of(bench.module(), by_name("avx10"))["asm"].printed()
    assert isinstance(text, str)
    assert text.count(opcode) >= 8
    assert "vpxor\t%ymm" not in text
    assert "vpdpbusd" not in text
