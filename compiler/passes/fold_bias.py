"""Fold a per-channel add into the bias of the contraction before it.

    conv(x, w) + t = conv(x, w, t)      conv: conv2d or matmul; t: constant or dequantize(constant)

Unlike `fold-batch-norm` this looks at the bias only, so the weights may be anything, quantized
weights above all, and so may t, as long as it is known at compile time. Side conditions: the
contraction has no bias yet and no other user, and t varies along its channels only. Reshapes and
transposes in between are fine while they keep the channels whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.tensors import shape_of
from .affine import Absorber, absorber, channel_vector, with_parameters
from .rewriting import constant_of, defining, forward, rewrite


@dataclass(frozen=True)
class FoldBiasPass(ModulePass):
    name = "fold-bias"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, (FoldBias(),))


class FoldBias(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.AddOp, rewriter: PatternRewriter) -> None:
        for value, addend in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
            target = absorber(value) if value.type == op.result.type else None
            if target is None or target.contraction.bias is not None:
                continue
            bias = _bias_ops(addend, target)
            if bias:
                forward(rewriter, op, value)
                biased = with_parameters(
                    target.contraction, target.contraction.operands[1], bias[-1].results[0]
                )
                rewriter.replace(target.contraction, [*bias, biased])
                return


def _bias_ops(addend: SSAValue, target: Absorber) -> list[Operation]:
    """Ops that compute `addend` as a bias vector; none when it is not known or not per channel."""
    shape = shape_of(target.value)
    dequantize = defining(addend, graph.DequantizeOp)
    values = constant_of(addend if dequantize is None else dequantize.input)
    vector = None if values is None else channel_vector(values, shape, target.axis)
    if vector is None:
        return []
    constant = graph.ConstantOp(np.ascontiguousarray(vector))
    if dequantize is None:
        return [constant]
    if max(len(dequantize.scales), len(dequantize.zero_points)) > 1 and (
        shape_of(addend)[dequantize.axis_index] != len(vector)
    ):
        return []
    return [
        constant,
        graph.DequantizeOp(constant.result, dequantize.scales, dequantize.zero_points, axis=0),
    ]
