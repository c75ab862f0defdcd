"""Compile-time evaluation, by ONNX's reference evaluator, of nodes whose inputs are all known.

    Shape(x: [1,3,8,8]) → Gather(…, 0) → Concat(…, [-1])   ⇒   [1, -1]

QuantizeLinear, DequantizeLinear and FakeQuantize of constants stay ops: passes read weights and
their grid from them. Convolutions and pools of constants stay ops too, because the reference
evaluates them very slowly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from ...dialects.tensors import Array
from .context import Node, NodeError, Value, shape_of_value

# Ops that are understood only here: shape arithmetic and masks.
FOLD_ONLY = frozenset(
    {
        *("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"),
        *("ConstantOfShape", "CumSum", "EyeLike", "NonZero", "OneHot", "Range", "Tile", "Trilu"),
        *("GatherElements", "GatherND", "ScatterElements", "ScatterND", "Where", "TopK"),
        *("Cos", "Sin", "Mod", "IsInf", "IsNaN", "ReduceL2", "ReduceProd"),
    }
)
_KEPT = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "FakeQuantize"),
        *("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    }
)


def is_foldable(node: Node) -> bool:
    """Whether every input is known and the op is one that may disappear at compile time."""
    if node.proto.op_type in _KEPT or node.proto.op_type == "Constant":
        return False
    names = [name for name in node.proto.input if name]
    return bool(names) and not any(isinstance(node.scope.lookup(n), SSAValue) for n in names)


def evaluate(node: Node) -> Sequence[Value]:
    """The outputs of a node all of whose inputs are known."""
    from onnx.reference import ReferenceEvaluator

    inputs = {name: node.scope.lookup(name) for name in node.proto.input if name}
    try:
        evaluator = ReferenceEvaluator(node.proto, opsets={"": node.opset})
        with np.errstate(all="ignore"):
            return [np.asarray(v) for v in evaluator.run(None, inputs)]
    except Exception as error:
        raise NodeError(
            f"cannot be evaluated at compile time ({error}); export the model again"
        ) from error


def _convert_constant(node: Node) -> Array:
    if len(node.attributes) != 1:
        raise NodeError("needs exactly one value attribute; export the model again")
    (kind, value) = next(iter(node.attributes.items()))
    types: dict[str, Any] = {
        "value": None,
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    if kind not in types:
        raise NodeError(f"attribute {kind} is not supported; use a dense numeric constant")
    return np.asarray(value, types[kind])


def _convert_shape(node: Node) -> Array:
    shape = shape_of_value(node.value(0))
    start, end = node.attribute("start", 0), node.attribute("end", len(shape))
    return np.asarray(shape[start:end], np.int64)


def _convert_size(node: Node) -> Array:
    return np.asarray(np.prod(shape_of_value(node.value(0)), dtype=np.int64))


CONVERTERS = {
    "Constant": _convert_constant,
    "Shape": _convert_shape,
    "Size": _convert_size,
}
