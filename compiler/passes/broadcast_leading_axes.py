"""broadcast-leading-axes: operands of rank above four get the leading axes of their result.

    add %x, %y : 2×1×3×4×5, 1×6×3×4×5   ⇒   add (broadcast %x to 2×6×3×4×5), (broadcast %y to 2×6×…)

Kernels see a tensor as [N, H, W, C], all axes before the last three folded into N, and broadcast
axes of that view. That is enough unless leading axes broadcast one by one: then, and only then,
they are made equal in memory first. Operands whose leading axes are all one, or all those of the
result, stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern

from ..dialects import graph
from ..dialects.shapes import Shape
from ..dialects.tensors import shape_of
from .rewriting import inherit_layer, rewrite

_FOLDED = 3  # axes that a kernel tells apart, besides the images


def aligned_shape(shape: Shape, result: Shape) -> Shape:
    """`shape` with the leading axes of `result`, if it needs them; else `shape`."""
    if len(result) <= _FOLDED + 1:
        return shape
    wide = (1,) * (len(result) - len(shape)) + shape
    leading = wide[:-_FOLDED]
    if all(d == 1 for d in leading) or leading == result[:-_FOLDED]:
        return shape
    return (*result[:-_FOLDED], *wide[-_FOLDED:])


class _Align(RewritePattern):
    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if isinstance(op, graph.BinaryOp):
            operands = [op.lhs, op.rhs]
        elif isinstance(op, graph.MatMulOp | graph.QMatMulOp):
            operands = [op.a, op.b]
        else:
            return
        for index, value in enumerate(operands):
            shape = aligned_shape(shape_of(value), shape_of(op.results[0]))
            if shape != shape_of(value):
                self._widen(op, index, value, shape, rewriter)

    @staticmethod
    def _widen(
        op: Operation, index: int, value: SSAValue, shape: Shape, rewriter: PatternRewriter
    ) -> None:
        wide = graph.BroadcastOp(value, shape)
        inherit_layer(wide, op)
        rewriter.insert(wide)
        op.operands[index] = wide.result
        rewriter.notify_op_modified(op)


@dataclass(frozen=True)
class BroadcastLeadingAxes(ModulePass):
    name: ClassVar[str] = "broadcast-leading-axes"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [_Align()])
