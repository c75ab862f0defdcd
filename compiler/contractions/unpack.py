"""From a `graph.packed_weights` back to the weights: for the interpreter and for bias folding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..dialects import graph
from ..dialects.graph import ints
from ..dialects.tensors import Array, shape_of, value_dtype
from .depthwise import unpack_depthwise
from .depthwise_halves import unpack_halves
from .forms import StepOrder
from .geometry import Contraction, Runs
from .matrix_tile import chunk_of
from .packing import PackedGemm, blocks_of, chunked_steps, halves_of, steps_per_run, unpack_gemm
from .tile import Tile
from .winograd_packing import unpack_points, unpack_taps


def geometry_of(op: graph.PackedWeightsOp) -> tuple[Contraction, Runs]:
    """What packing depends on; input addresses do not matter and are zero."""
    shape = shape_of(op.result)
    matrix = len(shape) == 2
    o, i, kh, kw = (shape[1], shape[0], 1, 1) if matrix else shape
    taps = tuple((y, x) for y in range(kh) for x in range(kw))
    quantized = value_dtype(op.result) != np.float32
    groups = op.groups.value.data
    c = Contraction(quantized, o, groups, i, taps, (kh, kw), (1, 1), (0, 0), 1, 1, 1)
    merged = bool(op.merged.value.data)
    count, length = (kh, kw * i) if merged else (len(taps), i)
    return c, Runs((0,) * count, length, merged)


def packed_gemm(op: graph.PackedWeightsOp, data: Array, order: Sequence[Array]) -> PackedGemm:
    c, runs = geometry_of(op)
    tile = Tile(*ints(op.tile))
    orders = None
    team = 0
    if order:
        steps, counts = order
        orders = tuple(
            StepOrder(row, tuple(count.tolist())) for row, count in zip(steps, counts, strict=True)
        )
        if op.form.data == "gathered":
            panels = len(blocks_of(c, tile))
            team = -(-panels // len(orders))
            orders = tuple(orders[panel // team] for panel in range(panels))
    count, per_run, chunk = len(runs.offsets), steps_per_run(c, runs, tile), 0
    if op.scheme.data == "chunks":
        per_run, chunk = chunked_steps(per_run), chunk_of(per_run)
    in_halves = op.form.data == "halves"
    if in_halves:
        count, per_run = 1, halves_of(runs)
    share = 1 if op.share is None else op.share.value.data
    terms = op.terms.value.data
    return PackedGemm(data, tile, count, per_run, terms, orders, share, chunk, in_halves, team)


def constants_of(op: graph.PackedWeightsOp) -> tuple[Array, list[Array]]:
    """The packed bytes, and the order tensors."""
    owners = [value.owner for value in op.operands]
    arrays = [owner.array for owner in owners if isinstance(owner, graph.ConstantOp)]
    assert len(arrays) == len(owners)
    return arrays[0], arrays[1:]


def unpack(op: graph.PackedWeightsOp, data: Array, order: Sequence[Array]) -> Array:
    c, runs = geometry_of(op)
    if op.scheme.data == "depthwise":
        unpack_form = unpack_halves if op.form.data == "halves" else unpack_depthwise
        return unpack_form(c, data, ints(op.tile)[2])
    if op.scheme.data == "winograd":
        tile = Tile(*ints(op.tile))
        if op.form.data == "taps":
            return unpack_taps(data, c.outputs, c.group_inputs, tile)
        return unpack_points(data, c.outputs, c.group_inputs, tile, c.kernel[0])
    weight = unpack_gemm(c, runs, packed_gemm(op, data, order))
    if len(shape_of(op.result)) == 2:
        return np.ascontiguousarray(weight[:, :, 0, 0].T)
    return weight
