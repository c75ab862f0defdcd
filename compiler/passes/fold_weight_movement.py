"""Pull a reshape or transpose of quantized constants into the constant.

    M(dequantize(constant; s, z)) = dequantize(M(constant); s, z)        M: reshape, transpose

so that weights reach their contraction as dequantized codes. The parameters' axis moves along; a
reshape that splits or merges the axis of per-channel parameters is declined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern

from ..dialects import graph
from ..dialects.tensors import Array, shape_of
from .affine import moved_axis
from .rewriting import constant_of, defining, replace, rewrite


@dataclass(frozen=True)
class FoldWeightMovementPass(ModulePass):
    name = "fold-weight-movement"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, (MoveConstant(),))


class MoveConstant(RewritePattern):
    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if not isinstance(op, graph.ReshapeOp | graph.TransposeOp):
            return
        dequantize = defining(op.input, graph.DequantizeOp)
        codes = None if dequantize is None else constant_of(dequantize.input)
        if dequantize is None or codes is None:
            return
        axis = _axis_after(op, dequantize)
        if axis is None:
            return
        constant = graph.ConstantOp(_moved(op, codes))
        moved = graph.DequantizeOp(
            constant.result, dequantize.scales, dequantize.zero_points, axis=axis
        )
        replace(rewriter, op, [constant, moved])


def _axis_after(
    op: graph.ReshapeOp | graph.TransposeOp, dequantize: graph.DequantizeOp
) -> int | None:
    if len(dequantize.scales) == len(dequantize.zero_points) == 1:
        return 0
    return moved_axis(op, dequantize.axis_index)


def _moved(op: graph.ReshapeOp | graph.TransposeOp, codes: Array) -> Array:
    if isinstance(op, graph.TransposeOp):
        return np.ascontiguousarray(codes.transpose(graph.ints(op.permutation)))
    return codes.reshape(shape_of(op.result))
