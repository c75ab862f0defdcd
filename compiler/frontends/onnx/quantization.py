"""QuantizeLinear and DequantizeLinear (per tensor, per channel) and OpenVINO's FakeQuantize.

Scales and zero points become attributes of graph.quantize and graph.dequantize, so they must be
constants. They are checked here: finite positive scales, zero points of the code's own type, zero
for int32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.tensors import Array, element_type_of, shape_of, value_dtype
from .context import Converter, Node, NodeError, normalized_axis
from .files import type_name

_CODES = (np.dtype(np.uint8), np.dtype(np.int8))


@dataclass(frozen=True)
class Grid:
    """One scale, or one per index of `axis`; zero points alike (one value or as many as scales)."""

    scale: Array
    zero_point: Array
    axis: int


def _convert_quantize(node: Node) -> SSAValue:
    x = node.real(0)
    dtype = _code_dtype(node)
    grid = _grid(node, shape_of(x), dtype)
    return node.emit(
        graph.QuantizeOp(x, grid.scale, grid.zero_point, element_type_of(dtype), grid.axis)
    )


def _convert_dequantize(node: Node) -> SSAValue:
    q = node.tensor(0)
    dtype = value_dtype(q)
    if dtype not in (*_CODES, np.dtype(np.int32)):
        raise NodeError(f"input 0 is {dtype}; only uint8, int8 and int32 are supported, cast it")
    grid = _grid(node, shape_of(q), dtype)
    return node.emit(graph.DequantizeOp(q, grid.scale, grid.zero_point, grid.axis))


def _code_dtype(node: Node) -> np.dtype[Any]:
    """The result type of QuantizeLinear: that of the zero point, else output_dtype, else uint8."""
    declared = node.attribute("output_dtype", 0)
    types = {TensorProto.UINT8: _CODES[0], TensorProto.INT8: _CODES[1], 0: _CODES[0]}
    dtype = node.known(2, "zero point").dtype if node.has(2) else types.get(declared)
    if dtype not in _CODES:
        name = dtype.name if dtype is not None else type_name(declared)
        raise NodeError(
            f"wrong dtype {name} of the zero point; only uint8 and int8 codes are supported"
        )
    return dtype


def _grid(node: Node, shape: Sequence[int], dtype: np.dtype[Any]) -> Grid:
    if node.attribute("block_size", 0):
        raise NodeError("block_size is not supported; quantize per tensor or per channel")
    scale = _scale(node)
    zero_point = _zero_point(node, dtype, scale)
    axis = _axis(node, len(shape), scale.size)
    if scale.size > 1 and scale.size != shape[axis]:
        raise NodeError(
            f"shape mismatch: {scale.size} scales for axis {axis} of {tuple(shape)}; "
            "correct the axis attribute or the scale"
        )
    return Grid(scale, zero_point, axis)


def _axis(node: Node, rank: int, scales: int) -> int:
    axis = node.attribute("axis", 1)
    if scales == 1 or rank == 1:
        # The default axis 1 does not exist in vectors such as biases: only axis 0 can be meant.
        return 0 if rank < 2 else min(max(axis, 0), rank - 1)
    return normalized_axis(axis, rank)


def _scale(node: Node) -> Array:
    scale = node.known(1, "scale")
    if scale.dtype != np.float32:
        raise NodeError(f"scale is {scale.dtype}; only float32 is supported, convert the model")
    if scale.ndim > 1 or not scale.size:
        raise NodeError(
            f"scale has shape {scale.shape}; use one scale or one per channel (blocked "
            "quantization is not supported)"
        )
    scale = scale.reshape(-1)
    wrong = scale[~(np.isfinite(scale) & (scale > 0))]
    if wrong.size:
        raise NodeError(
            f"scale {wrong[0]} is not a finite positive number; calibrate the model again"
        )
    return scale


def _zero_point(node: Node, dtype: np.dtype[Any], scale: Array) -> Array:
    if not node.has(2):
        return np.zeros(1, np.int32)
    zero_point = node.known(2, "zero point")
    if zero_point.dtype != dtype:
        raise NodeError(
            f"wrong dtype {zero_point.dtype} of the zero point for {dtype} codes; "
            "both must have the same type"
        )
    if zero_point.size != scale.size:
        raise NodeError(
            f"shape mismatch: {zero_point.size} zero points for {scale.size} scales; "
            "their shapes must be equal"
        )
    if dtype == np.int32 and zero_point.any():
        raise NodeError("the zero point of int32 values is not zero; ONNX demands zero")
    return zero_point.reshape(-1).astype(np.int32)


def _convert_fake_quantize(node: Node) -> SSAValue:
    names = ("input_low", "input_high", "output_low", "output_high")
    limits = [node.known(i, name) for i, name in enumerate(names, start=1)]
    for name, limit in zip(names, limits, strict=True):
        if not np.all(np.isfinite(limit)):
            raise NodeError(f"{name} is not finite; calibrate the model again")
    levels = int(node.attribute("levels", 0))
    return node.emit(
        graph.FakeQuantizeOp(node.real(0), levels, limits[0], limits[1], limits[2], limits[3])
    )


CONVERTERS: dict[str, Converter] = {
    "QuantizeLinear": _convert_quantize,
    "DequantizeLinear": _convert_dequantize,
}

# Domain org.openvinotoolkit, as NNCF and OpenVINO's exporter write it.
OPENVINO_CONVERTERS: dict[str, Converter] = {"FakeQuantize": _convert_fake_quantize}
