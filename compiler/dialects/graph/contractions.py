"""Convolution and matmul, in fp32 and in exact integers."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, StringAttr, TensorType, f32, i32, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, prop_def, result_def
from xdsl.utils.exceptions import VerifyException

from .. import shapes
from ..tensors import Array, array_to_numpy, i32_array, shape_of
from .base import GraphOp, Tensor, ints
from .windows import WindowedOp, window_properties


class ConvolutionOp(WindowedOp, ABC):
    input = operand_def(Tensor)  # again: xDSL orders operands from the most derived class up
    weight = operand_def(Tensor)
    bias = opt_operand_def(Tensor)
    groups = prop_def(IntegerAttr)

    @property
    def window(self) -> tuple[int, int]:
        _, _, kh, kw = shape_of(self.weight)
        return kh, kw

    @property
    def group_count(self) -> int:
        return self.groups.value.data

    @property
    def is_depthwise(self) -> bool:
        o, i, _, _ = shape_of(self.weight)
        return i == 1 and self.group_count == o and self.group_count > 1

    def channels(self) -> int:
        o, i, _, _ = shape_of(self.weight)
        c = shape_of(self.input)[shapes.channel_axis(self.layout.data)]
        if i * self.group_count != c or o % self.group_count:
            raise ValueError(
                f"weight {shape_of(self.weight)} in {self.group_count} groups for {c} channels"
            )
        if self.bias is not None and shape_of(self.bias) != (o,):
            raise ValueError(f"bias {shape_of(self.bias)} for {o} output channels")
        return o


def _convolution_type(
    x: SSAValue, weight: SSAValue, window: dict[str, Attribute], element_type: Attribute
) -> Tensor:
    layout = cast(StringAttr, window["layout"]).data
    o, _, kh, kw = shape_of(weight)
    strides, dilations, pads = (
        ints(cast(DenseArrayBase[Any], window[k])) for k in ("strides", "dilations", "pads")
    )
    shape = shapes.window_shape(shape_of(x), o, (kh, kw), strides, dilations, pads, layout)
    return TensorType(cast(Any, element_type), shape)


@irdl_op_definition
class Conv2dOp(ConvolutionOp):
    """fp32 convolution with zero padding; bias [O] optional."""

    name = "graph.conv2d"

    def __init__(
        self,
        x: SSAValue,
        weight: SSAValue,
        bias: SSAValue | None = None,
        *,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilations: Sequence[int] = (1, 1),
        groups: int = 1,
        layout: str = "nchw",
    ):
        window = window_properties(strides, pads, dilations, layout)
        super().__init__(
            operands=[x, weight, bias],
            properties={**window, "groups": IntegerAttr(groups, i64)},
            result_types=[_convolution_type(x, weight, window, f32)],
        )


@irdl_op_definition
class QConv2dOp(ConvolutionOp):
    """Exact integer convolution Σ (x − zx)(w − zw) + bias in i32 (contract 3).

    Padding contributes real zero. `input_zero_point` has one value, or one per input channel, the
    same for all of a group; `weight_zero_point` one value or one per output channel; bias is i32
    [O]."""

    name = "graph.qconv2d"
    input_zero_point = prop_def(DenseArrayBase)
    weight_zero_point = prop_def(DenseArrayBase)

    def __init__(
        self,
        x: SSAValue,
        weight: SSAValue,
        bias: SSAValue | None = None,
        *,
        input_zero_point: Any = 0,
        weight_zero_point: Any = 0,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilations: Sequence[int] = (1, 1),
        groups: int = 1,
        layout: str = "nchw",
    ):
        window = window_properties(strides, pads, dilations, layout)
        super().__init__(
            operands=[x, weight, bias],
            properties={
                **window,
                "groups": IntegerAttr(groups, i64),
                "input_zero_point": i32_array(input_zero_point),
                "weight_zero_point": i32_array(weight_zero_point),
            },
            result_types=[_convolution_type(x, weight, window, i32)],
        )

    @property
    def input_zero_points(self) -> Array:
        """i32, [1] or [groups]"""
        zero_points = array_to_numpy(self.input_zero_point)
        return zero_points if len(zero_points) == 1 else self._by_group(zero_points)[:, 0]

    def _by_group(self, zero_points: Array) -> Array:
        return zero_points.reshape(self.group_count, -1)

    def verify_(self) -> None:
        super().verify_()
        zero_points = array_to_numpy(self.input_zero_point)
        c = shape_of(self.input)[shapes.channel_axis(self.layout.data)]
        if len(zero_points) not in (1, c):
            raise VerifyException(f"{len(zero_points)} input zero points for {c} channels")
        if len(zero_points) > 1 and np.ptp(self._by_group(zero_points), axis=1).any():
            raise VerifyException("input zero points differ within a group")


class MatMulBase(GraphOp, ABC):
    a = operand_def(Tensor)
    b = operand_def(Tensor)
    bias = opt_operand_def(Tensor)
    result = result_def(Tensor)

    def infer_shape(self) -> shapes.Shape:
        shape = shapes.matmul(shape_of(self.a), shape_of(self.b))
        if self.bias is not None and shape_of(self.bias) != (shape[-1],):
            raise ValueError(f"bias {shape_of(self.bias)} for {shape[-1]} columns")
        return shape


@irdl_op_definition
class MatMulOp(MatMulBase):
    """fp32 numpy matmul (rank ≥ 2, leading axes broadcast) plus optional bias [N]."""

    name = "graph.matmul"

    def __init__(self, a: SSAValue, b: SSAValue, bias: SSAValue | None = None):
        shape = shapes.matmul(shape_of(a), shape_of(b))
        super().__init__(operands=[a, b, bias], result_types=[TensorType(f32, shape)])


@irdl_op_definition
class QMatMulOp(MatMulBase):
    """Exact integer matmul Σ (a − za)(b − zb) + bias in i32.

    `b_zero_point` has one value or one per column."""

    name = "graph.qmatmul"
    a_zero_point = prop_def(IntegerAttr)
    b_zero_point = prop_def(DenseArrayBase)

    def __init__(
        self,
        a: SSAValue,
        b: SSAValue,
        bias: SSAValue | None = None,
        *,
        a_zero_point: int = 0,
        b_zero_point: Any = 0,
    ):
        shape = shapes.matmul(shape_of(a), shape_of(b))
        super().__init__(
            operands=[a, b, bias],
            properties={
                "a_zero_point": IntegerAttr(a_zero_point, i64),
                "b_zero_point": i32_array(b_zero_point),
            },
            result_types=[TensorType(i32, shape)],
        )
