"""Fuse the dequantize of an accumulator with the quantize that follows.

    quantize(dequantize(acc; sx·sw, 0); sy, zy) → requantize(acc; m, zy)      m = (sx·sw) / sy
    quantize(dequantize(acc; sx·sw, 0) + b; sy, zy)
                                  → quantize(dequantize(acc; m, 0) + b/sy; 1, zy)     b constant

The range of codes stays. The two roundings of acc·(sx·sw) and of the division by sy become the one
of acc·m, so a value on the edge between two codes may go to the other one: together with
`integerize-contractions` this is the step of contract 7. Everything before and after is exact.
The second form is for biases that are not on the accumulator's grid, as NNCF leaves them: it saves
the division of every element.

Side conditions: acc is i32 with zero point 0; sy is per-tensor, or per channel along acc's channel
axis (with a bias, not 1 already); one zero point; m and b/sy are finite, m is not subnormal. Other
users of the dequantized accumulator keep it; of one with a bias there are none. A clamp between the
two has become a narrow range of codes before (`hoist-quantize`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i32
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.tensors import Array, shape_of, type_of
from ..numerics import along_axis
from .accumulators import is_usable_scale
from .grids import Grid
from .rewriting import constant_of, defining, inherit_layer, replace, rewrite


@dataclass(frozen=True)
class Requantization:
    dequantize: graph.DequantizeOp
    multipliers: Array
    axis: int
    zero_point: int

    @staticmethod
    def of(op: graph.QuantizeOp) -> Requantization | None:
        dequantize = defining(op.input, graph.DequantizeOp)
        return None if dequantize is None else Requantization.between(dequantize, Grid.of(op))

    @staticmethod
    def between(dequantize: graph.DequantizeOp, target: Grid) -> Requantization | None:
        if type_of(dequantize.input).element_type != i32:
            return None
        source = Grid.of(dequantize)
        if np.any(source.zero_points != 0) or not target.has_one_zero_point:
            return None
        if not source.is_per_tensor and not target.is_per_tensor and source.axis != target.axis:
            return None
        with np.errstate(over="ignore"):
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
class BiasedRequantization:
    """quantize(dequantize(acc) + bias), with both terms in steps of the result's grid."""

    accumulator: Requantization
    bias: Array

    @staticmethod
    def of(op: graph.QuantizeOp) -> BiasedRequantization | None:
        add, target = defining(op.input, graph.AddOp), Grid.of(op)
        if add is None or not add.result.has_one_use() or np.all(target.scales == 1):
            return None
        for term, other in ((add.lhs, add.rhs), (add.rhs, add.lhs)):
            dequantize, bias = defining(term, graph.DequantizeOp), constant_of(other)
            if dequantize is None or bias is None or term.type != add.result.type:
                continue
            if not term.has_one_use():
                continue
            accumulator = Requantization.between(dequantize, target)
            with np.errstate(over="ignore"):
                steps = bias / along_axis(target.scales, target.axis, len(shape_of(term)))
            if accumulator is not None and np.all(np.isfinite(steps)):
                return BiasedRequantization(accumulator, steps)
        return None


class RescaleBiasedAccumulator(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        match = BiasedRequantization.of(op)
        if match is None:
            return
        accumulator = match.accumulator
        old = accumulator.dequantize
        steps = graph.DequantizeOp(old.input, accumulator.multipliers, axis=accumulator.axis)
        bias = graph.ConstantOp(match.bias)
        total = graph.AddOp(steps.result, bias.result)
        inherit_layer(steps, old)
        result = graph.QuantizeOp(
            total.result,
            np.float32(1),
            accumulator.zero_point,
            type_of(op.result).element_type,
            qmin=op.qmin.value.data,
            qmax=op.qmax.value.data,
        )
        replace(rewriter, op, [steps, bias, total, result])


@dataclass(frozen=True)
class FuseRequantize(ModulePass):
    name = "fuse-requantize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [RequantizeAccumulator(), RescaleBiasedAccumulator()])
