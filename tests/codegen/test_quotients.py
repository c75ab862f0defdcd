"""Products and fused sums instead of divisions: the same code for every float."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.quotients import factors_of
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, ui8
from support import Bench

SCALES = st.floats(2.0**-60, 2.0**60, width=32)


def clamped(reals: Array, low: int, high: int) -> Array:
    return np.clip(np.rint(reals), low, high)


def fused(x: Array, m: Array, r: Array) -> Array:
    """x86's extended precision holds these sums exactly."""
    wide = x.astype(np.longdouble) * m + (x * r).astype(np.longdouble)
    return np.asarray(wide.astype(np.float32))


@pytest.mark.once
@settings(deadline=None)
@given(scale=SCALES, zero_point=st.integers(0, 255), seed=st.integers(0, 2**32 - 1))
def test_every_float_gets_the_same_code(scale: float, zero_point: int, seed: int) -> None:
    s, g = np.asarray([scale], np.float32), np.random.default_rng(seed)
    low, high = -zero_point, 255 - zero_point
    factors = factors_of(s, low, high)
    if factors is None:
        return
    m, r = factors
    assert r[0] > 0
    middles = ((np.arange(low - 2, high + 3) + 0.5) * float(s[0])).astype(np.float32)
    near = middles.view(np.int32)[:, None] + np.arange(-20, 21, dtype=np.int32)
    anywhere = g.integers(0, 2**32, 20000, dtype=np.uint32).view(np.float32)
    within = (g.uniform(low - 5, high + 5, 20000) * float(s[0])).astype(np.float32)
    special = np.asarray([0.0, -0.0, inf, -inf, 1e-45, -1e-45, 3.4e38, -3.4e38], np.float32)
    x = np.concatenate([near.view(np.float32).ravel(), anywhere, within, special])
    x = x[~np.isnan(x)]
    with np.errstate(over="ignore", under="ignore"):
        expected, found = x / s, fused(x, m, r)
    assert np.array_equal(clamped(expected, low, high), clamped(found, low, high))


@pytest.mark.once
def test_divisions_seldom_stay() -> None:
    g = np.random.default_rng(3)
    scales = np.exp(g.uniform(-9, 2, 2000)).astype(np.float32)
    stay = [s for s in scales if factors_of(np.asarray([s]), -128, 127) is None]
    assert len(stay) < 20


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e-40, 1e38, inf, nan])
def test_divisions_by_unusual_scales_stay(scale: float) -> None:
    scales = np.asarray([0.5, scale], np.float32)
    with np.errstate(divide="ignore"):
        assert factors_of(scales, 0, 255) is None


def test_quantized_quotients_of_all_kinds() -> None:
    g, bench = np.random.default_rng(8), Bench()
    scales = np.exp(g.uniform(-6, 3, 21)).astype(np.float32)
    zero_points = g.integers(0, 256, 21)
    x = (g.uniform(-300, 300, (40, 21)) * scales).astype(np.float32)
    x[:3] = [[inf], [-inf], [0.0]]
    ties = (g.integers(-300, 300, (40, 21)) + 0.5) * scales.astype(np.float64)
    for reals in (x, ties.astype(np.float32)):
        op = graph.QuantizeOp(bench.input(reals), scales, zero_points, ui8, 1)
        bench.output(bench(op), "per channel")
        op = graph.QuantizeOp(bench.input(reals), scales[:1], zero_points[:1], ui8, 1)
        bench.output(bench(op), "per tensor")
    bench.check()
