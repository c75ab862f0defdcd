"""Float convolution and pooling on (N, C, H, W) arrays, one matrix product per kernel tap; erf and
softmax.

Used to calibrate the zoo's networks; fast enough for ResNet-50 in a second or two.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def pooled_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Output extent of a window that slides over `size` elements padded on both sides."""
    return (size + 2 * padding - kernel) // stride + 1


def _taps(
    x: FloatArray, kernel: int, stride: int, padding: int, fill: float
) -> Iterator[tuple[int, int, FloatArray]]:
    """For each tap (i, j) of the window, the strided slice of x that it multiplies."""
    height, width = (pooled_size(n, kernel, stride, padding) for n in x.shape[2:])
    border = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    padded = np.pad(x, border, constant_values=fill)
    for i in range(kernel):
        for j in range(kernel):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            columns = slice(j, j + stride * (width - 1) + 1, stride)
            yield i, j, padded[:, :, rows, columns]


def convolve(
    x: FloatArray, weight: FloatArray, stride: int, padding: int, groups: int = 1
) -> FloatArray:
    """x (N, C, H, W) with weight (M, C / groups, k, k); square windows, symmetric padding."""
    outputs, inputs_per_group, kernel, _ = weight.shape
    count = len(x)
    height, width = (pooled_size(n, kernel, stride, padding) for n in x.shape[2:])
    result = np.zeros((count, outputs, height, width), np.float32)
    for i, j, tap in _taps(x, kernel, stride, padding, 0.0):
        if inputs_per_group == 1 and outputs == groups:
            result += tap * weight[:, 0, i, j].reshape(-1, 1, 1)
            continue
        matrix = weight[:, :, i, j].reshape(groups, outputs // groups, inputs_per_group)
        columns = tap.reshape(count, groups, inputs_per_group, height * width)
        result += np.matmul(matrix, columns).reshape(result.shape)
    return result


def max_pool(
    x: FloatArray, kernel: int, stride: int, padding: int, ceil: bool = False
) -> FloatArray:
    """With `ceil`, the last windows may hang over the lower and right border."""
    if ceil:
        hanging = [-(n + 2 * padding - kernel) % stride for n in x.shape[2:]]
        border = [(0, 0), (0, 0), *((0, after) for after in hanging)]
        x = np.pad(x, border, constant_values=-np.inf)
    taps = np.stack([tap for _, _, tap in _taps(x, kernel, stride, padding, -np.inf)])
    return np.asarray(taps.max(axis=0), np.float32)


def average_pool(x: FloatArray, kernel: int, stride: int) -> FloatArray:
    taps = np.stack([tap for _, _, tap in _taps(x, kernel, stride, 0, 0.0)])
    return np.asarray(taps.mean(axis=0), np.float32)


def softmax(x: FloatArray) -> FloatArray:
    """Over the last axis."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)


# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def erf(x: FloatArray) -> FloatArray:
    """Within 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    polynomial = np.zeros_like(t)
    for coefficient in _ERF:
        polynomial = (polynomial + np.float32(coefficient)) * t
    return np.asarray(np.copysign(1 - polynomial * np.exp(-x * x), x), np.float32)
