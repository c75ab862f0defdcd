"""materialize-weights: codes of constants that float ops read become float constants.

    %w = graph.dequantize (graph.constant codes)   ⇒   %w = graph.constant floats

The values are those of numeric contract 2. Runs after everything that looks for quantized weights:
what is still a dequantized constant then feeds an op that computes in float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from .. import numerics
from ..dialects import graph
from .rewriting import constant_of, replace, rewrite


class _Materialize(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.DequantizeOp, rewriter: PatternRewriter) -> None:
        codes = constant_of(op.input)
        if codes is None:
            return
        values = numerics.dequantize(codes, op.scales, op.zero_points, op.axis_index)
        replace(rewriter, op, graph.ConstantOp(values))


@dataclass(frozen=True)
class MaterializeWeights(ModulePass):
    name: ClassVar[str] = "materialize-weights"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [_Materialize()])
