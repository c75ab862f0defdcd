"""What each graph op is to the code generator: an anchor of some kind, or elementwise."""

from __future__ import annotations

from typing import TypeGuard

from xdsl.ir import Operation, SSAValue

from ..contractions.geometry import Anchor
from ..dialects import graph
from ..dialects.tensors import shape_of
from .rewriting import constant_of

#: One result element from the operand elements at the same place: rides in any kernel.
ELEMENTWISE: tuple[type[Operation], ...] = (
    graph.RequantizeOp, graph.QuantizeOp, graph.DequantizeOp, graph.FakeQuantizeOp, graph.LutOp,
    graph.RecodeOp,
    graph.CastOp, graph.UnaryOp, graph.PReluOp, graph.PowOp, graph.AddOp, graph.SubOp,
    graph.MulOp, graph.DivOp, graph.MaximumOp, graph.MinimumOp,
)  # fmt: skip
CONVOLUTIONS: tuple[type[graph.ConvolutionOp], ...] = (graph.QConv2dOp, graph.Conv2dOp)
MATMULS: tuple[type[graph.MatMulBase], ...] = (graph.QMatMulOp, graph.MatMulOp)
POOLS: tuple[type[Operation], ...] = (graph.MaxPoolOp, graph.AvgPoolOp, graph.QSumPoolOp)
#: Ops that need a whole row of the last axis at once.
ROWS: tuple[type[Operation], ...] = (graph.SoftmaxOp, graph.LayerNormOp, graph.ReduceOp)
#: Ops that move elements and compute nothing.
MOVEMENT: tuple[type[Operation], ...] = (
    graph.TransposeOp, graph.ConcatOp, graph.SliceOp, graph.PadOp, graph.BroadcastOp,
    graph.GatherOp, graph.ResizeNearestOp, graph.ReshapeOp,
)  # fmt: skip
ANCHORS = (*CONVOLUTIONS, *MATMULS, *POOLS, *ROWS, *MOVEMENT)


def is_elementwise(op: object) -> bool:
    return isinstance(op, ELEMENTWISE)


def is_channel_constant(value: SSAValue) -> bool:
    """A constant with one value, or one per index of the last axis: kernels embed those."""
    array = constant_of(value)
    return array is not None and (array.size == 1 or array.size == array.shape[-1])


def is_channel_gather(op: Operation) -> TypeGuard[graph.GatherOp]:
    """A choice of channels, known now, from the last axis."""
    if not isinstance(op, graph.GatherOp) or op.axis.value.data != len(shape_of(op.input)) - 1:
        return False
    indices = constant_of(op.indices)
    return indices is not None and indices.ndim == 1


def has_constant_weight(op: Operation) -> TypeGuard[Anchor]:
    """A convolution or matmul whose weight is a constant matrix, packed or still to be packed.

    Its bias is a constant, too, if it has one."""
    if not isinstance(op, (*CONVOLUTIONS, *MATMULS)):
        return False
    if len(op.operands) > 2 and constant_of(op.operands[2]) is None:
        return False
    weight = op.operands[1]
    known = constant_of(weight) is not None or isinstance(weight.owner, graph.PackedWeightsOp)
    return known and (isinstance(op, CONVOLUTIONS) or len(shape_of(weight)) == 2)


def anchor_of(kernel: graph.KernelOp) -> Operation:
    """The op that decides which generator builds the kernel: the first non-elementwise one."""
    rest = (graph.ConstantOp, graph.PackedWeightsOp, graph.YieldOp)
    body: list[Operation] = [op for op in kernel.block.ops if not isinstance(op, rest)]
    if is_channel_gather(body[-1]):
        return body[-1]  # perhaps of a concat, which comes first
    return next((op for op in body if not isinstance(op, ELEMENTWISE)), body[0])
