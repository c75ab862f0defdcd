"""Move `quantize` above the ops that commute with it, so that it meets the producer of its operand.

    quantize(M(x)) = M(quantize(x))

One byte per element is moved instead of four, and the rounding rides in the epilogue of whatever
computes x. Holds exactly when the grid is per-tensor and M is

    reshape, transpose, slice, broadcast, gather, resize_nearest
    concat         every operand gets its own quantize
    pad            the padding value becomes its code
    max_pool       scale > 0, every window sees an element, and none is NaN

    quantize(clamp(x, a, b); qmin, qmax) = quantize(x; quantize(a), quantize(b))

because quantize never decreases (scale > 0). A clamp is relu, clip, or maximum or minimum with a
scalar constant. A NaN, which becomes the lowest code of the range, is the exception: where x may be
one, the clamp stays unless that code is what the NaN would have become before.

A mover with a user that is no `quantize` stays where it is: its float result is needed anyway. A
clamp may have other users, which keep it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp, TensorType, f32
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from .. import numerics
from ..bounds import FINITE, magnitude
from ..dialects import graph
from ..dialects.tensors import Array, shape_of, type_of, value_dtype
from .clamps import clamp_of
from .grids import Grid
from .kernel_classes import MOVEMENT
from .rewriting import inherit_layer, replace, rewrite
from .sink_dequantize import CancelQuantize, every_window_sees_input

_MOVING: tuple[type[Operation], ...] = (*MOVEMENT, graph.MaxPoolOp)


def quantize_like(op: graph.QuantizeOp, x: SSAValue) -> graph.QuantizeOp:
    """The same quantization of another value."""
    new = graph.QuantizeOp(
        x,
        op.scales,
        op.zero_points,
        type_of(op.result).element_type,
        op.axis_index,
        op.qmin.value.data,
        op.qmax.value.data,
    )
    inherit_layer(new, op)
    return new


def codes_of(op: graph.QuantizeOp, reals: Array) -> Array:
    """What `op` makes of each of `reals` (rank 1), one row per channel of its grid."""
    return numerics.quantize(
        reals.astype(np.float32)[None, :],
        op.scales,
        op.zero_points,
        0,
        op.qmin.value.data,
        op.qmax.value.data,
        value_dtype(op.result),
    )


def may_be_nan(value: SSAValue) -> bool:
    """Whether reals are not provably finite; those that are computed from codes are."""
    return magnitude(value) > FINITE


def _is_movable(mover: Operation, grid: Grid) -> bool:
    if not isinstance(mover, _MOVING) or not grid.is_per_tensor:
        return False
    if not all(isinstance(use.operation, graph.QuantizeOp) for use in mover.results[0].uses):
        return False
    if isinstance(mover, graph.MaxPoolOp):
        # Of floats, a NaN in a window gives what comes after it; of codes, it is the lowest.
        sees = every_window_sees_input(mover) and not may_be_nan(mover.input)
        return grid.is_increasing and sees
    return True


class HoistAboveMovement(RewritePattern):
    """quantize(M(x, …)) → M(quantize(x), …)."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        mover = op.input.owner
        if not isinstance(mover, Operation) or not _is_movable(mover, Grid.of(op)):
            return
        moved = mover.operands if isinstance(mover, graph.ConcatOp) else mover.operands[:1]
        hoisted = [quantize_like(op, x) for x in moved]
        properties = dict(mover.properties)
        if isinstance(mover, graph.PadOp):
            ((code,),) = codes_of(op, np.array([mover.value.value.data]))
            properties["value"] = FloatAttr(float(code), f32)
        on_codes = type(mover).create(
            operands=[*(q.result for q in hoisted), *mover.operands[len(hoisted) :]],
            result_types=[
                TensorType(cast(Any, type_of(op.result).element_type), shape_of(mover.results[0]))
            ],
            properties=properties,
            attributes=dict(mover.attributes),
        )
        rewriter.replace(op, [*hoisted, on_codes])


class AbsorbClamp(RewritePattern):
    """quantize(clamp(x)) → quantize(x) with a narrower range of codes."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        owner = op.input.owner
        clamp = clamp_of(owner) if isinstance(owner, Operation) else None
        if clamp is None or not clamp.low <= clamp.high or not Grid.of(op).is_increasing:
            return
        codes = codes_of(op, np.array([clamp.low, clamp.high]))
        if np.any(codes != codes[0]):  # channels with different ends: one range cannot say it
            return
        low, high = (int(code) for code in codes[0])
        nan = op.qmin.value.data if clamp.passes_equals else low if clamp.low > -inf else high
        if nan != low and may_be_nan(clamp.value):
            return
        element_type = type_of(op.result).element_type
        narrowed = graph.QuantizeOp(
            clamp.value, op.scales, op.zero_points, element_type, op.axis_index, low, high
        )
        replace(rewriter, op, narrowed)


@dataclass(frozen=True)
class HoistQuantize(ModulePass):
    name = "hoist-quantize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [HoistAboveMovement(), AbsorbClamp(), CancelQuantize()])
