"""Constants of integer contractions: weights as codes, biases on the accumulator's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import SSAValue

from ..dialects import graph
from ..dialects.tensors import Array, type_of
from .grids import Grid, dequantized
from .rewriting import constant_of, defining

ACCUMULATOR_LIMIT = 2**31
_SAME_SCALE = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Weights:
    """Constant codes with one scale and zero point, or one each per output channel.

    constant: the op that holds the codes (new or of the source); magnitudes: int64, per output
    channel the largest Σ|w − z| over a window or column: it bounds every partial sum."""

    constant: graph.ConstantOp
    zero_points: Array
    scales: Array
    magnitudes: Array


def constant_weights(
    value: SSAValue, channel_axis: int, summed_axes: tuple[int, ...]
) -> Weights | None:
    """`value` as weights: dequantized constant codes, per tensor or per `channel_axis`."""
    dequantize = dequantized(value)
    source = None if dequantize is None else defining(dequantize.input, graph.ConstantOp)
    if dequantize is None or source is None:
        return None
    grid, codes = Grid.of(dequantize), source.array
    if not grid.is_per_tensor and grid.axis != channel_axis:
        return None
    shape = [1] * codes.ndim
    shape[channel_axis] = -1
    centred = codes.astype(np.int16) - grid.zero_points.astype(np.int16).reshape(shape)
    sums = np.abs(centred).sum(axis=summed_axes, dtype=np.int64, keepdims=True)
    other_axes = tuple(i for i in range(codes.ndim) if i != channel_axis)
    magnitudes = sums.max(axis=other_axes)
    if np.all(grid.zero_points == 0) and codes.dtype == np.int8:
        return Weights(source, np.zeros(1, np.int32), grid.scales, magnitudes)
    if centred.min() >= -128 and centred.max() <= 127:
        signed = graph.ConstantOp(centred.astype(np.int8))
        return Weights(signed, np.zeros(1, np.int32), grid.scales, magnitudes)
    return Weights(source, grid.zero_points, grid.scales, magnitudes)


def integer_bias(bias: SSAValue | None, scales: Array, channels: int) -> Array | None:
    """`bias` in units of the accumulator's `scales`: int64 [channels].

    None if it is not constant or does not fit. Codes on that very grid are taken as they are; other
    reals are rounded to it (numeric contract 7)."""
    if bias is None:
        return np.zeros(channels, np.int64)
    dequantize = defining(bias, graph.DequantizeOp)
    constant = constant_of(bias if dequantize is None else dequantize.input)
    if constant is None:
        return None
    reals = constant.astype(np.float64)
    if dequantize is not None:
        codes: Array = constant.astype(np.int64) - dequantize.zero_points
        if np.all(np.abs(dequantize.scales - scales) <= _SAME_SCALE * np.abs(scales)):
            return codes
        reals = codes.astype(np.float64) * dequantize.scales
    rounded = np.rint(reals / scales.astype(np.float64))
    if not np.all(np.abs(rounded) < ACCUMULATOR_LIMIT):  # also false for NaN
        return None
    return rounded.astype(np.int64)


def is_usable_scale(scales: Array) -> bool:
    """Whether a product of scales neither overflowed nor lost bits by underflow."""
    return bool(np.all(np.isfinite(scales)) and np.all(np.abs(scales) >= np.finfo(np.float32).tiny))


def reach(codes: SSAValue, zero_point: int) -> int:
    """The largest |q − z| of any code of the type."""
    element_type = type_of(codes).element_type
    assert isinstance(element_type, IntegerType)
    low, high = graph.code_range(element_type)
    return max(abs(low - zero_point), abs(high - zero_point))
