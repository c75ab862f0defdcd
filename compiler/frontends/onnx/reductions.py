"""Reductions, softmax and normalizations.

ReduceMean over both spatial axes of rank 4 ⇒ avg_pool over the whole image (→ reshape)
LogSoftmax ⇒ log(softmax)
LayerNormalization over several axes ⇒ the same over one flattened last axis
"""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.tensors import shape_of
from .context import Converter, Node, NodeError, Results, normalized_axis

# Opset from which the reduction takes its axes as input instead of as attribute.
_AXES_INPUT = {"sum": 13, "mean": 18, "max": 18, "min": 18}


def _reduction(kind: str) -> Converter:
    return lambda node: _reduce(node, kind)


def _reduce(node: Node, kind: str) -> Results:
    x, keepdims = node.real(0), bool(node.attribute("keepdims", 1))
    rank = len(shape_of(x))
    axes = _axes(node, kind)
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return x
        axes = tuple(range(rank))
    axes = tuple(sorted({normalized_axis(a, rank) for a in axes}))
    if kind == "mean" and rank == 4 and axes == (2, 3):
        y = node.emit(graph.AvgPoolOp(x, shape_of(x)[2:]))
        return y if keepdims else node.reshape(y, shape_of(y)[:2])
    return node.emit(graph.ReduceOp(kind, x, axes, keepdims))


def _axes(node: Node, kind: str) -> tuple[int, ...]:
    if node.opset >= _AXES_INPUT[kind]:
        return node.known_ints(1, "axes") if node.has(1) else ()
    return tuple(node.attribute("axes", []))


def _convert_softmax(node: Node) -> SSAValue:
    x = node.real(0)
    axis = normalized_axis(node.attribute("axis", -1), len(shape_of(x)))
    return node.emit(graph.SoftmaxOp(x, axis))


def _convert_log_softmax(node: Node) -> SSAValue:
    return node.emit(graph.UnaryOp("log", _convert_softmax(node)))


def _convert_batch_normalization(node: Node) -> SSAValue:
    if node.attribute("training_mode", 0):
        raise NodeError("training_mode is on; export the model for inference")
    x = node.real(0)
    channels = shape_of(x)[1:2]
    parameters = [node.real(i) for i in range(1, 5)]
    if not channels or any(shape_of(p) != channels for p in parameters):
        shapes = ", ".join(str(shape_of(p)) for p in parameters)
        raise NodeError(
            f"shape mismatch: parameters {shapes} for input {shape_of(x)}; "
            "each needs one value per channel (axis 1)"
        )
    return node.emit(graph.BatchNormOp(x, parameters, node.attribute("epsilon", 1e-5)))


def _convert_layer_normalization(node: Node) -> SSAValue:
    x = node.real(0)
    shape = shape_of(x)
    axis = normalized_axis(node.attribute("axis", -1), len(shape))
    width = prod(shape[axis:])
    weight = _flattened(node, 1, shape[axis:], 1.0)
    bias = _flattened(node, 2, shape[axis:], 0.0)
    rows = node.reshape(x, (*shape[:axis], width))
    y = node.emit(graph.LayerNormOp(rows, weight, bias, node.attribute("epsilon", 1e-5)))
    return node.reshape(y, shape)


def _flattened(node: Node, index: int, shape: tuple[int, ...], default: float) -> SSAValue:
    """Parameter `index`, broadcast to the normalized shape, as vector; `default` where absent."""
    if not node.has(index):
        return node.constant(np.full(prod(shape), default, np.float32))
    value = node.value(index)
    if isinstance(value, SSAValue):
        return node.reshape(node.real(index), (prod(shape),))
    return node.constant(np.broadcast_to(value, shape).reshape(-1).astype(np.float32))


CONVERTERS: dict[str, Converter] = {
    "ReduceMean": _reduction("mean"),
    "ReduceSum": _reduction("sum"),
    "ReduceMax": _reduction("max"),
    "ReduceMin": _reduction("min"),
    "Softmax": _convert_softmax,
    "LogSoftmax": _convert_log_softmax,
    "BatchNormalization": _convert_batch_normalization,
    "LayerNormalization": _convert_layer_normalization,
}
