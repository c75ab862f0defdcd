"""The numeric contract: ties, extremes, order of operations; against scalar Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpc.compiler import numerics

Array = np.ndarray[Any, Any]
f32 = np.float32


def floats(values: Any) -> Array:
    return np.asarray(values, f32)


def quantized(x: Any, scale: Any, zero_point: Any, dtype: Any = np.uint8, axis: int = 0) -> Any:
    limits = np.iinfo(dtype)
    return numerics.quantize(
        np.asarray(x, f32),
        np.atleast_1d(np.asarray(scale, f32)),
        np.atleast_1d(np.asarray(zero_point, np.int32)),
        axis,
        int(limits.min),
        int(limits.max),
        dtype,
    )


def test_ties_go_to_even() -> None:
    x = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]
    assert quantized(x, 1, 0, np.int8).tolist() == [-2, -2, 0, 0, 2, 2, 4]


def test_zero_point_is_added_after_rounding() -> None:
    assert quantized([2.5], 1, 1).tolist() == [3]  # rint(2.5 + 1) would be 4


def test_quantize_divides() -> None:
    x, s = f32(0.09), f32(0.02)
    assert np.rint(x * (f32(1) / s)) == 4
    assert quantized([x], s, 0).tolist() == [5]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_extremes_saturate_and_nan_is_the_lowest_code(dtype: Any) -> None:
    limits = np.iinfo(dtype)
    codes = quantized([np.inf, 1e30, -np.inf, -1e30, np.nan], 1e-3, 5, dtype)
    assert codes.tolist() == [limits.max, limits.max, limits.min, limits.min, limits.min]


def test_per_channel_parameters_follow_their_axis() -> None:
    x = np.ones((2, 3), f32)
    codes = quantized(x, [1, 0.5, 0.25], [0, 1, 2], axis=1)
    assert codes.tolist() == [[1, 3, 6]] * 2
    real = numerics.dequantize(codes, floats([1, 0.5, 0.25]), np.arange(3, dtype=np.int32), 1)
    assert real.dtype == f32
    assert np.array_equal(real, x)


def test_narrow_code_range() -> None:
    x = np.array([-9, 9], f32)
    one, zero = np.ones(1, f32), np.zeros(1, np.int32)
    assert numerics.quantize(x, one, zero, 0, 1, 6, np.uint8).tolist() == [1, 6]


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(2**-40, 1, width=32),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_requantize(accumulator: int, m: float, zero_point: int, qmin: int) -> None:
    codes = numerics.requantize(
        np.array([accumulator], np.int32), floats([m]), 0, zero_point, qmin, 255, np.uint8
    )
    rounded = round(float(f32(float(f32(accumulator)) * m)))  # Python rounds half to even
    assert codes[0] == min(max(rounded + zero_point, qmin), 255)


def test_multiplier_order() -> None:
    """(s_x·s_w)/s_y, not s_x·(s_w/s_y)."""
    rng = np.random.default_rng(0)
    s_x, s_w, s_y = rng.uniform(0.001, 0.1, (3, 1000)).astype(f32)
    multiplier = numerics.requantize_multiplier(s_x, s_w, s_y)
    assert np.array_equal(multiplier, (s_x * s_w) / s_y)
    assert not np.array_equal(multiplier, s_x * (s_w / s_y))


def fake_quantize_scalar(x: Any, levels: int, il: Any, ih: Any, ol: Any, oh: Any) -> Any:
    if x <= min(il, ih):
        return ol
    if x > max(il, ih):
        return oh
    steps = f32(levels - 1)
    return f32(f32(f32(np.rint(f32(f32(x - il) / f32(ih - il)) * steps)) / steps) * (oh - ol)) + ol


@pytest.mark.parametrize("levels", [2, 16, 255, 256])
def test_fake_quantize(levels: int) -> None:
    rng = np.random.default_rng(levels)
    x = rng.normal(size=500).astype(f32)
    limits = [f32(v) for v in (-1.1, 1.3, -0.9, 2.0)]
    expected = [fake_quantize_scalar(v, levels, *limits) for v in x]
    assert np.array_equal(numerics.fake_quantize(x, levels, *map(np.asarray, limits)), expected)


def test_fake_quantize_with_equal_limits_is_a_threshold() -> None:
    zero = np.zeros((), f32)
    x = np.array([-1, 0, 1e-9], f32)
    result = numerics.fake_quantize(x, 2, zero, zero, zero - 1, zero + 1)
    assert result.tolist() == [-1, -1, 1]


def test_nudge() -> None:
    scale, zero_point = numerics.nudge(floats([-2.5, 0, -6]), floats([252.5, 6, 0]), 0, 255)
    assert zero_point.tolist() == [3, 0, 255]  # 2.5 is rounded half away from zero
    assert np.array_equal(scale, floats([255, 6, 6]) / f32(255))


def test_cast_truncates_and_wraps() -> None:
    x = np.array([-1.9, 1.9, 300.0], f32)
    assert numerics.cast(x, np.int32).tolist() == [-1, 1, 300]
    assert numerics.cast(x, np.uint8).tolist() == [255, 1, 44]
    assert numerics.cast(x, np.bool_).tolist() == [True] * 3


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 32, 33, 100])
def test_last_axis_is_summed_in_sixteen_lanes(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(3, n)).astype(f32)
    for row, total in zip(x, numerics.reduce("sum", x, [1])[:, 0], strict=True):
        lanes = [f32(0)] * 16
        for i, value in enumerate(row):
            lanes[i % 16] += value
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [lanes[i] + lanes[i + half] for i in range(half)]
        assert lanes[0] == total


def test_other_axes_are_summed_in_order() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(f32)
    result = numerics.reduce("mean", x, [1, 2])
    assert result.shape == (2, 1, 1, 3)
    total = f32(0)
    for y in range(5):
        for z in range(7):
            total += x[1, y, z, 2]
    assert result[1, 0, 0, 2] == total / f32(35)


@pytest.mark.parametrize("axes", [[0], [2], [0, 2], [0, 1, 2], [-1]])
def test_extrema(axes: list[int]) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 21)).astype(f32)
    for kind, expected in (("max", x.max), ("min", x.min)):
        assert np.array_equal(numerics.reduce(kind, x, axes), expected(tuple(axes), keepdims=True))


def test_comparisons_prefer_the_second_operand() -> None:
    a, b = floats([np.nan, 1.0, 0.0, -0.0]), floats([1.0, np.nan, -0.0, 0.0])
    for function in (numerics.maximum, numerics.minimum):
        assert function(a, b).tobytes() == b.tobytes()
