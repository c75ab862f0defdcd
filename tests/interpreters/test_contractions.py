"""Convolutions, matrix products and pools against naive loops; exactness and overflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.interpreters import contractions
from lpc.compiler.interpreters.contractions import Window

Array = np.ndarray[Any, Any]
f32 = np.float32


def floats(values: Any) -> Array:
    return np.asarray(values, f32)


@dataclass(frozen=True)
class Case:
    """A window over an NCHW shape."""

    shape: tuple[int, int, int, int]
    window: Window
    groups: int
    per_group: tuple[int, int]  # input and output channels of a group
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        inputs, outputs = self.per_group
        return (self.groups * outputs, inputs, self.window.kernel[0], self.window.kernel[1])


@st.composite
def cases(draw: st.DrawFn, dilated: bool = True) -> Case:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 4)))
    window = Window(
        kernel,
        draw(st.tuples(st.integers(1, 3), st.integers(1, 2))),
        tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4)),
        draw(st.tuples(st.integers(1, 2), st.integers(1, 3))) if dilated else (1, 1),
    )
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, window.dilations, strict=True)]
    height, width = (span + draw(st.integers(0, 4)) for span in spans)
    groups = draw(st.integers(1, 3))
    per_group = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    batch = draw(st.integers(1, 2))
    shape = (batch, groups * per_group[0], height, width)
    return Case(shape, window, groups, per_group, draw(st.integers(0, 2**16)))


def taps(case: Case, y: int, x: int) -> Iterator[tuple[int, int, int, int]]:
    """(ky, kx, row, column) of every tap of one window that lies inside the input."""
    (kh, kw), (sh, sw), (dh, dw) = case.window.kernel, case.window.strides, case.window.dilations
    for ky in range(kh):
        for kx in range(kw):
            row, column = (
                y * sh - case.window.pads[0] + ky * dh,
                x * sw - case.window.pads[1] + kx * dw,
            )
            if 0 <= row < case.shape[2] and 0 <= column < case.shape[3]:
                yield ky, kx, row, column


def naive_convolution(case: Case, x: Array, weight: Array, result: Array) -> Array:
    inputs, outputs = case.per_group
    for n, o, y, column in np.ndindex(*result.shape):
        first = o // outputs * inputs
        for ky, kx, i, j in taps(case, y, column):
            result[n, o, y, column] += (
                x[n, first : first + inputs, i, j] * weight[o, :, ky, kx]
            ).sum()
    return result


def by_layout(x: Array, layout: str) -> Array:
    return x if layout == "nchw" else x.transpose(0, 2, 3, 1)


LAYOUTS = pytest.mark.parametrize("layout", ["nchw", "nhwc"])


@LAYOUTS
@settings(max_examples=40, deadline=None)
@given(case=cases(), one=st.booleans(), signed=st.booleans())
def test_qconv2d(layout: str, case: Case, one: bool, signed: bool) -> None:
    rng = case.rng
    zero_point = rng.integers(0, 256, 1 if one else case.shape[1]).astype(np.int32)
    x = rng.choice(np.array([0, 1, 128, 254, 255], np.uint8), case.shape)
    weight = rng.integers(0, 256, case.weight_shape).astype(np.uint8)
    weight = weight.view(np.int8) if signed else weight
    bias = rng.integers(-1000, 1000, len(weight)).astype(np.int32)
    weight_zero_point = rng.integers(-8, 8, len(weight)).astype(np.int32)
    result = contractions.qconv2d(
        by_layout(x, layout),
        weight,
        bias,
        zero_point,
        weight_zero_point,
        case.window,
        case.groups,
        layout,
    )
    assert result.dtype == np.int32
    result = result if layout == "nchw" else result.transpose(0, 3, 1, 2)
    expected = np.zeros(result.shape, np.int64) + bias[:, None, None]
    centred = weight.astype(np.int64) - weight_zero_point[:, None, None, None]
    inputs = x.astype(np.int64) - zero_point[:, None, None]
    assert np.array_equal(result, naive_convolution(case, inputs, centred, expected))


@LAYOUTS
@settings(max_examples=20, deadline=None)
@given(case=cases())
def test_conv2d_is_rounded_once_from_float64(layout: str, case: Case) -> None:
    x = case.rng.normal(size=case.shape).astype(f32)
    weight = case.rng.normal(size=case.weight_shape).astype(f32)
    result = contractions.conv2d(
        by_layout(x, layout), weight, None, case.window, case.groups, layout
    )
    result = result if layout == "nchw" else result.transpose(0, 3, 1, 2)
    expected = np.zeros(result.shape, np.float64)
    naive_convolution(case, x.astype(np.float64), weight.astype(np.float64), expected)
    assert result.dtype == f32
    assert np.allclose(result, expected, rtol=2.0**-23, atol=1e-12)


@LAYOUTS
@settings(max_examples=20, deadline=None)
@given(case=cases(dilated=False), real=st.booleans())
def test_pools(layout: str, case: Case, real: bool) -> None:
    x = case.rng.integers(-128, 128, case.shape).astype(np.int8)
    image = by_layout(x.astype(f32) if real else x, layout)
    highest = contractions.max_pool(image, case.window, layout)
    total = contractions.qsum_pool(by_layout(x, layout), 3, case.window, layout)
    means = contractions.avg_pool(image.astype(f32), case.window, False, layout)
    padded = contractions.avg_pool(image.astype(f32), case.window, True, layout)
    assert highest.dtype == image.dtype
    for n, c, i, j in np.ndindex(*by_layout_shape(total, layout)):
        values = [int(x[n, c, row, column]) for _, _, row, column in taps(case, i, j)]
        at = (n, c, i, j) if layout == "nchw" else (n, i, j, c)
        assert total[at] == sum(values) - 3 * len(values)
        if values:
            assert highest[at] == max(values)
            assert means[at] == f32(sum(values)) / f32(len(values))
        assert padded[at] == f32(sum(values)) / f32(np.prod(case.window.kernel))


def by_layout_shape(x: Array, layout: str) -> tuple[int, ...]:
    n, *rest = x.shape
    return (n, *rest) if layout == "nchw" else (n, rest[2], rest[0], rest[1])


def test_dilated_max_pool() -> None:
    x = np.arange(25, dtype=f32).reshape(1, 5, 5, 1)
    window = Window((2, 2), (1, 1), (0, 0, 0, 0), (3, 2))
    assert contractions.max_pool(x, window, "nhwc")[0, :, :, 0].tolist() == [
        [17, 18, 19],
        [22, 23, 24],
    ]


def test_padding_never_wins() -> None:
    window = Window((3, 3), (1, 1), (1, 1, 1, 1))
    for lowest in (np.full((1, 1, 2, 2), -128, np.int8), np.full((1, 1, 2, 2), -np.inf, f32)):
        assert np.array_equal(contractions.max_pool(lowest, window, "nchw"), lowest)


def test_average_pool_adds_taps_in_row_major_order() -> None:
    x = np.array([1e8, 1.0, -1e8, 1.0], f32).reshape(1, 1, 2, 2)
    window = Window((2, 2), (1, 1), (0, 0, 0, 0))
    # ((1e8 + 1) − 1e8) + 1 = 1: the first 1 is lost
    assert contractions.avg_pool(x, window, False, "nchw").item() == 0.25


@pytest.mark.parametrize("depth", [64, 1000, 60000])
def test_saturated_codes_stay_exact(depth: int) -> None:
    """All 255 · 127: the sums where vpmaddubsw saturates, where float32 rounds, and beyond."""
    a, b = np.full((1, depth), 255, np.uint8), np.full((depth, 2), 127, np.int8)
    b[0] = 1
    zero = np.zeros(1, np.int32)
    result = contractions.qmatmul(a, b, None, 0, zero)
    assert result.tolist() == [[255 * (127 * (depth - 1) + 1)] * 2]
    weight = np.ascontiguousarray(b.T).reshape(2, depth, 1, 1)
    window = Window((1, 1), (1, 1), (0, 0, 0, 0))
    image = a.reshape(1, 1, 1, depth)
    convolved = contractions.qconv2d(image, weight, None, zero, zero, window, 1, "nhwc")
    assert np.array_equal(convolved.reshape(1, 2), result)


def test_overflow_is_an_error() -> None:
    a, b = np.full((1, 70000), 255, np.uint8), np.full((70000, 1), -128, np.int8)
    with pytest.raises(OverflowError, match="int32"):
        contractions.qmatmul(a, b, None, 0, np.zeros(1, np.int32))
    one = np.ones((1, 1), np.uint8)
    with pytest.raises(OverflowError, match="int32"):
        contractions.qmatmul(one, one, np.array([2**31 - 1], np.int32), 0, np.zeros(1, np.int32))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 70), st.integers(1, 5), st.integers(-128, 255))
def test_qmatmul(m: int, k: int, n: int, zero_point: int) -> None:
    rng = np.random.default_rng(m * k * n)
    a = rng.integers(0, 256, (2, 1, m, k)).astype(np.uint8)
    b = rng.integers(-128, 128, (3, k, n)).astype(np.int8)
    columns = rng.integers(-5, 5, n).astype(np.int32)
    bias = rng.integers(-(2**20), 2**20, n).astype(np.int32)
    expected = (a.astype(np.int64) - zero_point) @ (b.astype(np.int64) - columns) + bias
    result = contractions.qmatmul(a, b, bias, zero_point, columns)
    assert result.dtype == np.int32
    assert np.array_equal(result, expected)


def test_matmul_accumulates_in_float64() -> None:
    a = np.array([[1e8, 1.0, -1e8]], f32)
    b = np.ones((3, 2), f32)
    assert contractions.matmul(a, b, floats([0, 1])).tolist() == [[1, 2]]
