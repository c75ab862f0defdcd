"""Move `dequantize` below the ops that commute with it, towards whatever wants codes.

    M(dequantize(q; s, z)) = dequantize(M(q); s, z)

M moves or selects elements, so it handles one byte of each instead of four.

    M               holds exactly when
    reshape         per-tensor grid, or the channel axis stays whole (it may get another number)
    transpose       always; the channel axis is renumbered
    slice           always; a sliced channel axis slices the grid
    broadcast       always; the channel axis counts from the right
    gather          per-tensor grid, or another axis than the channels is gathered
    resize_nearest  per-tensor grid, or channels along the layout's channel axis
    max_pool        scale > 0 (order is kept), channels likewise, and every window sees an element
    pad             one zero point, and the padding value is (code − z)·s for some code of the type
    concat          all operands have the same grid and type, no channels along the joined axis

Each user that moves gets its own `dequantize`; the others keep the old one. Accumulators (i32) stay
where they are: moving a `quantize` up to them is cheaper (`hoist-quantize`).

    quantize(dequantize(q; s, z); s, z) = q     if it maps every code that q can hold to itself
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp, TensorType, f32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from .. import numerics
from ..dialects import graph, shapes
from ..dialects.tensors import shape_of, type_of, value_dtype
from .grids import Grid, code_bounds, dequantized, reshaped_axis
from .rewriting import forward, inherit_layer, rewrite


@dataclass(frozen=True)
class Moved:
    """What a commuting op does to the grid, and the properties it needs on codes."""

    grid: Grid
    properties: dict[str, Attribute]


def _reshape(op: graph.ReshapeOp, grid: Grid) -> Grid | None:
    if grid.is_per_tensor:
        return grid
    axis = reshaped_axis(shape_of(op.input), shape_of(op.result), grid.axis)
    return None if axis is None else grid.along(axis)


def _transpose(op: graph.TransposeOp, grid: Grid) -> Grid:
    if grid.is_per_tensor:
        return grid
    return grid.along(graph.ints(op.permutation).index(grid.axis))


def _slice(op: graph.SliceOp, grid: Grid) -> Grid:
    if grid.is_per_tensor:
        return grid
    starts, limits, steps = (graph.ints(p) for p in (op.starts, op.limits, op.steps))
    kept = slice(starts[grid.axis], limits[grid.axis], steps[grid.axis])
    scales, zero_points = (
        values if len(values) == 1 else values[kept] for values in (grid.scales, grid.zero_points)
    )
    return Grid(scales, zero_points, grid.axis)


def _broadcast(op: graph.BroadcastOp, grid: Grid) -> Grid:
    return grid.along(grid.axis + len(shape_of(op.result)) - len(shape_of(op.input)))


def _gather(op: graph.GatherOp, grid: Grid) -> Grid | None:
    gathered = op.axis.value.data
    if grid.is_per_tensor or grid.axis < gathered:
        return grid
    if grid.axis == gathered:
        return None
    return grid.along(grid.axis + len(shape_of(op.indices)) - 1)


def _resize(op: graph.ResizeNearestOp, grid: Grid) -> Grid | None:
    in_place = grid.is_per_tensor or grid.axis == shapes.channel_axis(op.layout.data)
    return grid if in_place else None


def every_window_sees_input(op: graph.MaxPoolOp) -> bool:
    """No window lies in the padding alone, where a maximum of codes is not a maximum of reals."""
    pads = graph.ints(op.pads)
    if not any(pads):
        return True
    fits = all(pad < size for pad, size in zip(pads, op.window * 2, strict=True))
    return fits and graph.ints(op.dilations) == (1, 1)


def _max_pool(op: graph.MaxPoolOp, grid: Grid) -> Grid | None:
    in_place = grid.is_per_tensor or grid.axis == shapes.channel_axis(op.layout.data)
    return grid if in_place and grid.is_increasing and every_window_sees_input(op) else None


_COMMUTING: dict[type[Operation], Callable[[Any, Grid], Grid | None]] = {
    graph.ReshapeOp: _reshape,
    graph.TransposeOp: _transpose,
    graph.SliceOp: _slice,
    graph.BroadcastOp: _broadcast,
    graph.GatherOp: _gather,
    graph.ResizeNearestOp: _resize,
    graph.MaxPoolOp: _max_pool,
}


def _pad(op: graph.PadOp, grid: Grid, codes: SSAValue) -> Moved | None:
    if not grid.is_per_tensor:
        return None
    value = np.float32(op.value.value.data)
    low, high = graph.code_range(type_of(codes).element_type)
    candidates = np.arange(low, high + 1, dtype=np.int32)
    matches = candidates[numerics.dequantize(candidates, grid.scales, grid.zero_points, 0) == value]
    if len(matches) == 0:
        return None
    return Moved(grid, {**op.properties, "value": FloatAttr(float(matches[0]), f32)})


def _moved(op: Operation, dequantize: graph.DequantizeOp) -> Moved | None:
    grid = Grid.of(dequantize)
    if isinstance(op, graph.PadOp):
        return _pad(op, grid, dequantize.input)
    rule = _COMMUTING.get(type(op))
    after = None if rule is None else rule(op, grid)
    return None if after is None else Moved(after, op.properties)


def _rebuild(
    op: Operation,
    operands: list[SSAValue],
    element_type: Attribute,
    properties: dict[str, Attribute],
) -> Operation:
    """`op` on operands of another element type."""
    result = TensorType(cast(Any, element_type), shape_of(op.results[0]))
    return type(op).create(
        operands=operands,
        result_types=[result],
        properties=properties,
        attributes=dict(op.attributes),
    )


def _replace_with_sunk(
    rewriter: PatternRewriter, op: Operation, on_codes: Operation, grid: Grid, old: Operation
) -> None:
    sunk = graph.DequantizeOp(on_codes.results[0], grid.scales, grid.zero_points, grid.axis)
    inherit_layer(sunk, old)
    rewriter.replace(op, [on_codes, sunk])


class SinkBelowMovement(RewritePattern):
    """M(dequantize(q)) → dequantize(M(q))."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if not isinstance(op, graph.PadOp) and type(op) not in _COMMUTING:
            return
        dequantize = dequantized(op.operands[0])
        moved = None if dequantize is None else _moved(op, dequantize)
        if dequantize is None or moved is None:
            return
        codes = dequantize.input
        operands = [codes, *op.operands[1:]]
        on_codes = _rebuild(op, operands, type_of(codes).element_type, moved.properties)
        _replace_with_sunk(rewriter, op, on_codes, moved.grid, dequantize)


class SinkBelowConcat(RewritePattern):
    """concat(dequantize(p), dequantize(q), …) → dequantize(concat(p, q, …)) for equal grids."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.ConcatOp, rewriter: PatternRewriter) -> None:
        sources = [source for x in op.inputs if (source := dequantized(x)) is not None]
        if len(sources) != len(op.inputs) or not sources:
            return
        grid, element_type = Grid.of(sources[0]), type_of(sources[0].input).element_type
        if not grid.is_per_tensor and grid.axis == op.axis.value.data:
            return
        if not all(
            Grid.of(source).same_as(grid) and type_of(source.input).element_type == element_type
            for source in sources
        ):
            return
        codes = [source.input for source in sources]
        on_codes = _rebuild(op, codes, element_type, dict(op.properties))
        _replace_with_sunk(rewriter, op, on_codes, grid, sources[0])


class CancelQuantize(RewritePattern):
    """quantize(dequantize(q)) → q when that is the identity on the codes that q can hold."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        dequantize = dequantized(op.input)
        if dequantize is None or dequantize.input.type != op.result.type:
            return
        grid = Grid.of(dequantize)
        if not grid.same_as(Grid.of(op)):
            return
        low, high = code_bounds(dequantize.input)
        codes = np.arange(low, high + 1, dtype=np.int32)[None, :]
        back = numerics.quantize(
            numerics.dequantize(codes, grid.scales, grid.zero_points, 0),
            grid.scales,
            grid.zero_points,
            0,
            op.qmin.value.data,
            op.qmax.value.data,
            value_dtype(op.result),
        )
        if np.array_equal(back, np.broadcast_to(codes, back.shape)):
            forward(rewriter, op, dequantize.input)


@dataclass(frozen=True)
class SinkDequantize(ModulePass):
    name = "sink-dequantize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [SinkBelowMovement(), SinkBelowConcat(), CancelQuantize()])
