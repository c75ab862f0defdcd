"""Fuse the dequantize of an accumulator with the quantize that follows.

    quantize(dequantize(acc; sx·sw, 0); sy, zy) → requantize(acc; m, zy)      m = (sx·sw) / sy

The range of codes stays. The two roundings of acc·(sx·sw) and of the division by sy become the one
of acc·m, so a value on the edge between two codes may go to the other one: together with
`integerize-contractions` this is the step of contract 7. Everything before and after is exact.

Side conditions: acc is i32 with zero point 0; sy is per-tensor, or per channel along acc's channel
axis; one zero point; m is finite and not subnormal. Other users of the dequantized accumulator keep
it. A clamp between the two has become a narrow range of codes before (`hoist-quantize`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i32
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.tensors import Array, type_of
from .accumulators import is_usable_scale
from .grids import Grid
from .rewriting import defining, replace, rewrite


@dataclass(frozen=True)
class Requantization:
    dequantize: graph.DequantizeOp
    multipliers: Array
    axis: int
    zero_point: int

    @staticmethod
    def of(op: graph.QuantizeOp) -> Requantization | None:
        dequantize = defining(op.input, graph.DequantizeOp)
        if dequantize is None or type_of(dequantize.input).element_type != i32:
            return None
        source, target = Grid.of(dequantize), Grid.of(op)
        if np.any(source.zero_points != 0) or not target.has_one_zero_point:
            return None
        if not source.is_per_tensor and not target.is_per_tensor and source.axis != target.axis:
            return None
        multipliers = source.scales / target.scales
        if not is_usable_scale(multipliers):
            return None
        axis = target.axis if source.is_per_tensor else source.axis
        return Requantization(dequantize, multipliers, axis, target.zero_point)


class RequantizeAccumulator(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        match = Requantization.of(op)
        if match is None:
            return
        fused = graph.RequantizeOp(
            match.dequantize.input,
            match.multipliers,
            match.zero_point,
            type_of(op.result).element_type,
            match.axis,
            op.qmin.value.data,
            op.qmax.value.data,
        )
        replace(rewriter, op, fused)


@dataclass(frozen=True)
class FuseRequantize(ModulePass):
    name = "fuse-requantize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [RequantizeAccumulator()])
