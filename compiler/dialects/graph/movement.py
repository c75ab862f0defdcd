"""Ops that move elements without computing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    f32,
    i64,
)
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, var_operand_def

from .. import shapes
from ..tensors import i64_array, shape_of, type_of
from .base import GraphOp, Tensor, ints


@irdl_op_definition
class ReshapeOp(GraphOp):
    name = "graph.reshape"
    input = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, shape: Sequence[int]):
        target = shapes.reshape(shape_of(x), tuple(shape))
        result = TensorType(cast(Any, type_of(x).element_type), target)
        super().__init__(operands=[x], result_types=[result])

    def infer_shape(self) -> shapes.Shape:
        return shapes.reshape(shape_of(self.input), shape_of(self.result))


@irdl_op_definition
class TransposeOp(GraphOp):
    """result axis i is input axis permutation[i]."""

    name = "graph.transpose"
    input = operand_def(Tensor)
    permutation = prop_def(DenseArrayBase)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, permutation: Sequence[int]):
        shape = [shape_of(x)[p] for p in permutation]
        super().__init__(
            operands=[x],
            properties={"permutation": i64_array(permutation)},
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        shape, permutation = shape_of(self.input), ints(self.permutation)
        if sorted(permutation) != list(range(len(shape))):
            raise ValueError(f"{permutation} is not a permutation of the axes of {shape}")
        return tuple(shape[p] for p in permutation)


@irdl_op_definition
class ConcatOp(GraphOp):
    name = "graph.concat"
    inputs = var_operand_def(Tensor)
    axis = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(self, inputs: Sequence[SSAValue], axis: int):
        shape = shapes.concat([shape_of(x) for x in inputs], axis)
        super().__init__(
            operands=[list(inputs)],
            properties={"axis": IntegerAttr(axis, i64)},
            result_types=[TensorType(cast(Any, type_of(inputs[0]).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.concat([shape_of(x) for x in self.inputs], self.axis.value.data)


@irdl_op_definition
class SliceOp(GraphOp):
    """input[starts[i] : limits[i] : steps[i]] per axis; steps are positive."""

    name = "graph.slice"
    input = operand_def(Tensor)
    starts = prop_def(DenseArrayBase)
    limits = prop_def(DenseArrayBase)
    steps = prop_def(DenseArrayBase)
    result = result_def(Tensor)

    def __init__(
        self, x: SSAValue, starts: Sequence[int], limits: Sequence[int], steps: Sequence[int]
    ):
        shape = shapes.slice_(shape_of(x), starts, limits, steps)
        super().__init__(
            operands=[x],
            properties={
                "starts": i64_array(starts),
                "limits": i64_array(limits),
                "steps": i64_array(steps),
            },
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.slice_(
            shape_of(self.input), ints(self.starts), ints(self.limits), ints(self.steps)
        )


@irdl_op_definition
class PadOp(GraphOp):
    """Constant padding; `value` is a real for f32 tensors and a code for ui8/si8."""

    name = "graph.pad"
    input = operand_def(Tensor)
    low = prop_def(DenseArrayBase)
    high = prop_def(DenseArrayBase)
    value = prop_def(FloatAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, low: Sequence[int], high: Sequence[int], value: float):
        shape = shapes.pad(shape_of(x), low, high)
        super().__init__(
            operands=[x],
            properties={
                "low": i64_array(low),
                "high": i64_array(high),
                "value": FloatAttr(value, f32),
            },
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.pad(shape_of(self.input), ints(self.low), ints(self.high))


@irdl_op_definition
class BroadcastOp(GraphOp):
    """numpy broadcast_to the result shape (ONNX Expand)."""

    name = "graph.broadcast"
    input = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, shape: Sequence[int]):
        result = TensorType(cast(Any, type_of(x).element_type), list(shape))
        super().__init__(operands=[x], result_types=[result])

    def infer_shape(self) -> shapes.Shape:
        return shapes.broadcast(shape_of(self.input), shape_of(self.result))


@irdl_op_definition
class GatherOp(GraphOp):
    """numpy take(input, indices, axis); indices i64: negative ones count from the end, and what is
    outside the axis is clamped into it."""

    name = "graph.gather"
    input = operand_def(Tensor)
    indices = operand_def(Tensor)
    axis = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, indices: SSAValue, axis: int):
        shape = shapes.gather(shape_of(x), shape_of(indices), axis)
        super().__init__(
            operands=[x, indices],
            properties={"axis": IntegerAttr(axis, i64)},
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.gather(shape_of(self.input), shape_of(self.indices), self.axis.value.data)


@irdl_op_definition
class ResizeNearestOp(GraphOp):
    """Nearest-neighbour up-sampling by whole factors of height and width."""

    name = "graph.resize_nearest"
    input = operand_def(Tensor)
    factors = prop_def(DenseArrayBase)
    layout = prop_def(StringAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, factors: Sequence[int], layout: str = "nchw"):
        shape = shapes.resize(shape_of(x), factors, layout)
        super().__init__(
            operands=[x],
            properties={"factors": i64_array(factors), "layout": StringAttr(layout)},
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.resize(shape_of(self.input), ints(self.factors), self.layout.data)
