"""Elementwise ops: unary functions by table, binary and variadic arithmetic, Clip, PRelu, casts.

Max(a, b, c) ⇒ maximum(maximum(a, b), c)          Clip(x, 0) ⇒ relu
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.tensors import element_type_of, type_of, value_dtype
from .context import Converter, Node, NodeError, Results, Value

_LARGEST = float(np.finfo(np.float32).max)


def _unary(kind: str) -> Converter:
    return lambda node: node.emit(graph.UnaryOp(kind, node.real(0)))


def _parametric(kind: str, **defaults: float) -> Converter:
    """A function whose ONNX attributes, in order, are alpha and beta of the graph op."""

    def convert(node: Node) -> SSAValue:
        values = [float(np.float32(node.attribute(n, d))) for n, d in defaults.items()]
        return node.emit(graph.UnaryOp(kind, node.real(0), *values))

    return convert


def _binary(op: Callable[[SSAValue, SSAValue], graph.BinaryOp]) -> Converter:
    return lambda node: node.emit(op(node.real(0), node.real(1)))


def _variadic(op: Callable[[SSAValue, SSAValue], graph.BinaryOp]) -> Converter:
    def convert(node: Node) -> SSAValue:
        total = node.real(0)
        for index in range(1, len(node.proto.input)):
            total = node.emit(op(total, node.real(index)))
        return total

    return convert


def _convert_pow(node: Node) -> SSAValue:
    exponent = node.value(1)
    if isinstance(exponent, SSAValue):
        return node.emit(graph.PowOp(node.real(0), node.real(1)))
    return node.emit(graph.PowOp(node.real(0), node.constant(exponent.astype(np.float32))))


def _convert_prelu(node: Node) -> SSAValue:
    y = graph.PReluOp(node.real(0), node.real(1))
    if type_of(y.result) != type_of(y.lhs):
        raise NodeError("shape mismatch: the slope does not broadcast to the input; reshape it")
    return node.emit(y)


def _convert_clip(node: Node) -> Results:
    x = node.real(0)
    limits: list[Value | None] = [node.value(i) if node.has(i) else None for i in (1, 2)]
    if any(isinstance(limit, SSAValue) for limit in limits):
        for index, op in ((1, graph.MaximumOp), (2, graph.MinimumOp)):
            x = node.emit(op(x, node.real(index))) if node.has(index) else x
        return x
    low, high = (
        default if limit is None else float(np.asarray(limit).reshape(-1)[0])
        for limit, default in zip(limits, (-_LARGEST, _LARGEST), strict=True)
    )
    if np.isnan(low) or np.isnan(high):
        raise NodeError("a limit is NaN; correct the model")
    low, high = (min(max(v, -_LARGEST), _LARGEST) for v in (low, high))
    if (low, high) == (-_LARGEST, _LARGEST):
        return x
    if (low, high) == (0.0, _LARGEST):
        return node.emit(graph.UnaryOp("relu", x))
    return node.emit(graph.UnaryOp("clip", x, low, high))


def _convert_gelu(node: Node) -> SSAValue:
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = node.attribute("approximate", "none")
    if approximate not in kinds:
        raise NodeError(f"approximate '{approximate}' is unknown; use none or tanh")
    return node.emit(graph.UnaryOp(kinds[approximate], node.real(0)))


def _convert_identity(node: Node) -> Results:
    return node.value(0)


def _convert_dropout(node: Node) -> Results:
    is_training = node.has(2) and bool(np.any(node.known(2, "training_mode")))
    ratio = float(node.known(1, "ratio").reshape(-1)[0]) if node.has(1) else 0.5
    if is_training and ratio != 0:
        raise NodeError("training_mode is on; export the model for inference")
    return node.value(0)


def _convert_cast(node: Node) -> Results:
    return _cast(node, onnx.helper.tensor_dtype_to_np_dtype(node.attribute("to", 0)))


def _convert_cast_like(node: Node) -> Results:
    like = node.value(1)
    return _cast(node, value_dtype(like) if isinstance(like, SSAValue) else like.dtype)


def _cast(node: Node, dtype: np.dtype[Any]) -> Results:
    x = node.value(0)
    if not isinstance(x, SSAValue):
        return x.astype(dtype)
    if value_dtype(x) == dtype:
        return x
    try:
        element_type = element_type_of(dtype)
    except KeyError as error:
        raise NodeError(
            f"cast to {dtype} is not supported; keep float32 and 8-, 32- or 64-bit integers"
        ) from error
    return node.emit(graph.CastOp(x, element_type))


_UNARY_KINDS = {
    "Abs": "abs", "Ceil": "ceil", "Erf": "erf", "Exp": "exp", "Floor": "floor", "Log": "log",
    "HardSwish": "hard_swish", "Mish": "mish", "Neg": "neg", "Reciprocal": "reciprocal",
    "Relu": "relu", "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign", "Softplus": "softplus",
    "Softsign": "softsign", "Sqrt": "sqrt", "Tanh": "tanh",
}  # fmt: skip

CONVERTERS: dict[str, Converter] = {
    **{op_type: _unary(kind) for op_type, kind in _UNARY_KINDS.items()},
    "LeakyRelu": _parametric("leaky_relu", alpha=0.01),
    "Elu": _parametric("elu", alpha=1.0),
    "Selu": _parametric("selu", alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "HardSigmoid": _parametric("hard_sigmoid", alpha=0.2, beta=0.5),
    "Gelu": _convert_gelu,
    "Clip": _convert_clip,
    "PRelu": _convert_prelu,
    "Add": _binary(graph.AddOp),
    "Sub": _binary(graph.SubOp),
    "Mul": _binary(graph.MulOp),
    "Div": _binary(graph.DivOp),
    "Pow": _convert_pow,
    "Sum": _variadic(graph.AddOp),
    "Max": _variadic(graph.MaximumOp),
    "Min": _variadic(graph.MinimumOp),
    "Identity": _convert_identity,
    "Dropout": _convert_dropout,
    "Cast": _convert_cast,
    "CastLike": _convert_cast_like,
}
