"""Convolution, matrix product and pooling windows in numpy, fast enough to be used everywhere.

Integer contractions run in floating-point BLAS, which is exact while every partial sum, in whatever
order, is an integer below the precision of the type: with B = max|a − za| · max_column Σ|w − zw|,
float32 is exact for B < 2^24 and float64 for B < 2^53. The same bound tells whether int32 holds the
result; where it does not decide, the result itself is checked, since a wrapped accumulator would be
an error of the model (contract 3).

Real contractions accumulate in float64, bias included, and round to float32 once: the reference
that float kernels are measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from ..dialects.shapes import window_extent
from ..dialects.tensors import Array
from ..numerics import maximum


@dataclass(frozen=True)
class Window:
    """A window sliding over NHWC images; pads = (top, left, bottom, right)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...] = (1, 1)


def to_nhwc(x: Array, layout: str) -> Array:
    return x.transpose(0, 2, 3, 1) if layout == "nchw" else x


def from_nhwc(x: Array, layout: str) -> Array:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if layout == "nchw" else x


def pad_images(x: Array, pads: tuple[int, ...], value: float) -> Array:
    top, left, bottom, right = pads
    n, h, w, c = x.shape
    if not any(pads):
        return np.ascontiguousarray(x)
    padded = np.full((n, top + h + bottom, left + w + right, c), value, x.dtype)
    padded[:, top : top + h, left : left + w] = x
    return padded


def windows(padded: Array, window: Window) -> Array:
    """A view [N, OH, OW, kh, kw, C] of padded NHWC images."""
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.strides, window.dilations
    n, h, w, c = padded.shape
    n_step, h_step, w_step, c_step = padded.strides
    rows, cols = window_extent(h, kh, sh, dh, 0, 0), window_extent(w, kw, sw, dw, 0, 0)
    return as_strided(
        padded,
        (n, rows, cols, kh, kw, c),
        (n_step, h_step * sh, w_step * sw, h_step * dh, w_step * dw, c_step),
        writeable=False,
    )


def correlate(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """Σ x·w over zero-padded NHWC images; weight [O, I/groups, kh, kw] of x's dtype, result [N, OH,
    OW, O]."""
    taps = windows(pad_images(x, window.pads, 0), window)
    n, rows, cols, kh, kw, c = taps.shape
    o, depth = weight.shape[0], weight.shape[1]
    if _by_taps(weight, groups):
        return _correlate_depthwise(taps, weight)
    if groups == 1:
        matrix = weight.transpose(2, 3, 1, 0).reshape(kh * kw * c, o)
        return (taps.reshape(-1, kh * kw * c) @ matrix).reshape(n, rows, cols, o)
    grouped = taps.reshape(n * rows * cols, kh * kw, groups, depth).transpose(2, 0, 1, 3)
    columns = weight.reshape(groups, o // groups, depth, kh * kw).transpose(0, 3, 2, 1)
    result = grouped.reshape(groups, -1, kh * kw * depth) @ columns.reshape(
        groups, kh * kw * depth, o // groups
    )
    return result.transpose(1, 0, 2).reshape(n, rows, cols, o)


def _by_taps(weight: Array, groups: int) -> bool:
    return weight.shape[1] == 1 and groups > 1


def _correlate_depthwise(taps: Array, weight: Array) -> Array:
    """One input channel per group, o / c outputs from each: a loop over taps, vectorised over
    everything else."""
    n, rows, cols, kh, kw, c = taps.shape
    multiplier = weight.shape[0] // c
    columns = np.ascontiguousarray(weight.reshape(c, multiplier, kh, kw).transpose(2, 3, 0, 1))
    result = np.zeros((n, rows, cols, c, multiplier), taps.dtype)
    for ky in range(kh):
        for kx in range(kw):
            result += taps[:, :, :, ky, kx, :, None] * columns[ky, kx]
    return result.reshape(n, rows, cols, c * multiplier)


def conv2d(
    x: Array, weight: Array, bias: Array | None, window: Window, groups: int, layout: str
) -> Array:
    """float32 convolution, accumulated in float64."""
    images = to_nhwc(x, layout).astype(np.float64)
    with np.errstate(all="ignore"):
        result = correlate(images, weight.astype(np.float64), window, groups)
        if bias is not None:
            result += bias
        return from_nhwc(result.astype(np.float32), layout)


def qconv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    x_zero_point: Array,
    weight_zero_point: Array,
    window: Window,
    groups: int,
    layout: str,
) -> Array:
    """Contract 3: exact Σ (x − zx)(w − zw) + bias in int32; padding contributes real zero. zx
    is one value or one per input channel, zw one value or one per output channel."""
    centred = weight.astype(np.int32) - weight_zero_point.reshape(-1, 1, 1, 1)
    bound = max(_code_bound(x, int(z)) for z in x_zero_point) * _largest_sum(centred, (1, 2, 3))
    dtype = _integer_dtype(bound) if _by_taps(weight, groups) else exact_dtype(bound)
    images = centre(to_nhwc(x, layout), x_zero_point, dtype)
    result = correlate(images, centred.astype(dtype), window, groups)
    return from_nhwc(to_int32(result, bias, bound), layout)


def matmul(a: Array, b: Array, bias: Array | None) -> Array:
    """float32 matrix product, accumulated in float64."""
    with np.errstate(all="ignore"):
        result = a.astype(np.float64) @ b.astype(np.float64)
        if bias is not None:
            result += bias
        return result.astype(np.float32)


def qmatmul(
    a: Array, b: Array, bias: Array | None, a_zero_point: int, b_zero_point: Array
) -> Array:
    """Contract 3: exact Σ (a − za)(b − zb) + bias in int32; zb is one value or one per column."""
    centred = b.astype(np.int32) - b_zero_point
    bound = _code_bound(a, a_zero_point) * _largest_sum(centred, (-2,))
    dtype = exact_dtype(bound)
    return to_int32(centre(a, a_zero_point, dtype) @ centred.astype(dtype), bias, bound)


def centre(codes: Array, zero_point: int | Array, dtype: np.dtype[Any]) -> Array:
    """codes − zero_point in `dtype`; `zero_point`: one value, or one for each of the last axis."""
    result: Array = codes.astype(dtype)
    if np.any(zero_point):
        result -= np.asarray(zero_point, dtype)
    return result


def exact_dtype(bound: int) -> np.dtype[np.float32] | np.dtype[np.float64]:
    """The float type in which integer sums of magnitude ≤ bound are exact in any order."""
    if bound >= 2**53:
        raise OverflowError(f"integer contraction of magnitude {bound}")
    return np.dtype(np.float32) if bound < 2**24 else np.dtype(np.float64)


def _integer_dtype(bound: int) -> np.dtype[np.int32] | np.dtype[np.int64]:
    return np.dtype(np.int32) if bound < 2**31 else np.dtype(np.int64)


def to_int32(exact: Array, bias: Array | None, bound: int) -> Array:
    """The accumulators plus bias in int32; OverflowError when one does not fit."""
    largest_bias = 0 if bias is None else int(np.abs(bias.astype(np.int64)).max(initial=0))
    safe = bound + largest_bias < 2**31
    result: Array = exact.astype(np.int32 if safe else np.int64)
    if bias is not None:
        result += bias
    limits = np.iinfo(np.int32)
    if not safe and result.size and (result.min() < limits.min or result.max() > limits.max):
        raise OverflowError("an accumulator leaves the range of int32")
    return result.astype(np.int32, copy=False)


def _code_bound(codes: Array, zero_point: int) -> int:
    """The largest |code − zero_point| that the type of `codes` allows."""
    limits = np.iinfo(codes.dtype)
    return max(limits.max - zero_point, zero_point - limits.min)


def _largest_sum(centred: Array, axes: tuple[int, ...]) -> int:
    return int(np.abs(centred).sum(axis=axes, dtype=np.int64).max(initial=0))


def max_pool(x: Array, window: Window, layout: str) -> Array:
    """Maximum over each window, float32 or codes; padding is skipped, and a window of nothing else
    gives the lowest value. Order, ties and NaN: `numerics`."""
    lowest = -np.inf if x.dtype == np.float32 else np.iinfo(x.dtype).min
    images = to_nhwc(x, layout)
    taps = windows(pad_images(images, window.pads, lowest), window)
    inside = windows(pad_images(np.ones((1, *images.shape[1:3], 1), bool), window.pads, 0), window)
    result = taps[:, :, :, 0, 0]
    for ky, kx in list(np.ndindex(*window.kernel))[1:]:
        larger = maximum(result, taps[:, :, :, ky, kx])
        result = np.where(inside[:, :, :, ky, kx], larger, result)
    return from_nhwc(np.ascontiguousarray(result), layout)


def avg_pool(x: Array, window: Window, count_include_pad: bool, layout: str) -> Array:
    """float32 mean over each window, taps added one by one in row-major order, then divided by
    float32(count)."""
    images = to_nhwc(x, layout)
    # −0.0 is the identity of IEEE addition, signed zeros included: adding it is the same as
    # skipping the tap.
    taps = windows(pad_images(images, window.pads, -0.0), window)
    total = taps[:, :, :, 0, 0]
    with np.errstate(all="ignore"):
        for ky, kx in list(np.ndindex(*window.kernel))[1:]:
            total = total + taps[:, :, :, ky, kx]
        if count_include_pad:
            counts: npt.NDArray[np.float32] | np.float32 = np.float32(np.prod(window.kernel))
        else:
            ones = np.ones((1, *images.shape[1:3], 1), np.float32)
            counts = windows(pad_images(ones, window.pads, 0), window).sum(axis=(3, 4))
        return from_nhwc(np.asarray(total / counts), layout)


def qsum_pool(x: Array, zero_point: int, window: Window, layout: str) -> Array:
    """Exact Σ (x − zx) over each window in int32; padding contributes nothing."""
    centred = to_nhwc(x, layout).astype(np.int32) - np.int32(zero_point)
    taps = windows(pad_images(centred, window.pads, 0), window)
    return from_nhwc(taps.sum(axis=(3, 4), dtype=np.int32), layout)
