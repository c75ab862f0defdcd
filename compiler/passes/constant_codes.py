"""Weights of integer contractions: constant codes, their scales, and a bound of their sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from ..dialects import graph
from ..dialects.tensors import Array
from .grids import Grid, dequantized
from .rewriting import defining


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
