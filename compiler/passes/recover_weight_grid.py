"""Find the int8 grid that float weights already lie on.

    conv(dequantize(q), w) = conv(dequantize(q), dequantize(constant codes; s))        w = codes · s

Some exporters quantize activations only and write weights that were fake-quantized before: floats,
but with at most 256 distinct values k·s. Taken as codes they make the convolution an integer one.

A grid fits when |w − k·s| ≤ 10⁻⁶ · max|w| for every weight, −128 ≤ k ≤ 127. One grid for the tensor
is tried first, then one per output channel. Candidates are s = max|w| / n for n = 1 … 128, the
coarsest that fits is taken, and s is then refined by least squares. Ordinary float weights do not
fit: with n ≤ 128 a random value passes with probability < 3·10⁻⁴, so three distinct magnitudes of
one channel fit by accident in less than 10⁻⁵ of the cases, and if they do, the result is still
right to 10⁻⁶.

Side conditions: w is a float constant, and the other operand holds 8-bit codes that were
dequantized, looked at through ops that only move or select them. Without them integer weights are
of no use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern

from ..dialects import graph
from ..dialects.tensors import Array, is_code
from .affine import weight_of
from .rewriting import constant_of, inherit_layer, rewrite

_TOLERANCE = 1e-6
_MOST_STEPS = 128
_SAMPLE = 64
_MOVING = (
    graph.ReshapeOp,
    graph.TransposeOp,
    graph.SliceOp,
    graph.PadOp,
    graph.ConcatOp,
    graph.MaxPoolOp,
)


@dataclass(frozen=True)
class RecoverWeightGridPass(ModulePass):
    name = "recover-weight-grid"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, (RecoverWeightGrid(),))


class RecoverWeightGrid(RewritePattern):
    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if not isinstance(op, graph.Conv2dOp | graph.MatMulOp) or not _holds_codes(op.operands[0]):
            return
        weight = constant_of(weight_of(op))
        axis = 0 if isinstance(op, graph.Conv2dOp) else -1
        grid = None if weight is None else find_grid(weight, axis)
        if weight is None or grid is None:
            return
        codes = graph.ConstantOp(grid.codes)
        real = graph.DequantizeOp(codes.result, grid.scales, axis=axis % weight.ndim)
        inherit_layer(real, op)
        rewriter.insert([codes, real])
        op.operands[1] = real.result
        rewriter.notify_op_modified(op)


def _holds_codes(value: SSAValue) -> bool:
    producer = value.owner
    if isinstance(producer, graph.DequantizeOp):
        return is_code(producer.input)
    return isinstance(producer, _MOVING) and all(map(_holds_codes, producer.operands))


@dataclass(frozen=True)
class WeightGrid:
    """codes·scales are the weights; one scale, or one per output channel."""

    codes: Array
    scales: Array


def find_grid(weight: Array, axis: int) -> WeightGrid | None:
    """The grid of `weight`, for the tensor or else per index of `axis`."""
    if weight.dtype != np.float32 or not weight.size or not np.isfinite(weight).all():
        return None
    scale = _fit(weight.reshape(-1))
    if scale is not None:
        scales = np.asarray([scale], np.float32)
    else:
        channels = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
        fits = []
        for channel in channels:
            fits.append(_fit(channel))
            if fits[-1] is None:
                return None
        scales = np.asarray(fits, np.float32)
    along = [1] * weight.ndim
    along[axis] = len(scales)
    return WeightGrid(np.rint(weight / scales.reshape(along)).astype(np.int8), scales)


def _fit(weights: Array) -> np.float32 | None:
    """The step of the coarsest grid on which all of these weights lie."""
    largest = float(np.abs(weights).max())
    if largest == 0:
        return np.float32(1)
    steps = np.arange(1, _MOST_STEPS + 1)
    spread = weights[:: max(1, len(weights) // _SAMPLE)].astype(np.float64)
    positions = spread / largest * steps[:, None]
    fits = np.abs(positions - np.rint(positions)) <= 2 * _TOLERANCE * steps[:, None]
    for n in steps[fits.all(axis=1)]:
        scale = _refined(weights, largest / n)
        if scale is not None:
            return scale
    return None


def _refined(weights: Array, scale: float) -> np.float32 | None:
    """The least-squares step near `scale` for integer codes, if it fits all weights in float32."""
    codes = np.rint(weights / scale)
    if codes.min() < -128 or codes.max() > 127:
        return None
    step = np.float32(
        (weights * codes).sum(dtype=np.float64) / (codes * codes).sum(dtype=np.float64)
    )
    largest = np.abs(weights).max()
    if np.abs(weights - codes.astype(np.float32) * step).max() > _TOLERANCE * largest:
        return None
    return step
