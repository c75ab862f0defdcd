"""NaN, infinities, denormals and −0 in float tensors: the interpreter's answer, on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulation import targets_tested
from hostile import run
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, element_type_of, ui8
from lpc.compiler.interpreters.graph import run_graph
from support import Bench, load
from test_elementwise import SPECIAL

EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)


def special(g: np.random.Generator, shape: tuple[int, ...], share: float = 0.2) -> Array:
    """Ordinary numbers, and special ones among them."""
    x = (g.standard_normal(shape) * 4).astype(np.float32)
    return np.where(g.random(shape) < share, g.choice(SPECIAL, shape), x)


@EACH_TARGET
def test_rows(target: Target) -> None:
    g, bench = np.random.default_rng(1), Bench()
    for length in (1, 5, 16, 17, 33):
        # Rows with one special number, and rows with many.
        rows = special(g, (40, length), 0.0)
        rows[: len(SPECIAL), length // 2] = SPECIAL
        x = bench.input(np.concatenate([rows, special(g, (40, length))]))
        bench.output(bench(graph.SoftmaxOp(x, 1)), f"softmax {length}")
        weight, bias = (bench.constant(special(g, (length,), 0.0)) for _ in range(2))
        bench.output(bench(graph.LayerNormOp(x, weight, bias, 1e-5)), f"layer norm {length}")
        for kind in ("sum", "mean", "max", "min"):
            for axes in ([1], [0], [0, 1]):
                value = bench(graph.ReduceOp(kind, x, axes, True))
                bench.output(value, f"{kind} {length} {axes}")
    bench.check([target])


@EACH_TARGET
def test_pools(target: Target) -> None:
    g, bench = np.random.default_rng(2), Bench()
    for channels in (1, 3, 16, 35):
        x = bench.input(special(g, (1, 9, 8, channels)))
        for pads in ((0, 0, 0, 0), (1, 0, 1, 1)):
            window: dict[str, Any] = {"pads": pads, "strides": (2, 1), "layout": "nhwc"}
            value = bench(graph.MaxPoolOp(x, (3, 2), **window))
            bench.output(value, f"max {channels} {pads}")
            codes = bench(graph.QuantizeOp(value, 0.05, 40, ui8, 3))
            bench.output(codes, f"quantized max {channels} {pads}")
            value = bench(graph.AvgPoolOp(x, (3, 2), **window))
            bench.output(value, f"average {channels} {pads}")
    bench.check([target])


@EACH_TARGET
def test_float_contractions(target: Target) -> None:
    """Each result that an infinity or a NaN reaches is what it is in any order; no other one is."""
    if not targets_tested([target]):
        pytest.skip("another target is tested")
    g, bench = np.random.default_rng(6), Bench()
    for channels, outputs, kernel, groups in ((5, 7, 3, 1), (17, 33, 1, 1), (18, 18, 3, 18)):
        x = g.standard_normal((1, 6, 7, channels)).astype(np.float32)
        x[0, 2, 3, 0], x[0, 4, 4, -1], x[0, 5, 0, 1] = np.inf, np.nan, -np.inf
        shape = (outputs, channels // groups, kernel, kernel)
        weight = bench.constant(g.standard_normal(shape).astype(np.float32))
        window: dict[str, Any] = {"pads": (kernel // 2,) * 4, "groups": groups, "layout": "nhwc"}
        value = bench(graph.Conv2dOp(bench.input(x), weight, **window))
        bench.output(bench(graph.UnaryOp("relu", value)), f"{shape}")
    a = g.standard_normal((9, 19)).astype(np.float32)
    a[2, 3], a[4, 18], a[8, 0] = np.inf, np.nan, -np.inf
    weight = bench.constant(g.standard_normal((19, 21)).astype(np.float32))
    bench.output(bench(graph.MatMulOp(bench.input(a), weight)), "matmul")
    module = bench.module()
    expected = run_graph(module, bench.arrays)
    for actual, wanted in zip(run(load(module, target), bench.arrays), expected, strict=True):
        assert 0 < np.isfinite(wanted).sum() < wanted.size
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-4)


@EACH_TARGET
def test_clamps_before_codes(target: Target) -> None:
    """What the passes make of clamps that meet a quantize, for zero points at both ends and
    between."""
    g, bench = np.random.default_rng(3), Bench()
    x = bench.input(np.concatenate([SPECIAL, special(g, (70,))]))
    bound = bench.constant(np.array([1.5], np.float32))
    clamps = {
        "relu": graph.UnaryOp("relu", x),
        "clip": graph.UnaryOp("clip", x, -1.0, 6.0),
        "maximum": graph.MaximumOp(x, bound),
        "maximum of": graph.MaximumOp(bound, x),
        "minimum": graph.MinimumOp(x, bound),
        "minimum of": graph.MinimumOp(bound, x),
    }
    for name, op in clamps.items():
        value = bench(op)
        for zero_point in (0, 7, 255):
            codes = bench(graph.QuantizeOp(value, 0.05, zero_point, ui8, 0))
            bench.output(codes, f"{name}, zero point {zero_point}")
    bench.check([target])


@EACH_TARGET
def test_indices_outside_their_axis(target: Target) -> None:
    """Nothing outside the table is read, whatever the index is."""
    g, bench = np.random.default_rng(5), Bench()
    ends = [-(2**63), -(2**40), -(2**31) - 1, -11, -10, -1, 0, 9, 10, 2**31, 2**32, 2**63 - 1]
    indices = bench.input(np.array(ends, np.int64))
    for shape, axis in (((10, 16), 0), ((10, 3), 0), ((3, 10), 1), ((2, 10, 5), 1)):
        x = bench.input(special(g, shape))
        bench.output(bench(graph.GatherOp(x, indices, axis)), f"gather {shape} {axis}")
        codes = bench.input(g.integers(0, 256, shape).astype(np.uint8))
        bench.output(bench(graph.GatherOp(codes, indices, axis)), f"codes {shape} {axis}")
    bench.check([target])


@EACH_TARGET
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64, np.bool_])
def test_casts(target: Target, dtype: type) -> None:
    g, bench = np.random.default_rng(4), Bench()
    for shape in ((1,), (17,), (3, 70)):
        x = bench.input(np.concatenate([SPECIAL, special(g, shape).reshape(-1)]))
        bench.output(bench(graph.CastOp(x, element_type_of(dtype))), f"{dtype.__name__} {shape}")
    longs = bench.input(np.array([0, -1, 300, 2**31, 2**32, 2**32 + 5, -(2**63), 2**63 - 1]))
    bench.output(bench(graph.CastOp(longs, element_type_of(dtype))), f"{dtype.__name__} of int64")
    bench.check([target])
