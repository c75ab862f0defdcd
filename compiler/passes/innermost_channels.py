"""innermost-channels: what has constants per channel gets its channels as last axis.

    quantize %x {scale = array<…C values>, axis = 1} : N×C×L
        ⇒  transpose(quantize(transpose(x, [0, 2, 1])) {axis = 2}, [0, 2, 1])

The same for dequantize, requantize and fake_quantize: kernels have lanes of neighbouring channels,
and look up constants by them. `channels-last` has left images in that order; what remains are
quantized inputs and outputs of models, and tensors of other ranks. Transposes that meet cancel each
other afterwards (canonicalize).

Declined: one value for all channels, channels that are innermost already, and limits of a
fake_quantize that vary along several axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, TensorType, i64
from xdsl.ir import Attribute, Operation
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.tensors import shape_of, type_of
from .rewriting import replace, rewrite


def channel_axis_of(op: Operation) -> int | None:
    """The axis along which a quantizing op has several values; None if it has none."""
    if isinstance(op, graph.FakeQuantizeOp):
        axes = op.limit_axes
        return axes[0] if len(axes) == 1 else None
    if isinstance(op, graph.QuantizeOp | graph.DequantizeOp):
        several = len(op.scales) > 1 or len(op.zero_points) > 1
    elif isinstance(op, graph.RequantizeOp):
        several = len(op.multipliers) > 1
    else:
        return None
    return op.axis.value.data if several else None


def _moved(op: Operation, order: Sequence[int]) -> dict[str, Attribute]:
    """What becomes of an op's constants if its input is transposed, channels last."""
    if isinstance(op, graph.FakeQuantizeOp):
        return op.transposed_limits(order)
    return {"axis": IntegerAttr(len(order) - 1, i64)}


@dataclass
class ChannelsInnermost(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(
        self,
        op: graph.QuantizeOp | graph.DequantizeOp | graph.RequantizeOp | graph.FakeQuantizeOp,
        rewriter: PatternRewriter,
    ) -> None:
        axis, shape = channel_axis_of(op), shape_of(op.input)
        if axis is None or axis == len(shape) - 1:
            return
        order = [*range(axis), *range(axis + 1, len(shape)), axis]
        back = [order.index(i) for i in range(len(shape))]
        inner = graph.TransposeOp(op.input, order)
        element = cast(Any, type_of(op.result).element_type)
        new = type(op).create(
            operands=[inner.result],
            properties={**op.properties, **_moved(op, order)},
            result_types=[TensorType(element, shape_of(inner.result))],
        )
        replace(rewriter, op, [inner, new, graph.TransposeOp(new.results[0], back)])


@dataclass(frozen=True)
class InnermostChannels(ModulePass):
    name: ClassVar[str] = "innermost-channels"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [ChannelsInnermost()])
