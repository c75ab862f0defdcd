"""Weights in the order in which the microkernels read them, and back.

GEMM: one panel per block of `tile.n` vectors of output channels,

    [block][step][vector][lane][k_step]

where a step is `k_step` neighbouring inputs of a run: four codes, or one float. Without VNNI each
block has its own order of steps (forms.py). Depthwise packing is in `depthwise.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.targets import Target
from ..dialects.tensors import Array
from .forms import StepOrder, apply_pairing, sort_steps
from .geometry import Contraction, Runs, block_base, block_inputs, matrix_of
from .tile import Tile


@dataclass(frozen=True)
class PackedGemm:
    """`data`: the panels, bytes. `orders`: per block, None where steps are in natural order.

    `runs` · `steps` steps per block, the runs of all terms one after another."""

    data: Array
    tile: Tile
    runs: int
    steps: int
    terms: int
    orders: tuple[StepOrder, ...] | None


def k_width(c: Contraction, runs: Runs, tile: Tile) -> int:
    """Elements per run that a block reads (with groups: the union over the block's channels)."""
    if c.groups == 1:
        return runs.length
    starts = range(0, c.outputs, tile.channels)
    width = max(high - low for low, high in (block_inputs(c, s, tile.channels) for s in starts))
    return min(-(-width // c.k_step) * c.k_step, c.groups * c.group_inputs)


def blocks_of(c: Contraction, tile: Tile) -> list[tuple[int, int]]:
    """(first channel, vectors) of every block."""
    vectors = -(-c.outputs // tile.lanes)
    return [
        (first * tile.lanes, min(tile.n, vectors - first)) for first in range(0, vectors, tile.n)
    ]


def input_bases(c: Contraction, runs: Runs, tile: Tile) -> tuple[int, ...]:
    """First input channel of every block; all 0 without groups."""
    width = k_width(c, runs, tile)
    return tuple(
        block_base(c, first, n * tile.lanes, width) if c.groups > 1 else 0
        for first, n in blocks_of(c, tile)
    )


def block_matrices(
    c: Contraction, runs: Runs, terms: list[Array], tile: Tile
) -> list[tuple[Array, int]]:
    """Per block: weights [channels, steps, k_step] in natural order, and its number of vectors."""
    real = k_width(c, runs, tile)
    width = -(-real // c.k_step) * c.k_step
    result = []
    for first, n in blocks_of(c, tile):
        count = n * tile.lanes
        parts = [_padded(matrix_of(c, runs, t, first, count, real), width) for t in terms]
        matrix = np.concatenate(parts, axis=1)
        result.append((matrix.reshape(count, -1, c.k_step), n))
    return result


def _padded(matrix: Array, width: int) -> Array:
    if matrix.shape[2] == width:
        return matrix
    result = np.zeros((*matrix.shape[:2], width), matrix.dtype)
    result[:, :, : matrix.shape[2]] = matrix
    return result


def pack_gemm(
    c: Contraction, runs: Runs, terms: list[Array], tile: Tile, target: Target
) -> PackedGemm:
    """`terms`: the weights [O, I/groups, kh, kw] as s8 summands, or one f32 array."""
    panels, orders = [], []
    sorted_steps = c.quantized and target.dot4 is None
    for matrix, n in block_matrices(c, runs, terms, tile):
        if sorted_steps:
            order = sort_steps(matrix)
            orders.append(order)
            matrix = apply_pairing(matrix[:, order.steps], order.counts)
        shaped = matrix.reshape(n, tile.lanes, -1, c.k_step)
        panels.append(np.ascontiguousarray(shaped.transpose(2, 0, 1, 3)).reshape(-1))
    width = -(-k_width(c, runs, tile) // c.k_step)
    return PackedGemm(
        np.concatenate(panels).view(np.uint8),
        tile,
        len(runs.offsets),
        width,
        len(terms),
        tuple(orders) if sorted_steps else None,
    )


def unpack_gemm(c: Contraction, runs: Runs, packed: PackedGemm) -> Array:
    """The weights [O, I/groups, kh, kw] again: f32, s8, or i32 where there were several terms."""
    dtype = np.dtype(np.int8 if c.quantized else np.float32)
    flat, position = packed.data.view(dtype), 0
    total = packed.runs * packed.terms * packed.steps
    wide = dtype if packed.terms == 1 else np.dtype(np.int32)
    result = np.zeros((c.outputs, c.group_inputs, *c.kernel), wide)
    for block, (first, n) in enumerate(blocks_of(c, packed.tile)):
        size = total * n * packed.tile.lanes * c.k_step
        panel = flat[position : position + size].reshape(total, n, packed.tile.lanes, c.k_step)
        position += size
        matrix = panel.transpose(1, 2, 0, 3).reshape(n * packed.tile.lanes, total, c.k_step)
        if packed.orders is not None:
            order = packed.orders[block]
            natural = np.empty_like(matrix)
            natural[:, order.steps] = apply_pairing(matrix, order.counts, inverse=True)
            matrix = natural
        shaped = matrix.reshape(len(matrix), packed.terms, packed.runs, -1)
        _unpack_block(c, runs, shaped.sum(1, dtype=wide), first, packed.tile, result)
    return result


def _unpack_block(
    c: Contraction, runs: Runs, matrix: Array, first: int, tile: Tile, result: Array
) -> None:
    """`matrix`: [channels, runs, width]; the inverse of `matrix_of`."""
    o = min(len(matrix), c.outputs - first)
    kh, kw = c.kernel
    if c.groups == 1:
        block = matrix[:o, :, : runs.length].reshape(o, kh, kw, c.group_inputs)
        result[first : first + o] = block.transpose(0, 3, 1, 2)
        return
    width = k_width(c, runs, tile)
    low = block_base(c, first, len(matrix), width)
    per_group = c.outputs // c.groups
    for channel in range(o):
        start = (first + channel) // per_group * c.group_inputs - low
        inputs = matrix[channel, :, start : start + c.group_inputs]
        result[first + channel] = inputs.T.reshape(c.group_inputs, kh, kw)


def panels_of(c: Contraction, packed: PackedGemm) -> list[Array]:
    """Per block: the s8 weights [channels, steps, 4] in kernel order."""
    total, position, panels = packed.runs * packed.terms * packed.steps, 0, []
    for _, n in blocks_of(c, packed.tile):
        size = total * n * packed.tile.lanes * 4
        panel = packed.data[position : position + size].view(np.int8)
        panels.append(panel.reshape(total, -1, 4).transpose(1, 0, 2))
        position += size
    return panels


def centred_sums(c: Contraction, packed: PackedGemm) -> Array:
    """128·Σ w over the centred steps, per output channel (i64): what the bias has to add."""
    sums = np.zeros(c.outputs, np.int64)
    if packed.orders is None:
        return sums
    panels = panels_of(c, packed)
    for panel, order, (first, _) in zip(
        panels, packed.orders, blocks_of(c, packed.tile), strict=True
    ):
        o = min(len(panel), c.outputs - first)
        centred = panel[:o, order.centred_positions()]
        sums[first : first + o] = 128 * centred.sum((1, 2), dtype=np.int64)
    return sums
