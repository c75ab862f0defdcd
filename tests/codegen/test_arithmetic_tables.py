"""Tables that arithmetic computes: forms fit however float32 rounds, and kernels use them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.arithmetic_tables import Gate, Ramp, gate_of, ramp_of
from lpc.compiler.codegen.kernels.computed_tables import form_of
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, ui8
from lpc.compiler.numerics import dequantize, quantize
from support import FEW_EXAMPLES, SEEDS, Bench, extreme_codes, pick
from xdsl.ir import SSAValue

CODES = np.arange(256, dtype=np.uint8)


def grid(reals: tuple[float, float]) -> tuple[float, int]:
    """Scale and zero point of u8 codes for a range of reals that holds zero."""
    scale = (reals[1] - reals[0]) / 255
    return scale, round(-reals[0] / scale)


def quantized(reals: Array, scale: float, zero_point: int) -> Array:
    s, z = np.asarray([scale], np.float32), np.asarray([zero_point], np.int32)
    return quantize(reals.astype(np.float32), s, z, 0, 0, 255, np.uint8)


def hard_swish(x: Array) -> Array:
    return x * np.clip(x / np.float32(6) + np.float32(0.5), 0, 1)


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def table_of(
    function: Callable[[Array], Array], scales: tuple[float, float], zero_points: tuple[int, int]
) -> Array:
    s, z = np.asarray(scales[:1], np.float32), np.asarray(zero_points[:1], np.int32)
    return quantized(function(dequantize(CODES, s, z, 0)), scales[1], zero_points[1])


def hard_swish_table(least: float, most: float) -> tuple[int, Array]:
    """Zero point and table, with a range of results as calibration finds it."""
    scale, zero_point = grid((least, most))
    y = hard_swish(np.linspace(least, most, 1000))
    scale_of_y, zero_point_of_y = grid((y.min(), y.max()))
    return zero_point, table_of(hard_swish, (scale, scale_of_y), (zero_point, zero_point_of_y))


def computed(form: Ramp | Gate, t: Array, fused: bool) -> Array:
    """Entries, in float32: with products that are rounded, or not."""

    def multiply_add(a: Array, b: Array | float, c: float) -> Array:
        if fused:
            return np.asarray((a.astype(np.longdouble) * b + c).astype(np.float32))
        return np.asarray(a * np.asarray(b, np.float32) + np.float32(c))

    t = t.astype(np.float32)
    if isinstance(form, Ramp):
        reals = multiply_add(t, form.slope, form.offset)
    else:
        share = multiply_add(t, form.slope, form.middle)
        share = np.minimum(np.maximum(share, np.float32(0)), np.float32(form.top))
        reals = multiply_add(t, share, form.zero)
    return np.clip(np.rint(reals), form.low, form.high).astype(np.uint8)


@pytest.mark.once
@pytest.mark.parametrize("fused", [False, True])
@given(
    scales=st.tuples(st.floats(0.002, 0.2), st.floats(0.002, 0.2)),
    zero_points=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
def test_other_grids_are_ramps(
    fused: bool, scales: tuple[float, float], zero_points: tuple[int, int]
) -> None:
    table = table_of(np.positive, scales, zero_points)
    form = ramp_of(CODES, table)
    if form is not None:
        np.testing.assert_array_equal(computed(form, CODES, fused), table)


@pytest.mark.once
def test_most_grids_have_a_ramp_and_most_hard_swishes_a_gate() -> None:
    g = np.random.default_rng(1)
    grids = [
        table_of(np.positive, (a, a * g.uniform(0.5, 2)), (120, 99))
        for a in g.uniform(0.01, 0.1, 40)
    ]
    assert sum(ramp_of(CODES, table) is not None for table in grids) >= 36
    swishes = [hard_swish_table(-g.uniform(3, 9), g.uniform(3, 10)) for _ in range(40)]
    assert sum(gate_of(CODES, z, table) is not None for z, table in swishes) >= 36


@pytest.mark.once
@pytest.mark.parametrize("fused", [False, True])
@settings(max_examples=50, deadline=None)
@given(least=st.floats(-9, -3.1), most=st.floats(1, 12))
def test_hard_swish_is_a_gate(fused: bool, least: float, most: float) -> None:
    zero_point, table = hard_swish_table(least, most)
    form = gate_of(CODES, zero_point, table)
    if form is None:
        return
    t = np.arange(-(2**20), 2**20)
    expected = table[np.clip(t, -zero_point, 255 - zero_point) + zero_point]
    np.testing.assert_array_equal(computed(form, t, fused), expected)


@pytest.mark.parametrize(
    "table",
    [
        np.full(256, 7, np.uint8),
        np.arange(256, dtype=np.uint8)[::-1] // 128,
        np.random.default_rng(0).integers(0, 256, 256).astype(np.uint8),
        table_of(sigmoid, (0.05, 1 / 255), (128, 0)),
        hard_swish_table(-2, 4)[1],  # not closed where its codes end
        np.where(CODES < 200, 9, 200).astype(np.uint8),  # a step
    ],
)
def test_others_are_looked_up(table: Array) -> None:
    assert ramp_of(CODES, table) is None
    assert gate_of(CODES, 128, table) is None


# --- in kernels -----------------------------------------------------------------------------------


def sums_of(bench: Bench, g: np.random.Generator, outputs: int) -> SSAValue:
    x = bench.input(extreme_codes(g, (1, 4, 7, 24), np.uint8))
    weight = bench.constant(g.integers(-127, 128, (outputs, 24, 1, 1)).astype(np.int8))
    return bench(graph.QConv2dOp(x, weight, input_zero_point=117, layout="nhwc"))


def table_in(bench: Bench, codes: SSAValue, table: Array, computes: type | None) -> SSAValue:
    op = graph.LutOp(codes, table)
    form = form_of(op)
    assert (form is None) if computes is None else isinstance(form, computes)
    return bench(op)


@given(SEEDS)
@FEW_EXAMPLES
def test_kernels(seed: int) -> None:
    """Behind sums that reach far beyond the codes, and for codes in memory, as bytes and reals."""
    g, bench = np.random.default_rng(seed), Bench()
    ramp = table_of(np.positive, (0.02, 0.03), (100, 90))
    zero_point, gate = hard_swish_table(-5, 7)
    for outputs, spread in ((16, 0.002), (40, 0.01), (7, 0.4)):
        sums = sums_of(bench, g, outputs)
        multipliers = g.uniform(0.5, 1, outputs).astype(np.float32) * np.float32(spread)
        multipliers[0] = spread  # decides whether a product might not fit an i32
        codes = bench(graph.RequantizeOp(sums, multipliers, zero_point, ui8, 3))
        far = 2 * spread > 0.5
        for table, form in ((gate, None if far else Gate), (ramp, Ramp)):
            result = table_in(bench, codes, table, form)
            bench.output(result, f"{outputs}, {spread}, {form}")
            real = bench(graph.DequantizeOp(result, 0.07, 3, 3))
            again = bench(graph.DequantizeOp(codes, 0.02, 9, 3))
            bench.output(bench(graph.AddOp(real, again)), f"reals of {form}")
    for count in (1, 17, 96, 257):
        codes = bench.input(extreme_codes(g, (2, count), np.uint8))
        bench.output(table_in(bench, codes, ramp, Ramp), f"{count} codes of a ramp")
        table, form = pick(g, ((gate, None), (ramp[::-1], Ramp)))  # the zero point is not known
        bench.output(table_in(bench, codes, table, form), f"{count} codes, {form}")
    bench.check()


def test_codes_that_are_clamped_before() -> None:
    """A gate goes on beyond the codes, and would forget a narrower range; a ramp does not."""
    g, bench = np.random.default_rng(1), Bench()
    zero_point, gate = hard_swish_table(-5, 7)
    ramp = table_of(np.positive, (0.02, 0.03), (100, 90))
    for low, high in ((zero_point, 255), (0, 200), (zero_point - 20, zero_point + 30)):
        sums = sums_of(bench, g, 16)
        codes = bench(graph.RequantizeOp(sums, 0.002, zero_point, ui8, 3, low, high))
        for table, form in ((gate, None), (ramp, Ramp)):
            bench.output(table_in(bench, codes, table, form), f"{form}, codes {low} to {high}")
    bench.check()
