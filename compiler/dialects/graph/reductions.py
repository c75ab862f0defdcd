"""Reductions, softmax and normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    BoolAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    f32,
    i64,
)
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def

from .. import shapes
from ..tensors import i64_array, shape_of, type_of
from .base import GraphOp, Tensor, ints, like


@irdl_op_definition
class ReduceOp(GraphOp):
    """`kind` ∈ {mean, sum, max, min} over `axes` of an f32 tensor."""

    name = "graph.reduce"
    input = operand_def(Tensor)
    kind = prop_def(StringAttr)
    axes = prop_def(DenseArrayBase)
    keepdims = prop_def(BoolAttr)
    result = result_def(Tensor)

    def __init__(self, kind: str, x: SSAValue, axes: Sequence[int], keepdims: bool):
        shape = shapes.reduce(shape_of(x), axes, keepdims)
        super().__init__(
            operands=[x],
            properties={
                "kind": StringAttr(kind),
                "axes": i64_array(axes),
                "keepdims": BoolAttr.from_bool(keepdims),
            },
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.reduce(shape_of(self.input), ints(self.axes), bool(self.keepdims))


@irdl_op_definition
class SoftmaxOp(GraphOp):
    """exp(x − max) / Σ exp(x − max) along `axis`."""

    name = "graph.softmax"
    input = operand_def(Tensor)
    axis = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, axis: int):
        super().__init__(
            operands=[x],
            properties={"axis": IntegerAttr(axis % len(shape_of(x)), i64)},
            result_types=[like(x, f32)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)


@irdl_op_definition
class LayerNormOp(GraphOp):
    """(x − mean) / sqrt(variance + epsilon) · weight + bias over the last axis."""

    name = "graph.layer_norm"
    input = operand_def(Tensor)
    weight = operand_def(Tensor)
    bias = operand_def(Tensor)
    epsilon = prop_def(FloatAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, weight: SSAValue, bias: SSAValue, epsilon: float):
        super().__init__(
            operands=[x, weight, bias],
            properties={"epsilon": FloatAttr(epsilon, f32)},
            result_types=[like(x, f32)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)


@irdl_op_definition
class BatchNormOp(GraphOp):
    """(x − mean) / sqrt(variance + epsilon) · weight + bias, all four per index of axis 1."""

    name = "graph.batch_norm"
    input = operand_def(Tensor)
    weight = operand_def(Tensor)
    bias = operand_def(Tensor)
    mean = operand_def(Tensor)
    variance = operand_def(Tensor)
    epsilon = prop_def(FloatAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, parameters: Sequence[SSAValue], epsilon: float):
        super().__init__(
            operands=[x, *parameters],
            properties={"epsilon": FloatAttr(epsilon, f32)},
            result_types=[like(x, f32)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)
