"""Softmax, layer normalization and reductions: the canonical order, hence the bits of numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from lpc.compiler.codegen.kernels import rows
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, ui8
from support import FEW_EXAMPLES, SEEDS, Bench, extreme_codes, pick
from xdsl.ir import SSAValue

LENGTHS = (1, 2, 5, 15, 16, 17, 31, 32, 33, 49, 100)


def draw_shape(g: np.random.Generator, least_rank: int = 1) -> tuple[int, ...]:
    rank = int(g.integers(least_rank, 5))
    return (*(int(n) for n in g.integers(1, 5, rank - 1)), int(pick(g, LENGTHS)))


def draw_values(g: np.random.Generator, shape: tuple[int, ...]) -> Array:
    values = (g.standard_normal(shape) * np.exp(g.uniform(-3, 3, shape))).astype(np.float32)
    return np.where(g.random(shape) < 0.02, np.float32(-np.inf), values)


def source(bench: Bench, g: np.random.Generator, shape: tuple[int, ...]) -> SSAValue:
    """Floats, or codes that the kernel dequantizes while it reads them."""
    if g.random() < 0.5:
        return bench.input(draw_values(g, shape))
    codes = bench.input(extreme_codes(g, shape, pick(g, (np.uint8, np.int8))))
    return bench(graph.DequantizeOp(codes, pick(g, (0.04, 0.33, 0.4)), 5, 0))


def sink(bench: Bench, g: np.random.Generator, value: SSAValue, label: str) -> None:
    if g.random() < 0.3:
        value = bench(graph.QuantizeOp(value, 1 / 255, 0, ui8, 0))
    bench.output(value, f"{label} {shape_of(value)}")


def add_softmax(bench: Bench, g: np.random.Generator) -> None:
    shape = draw_shape(g)
    axis = len(shape) - 1 if g.random() < 0.6 else int(g.integers(len(shape)))
    value = bench(graph.SoftmaxOp(source(bench, g, shape), axis))
    sink(bench, g, value, f"softmax over {axis}")


def add_layer_norm(bench: Bench, g: np.random.Generator) -> None:
    shape = draw_shape(g)
    weight, bias = (
        bench.constant(g.standard_normal(shape[-1]).astype(np.float32)) for _ in range(2)
    )
    finite = bench.input(g.standard_normal(shape).astype(np.float32))
    sink(bench, g, bench(graph.LayerNormOp(finite, weight, bias, 1e-5)), "layer norm")


def add_reduction(bench: Bench, g: np.random.Generator) -> None:
    shape = draw_shape(g)
    kind = pick(g, ("sum", "mean", "max", "min"))
    axes = [len(shape) - 1]
    if g.random() < 0.6:
        axes = sorted(int(a) for a in g.permutation(len(shape))[: int(g.integers(1, 5))])
    keep = bool(g.integers(2))
    value = bench(graph.ReduceOp(kind, source(bench, g, shape), axes, keep))
    if not shape_of(value):
        value = bench(graph.ReshapeOp(value, (1,)))
    sink(bench, g, value, f"{kind} of {shape} over {axes}, keep {keep}")


CASES = (add_softmax, add_layer_norm, add_reduction)


def test_softmax_of_rows_that_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than 32 elements; usually of more than 8192."""
    monkeypatch.setattr(rows, "_MOST_KEPT", 128)
    g, bench = np.random.default_rng(3), Bench()
    for length in (31, 32, 33, 48, 100):
        value = bench(graph.SoftmaxOp(source(bench, g, (3, length)), 1))
        sink(bench, g, value, "softmax")
    bench.check()


@given(SEEDS)
@FEW_EXAMPLES
def test_rows(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for add in CASES * 2:
        add(bench, g)
    bench.check()
