"""Fold batch normalization, and any constant per-channel multiply or add, into a contraction.

    batch_norm(conv(x, w, b)) = conv(x, w·s, b·s + t)    s = weight / sqrt(variance + ε)
                                                         t = bias − mean·s
    conv(x, w, b) · s         = conv(x, w·s, b·s)
    conv(x, w, b) + t         = conv(x, w, b + t)        conv: conv2d or matmul; s, t: per channel
    batch_norm(x)             = x·s + t                  where no contraction can take it

Side conditions: w and b are float constants (quantized weights stay as they are: the rounding to
their codes is part of the model), the contraction's result has no other user, and s and t vary
along its channels only. Reshapes and transposes in between are fine while they keep the channels
one whole axis (a 1-D convolution is a reshaped 2-D one). Folded parameters are computed in float64
and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph, shapes
from ..dialects.tensors import Array, shape_of
from .affine import (
    Contraction,
    absorber,
    channel_vector,
    constant_operand,
    weight_of,
    with_parameters,
)
from .rewriting import constant_of, forward, replace, rewrite


@dataclass(frozen=True)
class FoldBatchNormPass(ModulePass):
    name = "fold-batch-norm"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, (FoldAffine(),))
        rewrite(op, (SplitBatchNorm(),))


@dataclass(frozen=True)
class Affine:
    """`op` computes value·scale + shift; both broadcast to `shape`."""

    value: SSAValue
    scale: Array
    shift: Array

    @staticmethod
    def of(op: Operation) -> Affine | None:
        match op:
            case graph.BatchNormOp():
                return _batch_norm(op)
            case graph.MulOp() | graph.AddOp():
                operand = constant_operand(op)
            case graph.SubOp() | graph.DivOp():
                constant = constant_of(op.rhs)
                fits = constant is not None and op.lhs.type == op.result.type
                operand = (op.lhs, constant) if constant is not None and fits else None
            case _:
                return None
        return None if operand is None else _binary(op, *operand)


def _binary(op: Operation, value: SSAValue, constant: Array) -> Affine | None:
    one, zero = np.ones((), np.float64), np.zeros((), np.float64)
    constant = constant.astype(np.float64)
    match op:
        case graph.MulOp():
            return Affine(value, constant, zero)
        case graph.DivOp():
            return Affine(value, one / constant, zero) if constant.all() else None
        case graph.SubOp():
            return Affine(value, one, -constant)
    return Affine(value, one, constant)


def _batch_norm(op: graph.BatchNormOp) -> Affine | None:
    known = [constant_of(operand) for operand in op.operands[1:]]
    parameters = [p.astype(np.float64) for p in known if p is not None]
    if len(parameters) != len(known):
        return None
    weight, bias, mean, variance = (_along_channels(p, shape_of(op.input)) for p in parameters)
    scale = weight / np.sqrt(variance + op.epsilon.value.data)
    return Affine(op.input, scale, bias - mean * scale)


def _along_channels(values: Array, shape: shapes.Shape) -> Array:
    return values.reshape([-1 if i == 1 else 1 for i in range(len(shape))])


class FoldAffine(RewritePattern):
    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        affine = Affine.of(op)
        target = None if affine is None else absorber(affine.value)
        if affine is None or target is None:
            return
        shape = shape_of(op.results[0])
        scale = channel_vector(affine.scale, shape, target.axis)
        shift = channel_vector(affine.shift, shape, target.axis)
        if scale is None or shift is None:
            return
        parameters = _folded(target.contraction, scale, shift)
        if parameters is None:
            return
        weight, bias = (graph.ConstantOp(p.astype(np.float32)) for p in parameters)
        folded = with_parameters(target.contraction, weight.result, bias.result)
        forward(rewriter, op, affine.value)
        rewriter.replace(target.contraction, [weight, bias, folded])


def _folded(contraction: Contraction, scale: Array, shift: Array) -> tuple[Array, Array] | None:
    """(weight, bias) of the contraction with ·scale + shift; None if they are not constants."""
    weight, bias = constant_of(weight_of(contraction)), constant_of(contraction.bias)
    if weight is None or (bias is None and contraction.bias is not None):
        return None
    along = (-1, 1, 1, 1) if isinstance(contraction, graph.Conv2dOp) else (-1,)
    zero = np.zeros((), np.float64)
    return weight * scale.reshape(along), (zero if bias is None else bias) * scale + shift


class SplitBatchNorm(RewritePattern):
    """A batch normalization of its own is one multiply and one add."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.BatchNormOp, rewriter: PatternRewriter) -> None:
        affine = _batch_norm(op)
        if affine is None:
            return
        scale, shift = (
            graph.ConstantOp(v.astype(np.float32)) for v in (affine.scale, affine.shift)
        )
        product = graph.MulOp(op.input, scale.result)
        total = graph.AddOp(product.result, shift.result)
        replace(rewriter, op, [scale, shift, product, total])
