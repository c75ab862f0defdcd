"""Indices and masks: i64, i1 and conversions, gathers whose indices are inputs, rank five."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, element_type_of
from lpc.compiler.errors import LpcError
from support import Bench

SHAPES = ((1,), (16,), (3, 17), (2, 3, 5, 20))


def sample(g: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    if dtype is np.float32:
        reals = g.uniform(-300, 300, shape)
        return np.where(g.random(shape) < 0.2, 0.0, reals).astype(np.float32)
    if dtype is np.bool_:
        return g.random(shape) < 0.5
    info = np.iinfo(np.int16) if dtype in (np.int32, np.int64) else np.iinfo(dtype)
    values = g.integers(info.min, info.max + 1, shape)
    return np.where(g.random(shape) < 0.2, 0, values).astype(dtype)


def test_every_cast() -> None:
    g, bench = np.random.default_rng(6), Bench()
    kinds = (np.uint8, np.int8, np.int32, np.int64, np.float32, np.bool_)
    for source, target in product(kinds, kinds):
        for shape in SHAPES[1:3]:
            x = bench.input(sample(g, shape, source))
            value = bench(graph.CastOp(x, element_type_of(target)))
            bench.output(value, f"cast {source.__name__} → {target.__name__} {shape}")
    bench.check()


def test_casts_wrap_before_they_go_on() -> None:
    """300 as a byte is 44, also when the byte stays in a register."""
    bench = Bench()
    x = bench.input(np.array([300, -1, 255, 256, 65537, -129], np.int32))
    for dtype in (np.uint8, np.int8):
        value = bench(graph.CastOp(x, element_type_of(dtype)))
        bench.output(bench(graph.DequantizeOp(value, 0.5, 3, 0)), f"through {dtype.__name__}")
        back = bench(graph.CastOp(value, element_type_of(np.float32)))
        bench.output(back, f"back from {dtype.__name__}")
    bench.check()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_gather_with_indices_at_run_time(dtype: Any) -> None:
    """Embedding look-ups: tables constant or not, indices of several shapes, from the end too."""
    g, bench = np.random.default_rng(7), Bench()
    for shape, axis, picked in (
        ((10, 16), 0, (4,)), ((10, 5), 0, (2, 3)), ((3, 7), 1, (4,)), ((2, 5, 3), 1, (2, 2)),
        ((9,), 0, (5,)), ((4, 3, 2, 5), 2, (3,)), ((1, 4), 0, (2,)), ((6, 33), 0, ()),
    ):  # fmt: skip
        size = shape[axis]
        indices = bench.input(np.asarray(g.integers(-size, size, picked), np.int64))
        table = sample(g, shape, dtype)
        for x in (bench.input(table), bench.constant(table)):
            bench.output(bench(graph.GatherOp(x, indices, axis)), f"{shape} {axis} {picked}")
    bench.check()


def test_gathered_indices_may_be_computed() -> None:
    g, bench = np.random.default_rng(8), Bench()
    table = bench.constant(g.standard_normal((50, 24)).astype(np.float32))
    x = bench.input(g.uniform(0, 50, (3, 18)).astype(np.float32))
    indices = bench(graph.CastOp(x, element_type_of(np.int64)))
    embedded = bench(graph.GatherOp(table, indices, 0))
    bench.output(bench(graph.UnaryOp("tanh", embedded)), "embedding")
    bench.check()


def test_rank_five_broadcasts() -> None:
    """Leading axes fold into the images only where all operands fold alike."""
    g, bench = np.random.default_rng(10), Bench()
    for left, right in (
        ((2, 3, 2, 4, 5), (1, 3, 1, 4, 5)), ((2, 1, 2, 4, 5), (1, 3, 2, 4, 5)),
        ((2, 3, 2, 4, 5), (5,)), ((2, 3, 2, 4, 17), (2, 1, 1, 1, 1)),
        ((2, 3, 1, 1, 3), (3, 1, 1, 1)),
    ):  # fmt: skip
        a, b = (bench.input(g.standard_normal(s).astype(np.float32)) for s in (left, right))
        value = bench(graph.AddOp(a, b))
        bench.output(bench(graph.UnaryOp("relu", value)), f"{left} + {right}")
    shapes = ((2, 1, 3, 4, 5), (1, 2, 1, 5, 6))
    a, b = (bench.input(g.integers(0, 256, s).astype(np.uint8)) for s in shapes)
    bench.output(bench(graph.QMatMulOp(a, b)), "matmul of rank five")
    x = bench.input(g.standard_normal((2, 3, 2, 4, 5)).astype(np.float32))
    for axes in ([0], [1], [0, 2], [1, 4], [4]):
        bench.output(bench(graph.ReduceOp("sum", x, axes, False)), f"sum over {axes}")
    bench.output(bench(graph.SoftmaxOp(x, 1)), "softmax of rank five")
    bench.check()


def test_powers_that_no_kernel_computes() -> None:
    bench = Bench()
    x = bench.input(np.ones(4, np.float32))
    bench.output(bench(graph.PowOp(x, bench.constant(np.float32(2.5)))), "x ** 2.5")
    with pytest.raises(LpcError, match=r"exponent 2\.5"):
        bench.check()
