"""Quantize constants at compile time.

    quantize(constant; s, z)                       = constant of codes      (numeric contract 1)
    quantize(dequantize(constant; s, z); s', z')   = constant of codes      (contract 2, then 1)

What is left of a weight's Q → DQ chain is dequantize(constant): the form that
`integerize-contractions` looks for.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from .. import numerics
from ..dialects import graph
from ..dialects.tensors import Array, value_dtype
from .rewriting import constant_of, defining, rewrite


@dataclass(frozen=True)
class QuantizeWeightsPass(ModulePass):
    name = "quantize-weights"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, (QuantizeConstant(),))


class QuantizeConstant(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        values = _known_reals(op.input)
        if values is None:
            return
        codes = numerics.quantize(
            values,
            op.scales,
            op.zero_points,
            op.axis_index,
            op.qmin.value.data,
            op.qmax.value.data,
            value_dtype(op.result),
        )
        rewriter.replace(op, graph.ConstantOp(codes))


def _known_reals(value: SSAValue) -> Array | None:
    dequantize = defining(value, graph.DequantizeOp)
    if dequantize is None:
        return constant_of(value)
    codes = constant_of(dequantize.input)
    if codes is None:
        return None
    return numerics.dequantize(
        codes, dequantize.scales, dequantize.zero_points, dequantize.axis_index
    )
