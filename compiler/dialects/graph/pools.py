"""Pools: maximum, mean, and the exact integer window sum."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, IntegerAttr, TensorType, f32, i32, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, prop_def

from .. import shapes
from ..tensors import i64_array, shape_of, type_of
from .base import Tensor, ints
from .windows import WindowedOp, window_properties


class PoolOp(WindowedOp, ABC):
    kernel = prop_def(DenseArrayBase)

    @property
    def window(self) -> tuple[int, int]:
        kh, kw = ints(self.kernel)
        return kh, kw


def _pool_parts(
    x: SSAValue,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    layout: str,
    element_type: Attribute,
) -> tuple[dict[str, Attribute], Tensor]:
    channels = shape_of(x)[shapes.channel_axis(layout)]
    shape = shapes.window_shape(shape_of(x), channels, kernel, strides, dilations, pads, layout)
    properties = {
        "kernel": i64_array(kernel),
        **window_properties(strides, pads, dilations, layout),
    }
    return properties, TensorType(cast(Any, element_type), shape)


@irdl_op_definition
class MaxPoolOp(PoolOp):
    """Maximum over the window, on f32 or on codes; padding never wins."""

    name = "graph.max_pool"

    def __init__(
        self,
        x: SSAValue,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilations: Sequence[int] = (1, 1),
        layout: str = "nchw",
    ):
        element_type = type_of(x).element_type
        properties, result = _pool_parts(x, kernel, strides, pads, dilations, layout, element_type)
        super().__init__(operands=[x], properties=properties, result_types=[result])


@irdl_op_definition
class AvgPoolOp(PoolOp):
    """f32 mean over the window; padding counts, as zeros, if `count_include_pad`, else not."""

    name = "graph.avg_pool"
    count_include_pad = prop_def(BoolAttr)

    def __init__(
        self,
        x: SSAValue,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        count_include_pad: bool = False,
        layout: str = "nchw",
    ):
        properties, result = _pool_parts(x, kernel, strides, pads, (1, 1), layout, f32)
        properties["count_include_pad"] = BoolAttr.from_bool(count_include_pad)
        super().__init__(operands=[x], properties=properties, result_types=[result])


@irdl_op_definition
class QSumPoolOp(PoolOp):
    """Exact integer window sum Σ (x − zx) in i32; padding contributes nothing."""

    name = "graph.qsum_pool"
    input_zero_point = prop_def(IntegerAttr)

    def __init__(
        self,
        x: SSAValue,
        kernel: Sequence[int],
        *,
        input_zero_point: int = 0,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        layout: str = "nchw",
    ):
        properties, result = _pool_parts(x, kernel, strides, pads, (1, 1), layout, i32)
        properties["input_zero_point"] = IntegerAttr(input_zero_point, i64)
        super().__init__(operands=[x], properties=properties, result_types=[result])
