"""Weights in the order in which the microkernels read them, and back.

GEMM: one panel per `tile.n` vectors of output channels,

    [block][step][vector][lane][k_step]

where a step is `k_step` neighbouring inputs of a run: four codes, or one float. Without VNNI each
block has its own steps, as many as it needs, in its own order (windows.py, forms.py). Or its
weights are 16-bit halves, two inputs a step, in natural order, of all runs as if they were one
(halves.py). Or the inputs of a step are any four, in one order for a team of blocks (gathering.py).
Depthwise packing is in `depthwise.py`.

For tile registers, the steps of a run are cut in chunks of one size (matrix_tile.py), of which the
last begins with steps that weigh zero where it overlaps the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from operator import itemgetter

import numpy as np

from ..codegen.targets import Target
from ..dialects.tensors import Array
from .chains import Menu, sort_blocks
from .forms import HAS_OFFSET, StepOrder, chain_offsets
from .gathering import gather_team
from .geometry import Contraction, Runs, block_base, block_inputs, matrix_of, run_inputs
from .halves import steps_of
from .matrix_tile import chunk_of, chunk_starts
from .ordered_tile import Choice
from .tile import Tile


@dataclass(frozen=True)
class PackedGemm:
    """`data`: the panels, bytes. `orders`: per panel, None where steps are in natural order.
    `tile.n` vectors of channels make a panel; `share` blocks, which are what a kernel computes at a
    time, lie in it side by side.

    The natural order has `runs` · `steps` steps, the runs of all terms one after another. With a
    `chunk`, `steps` are those of its chunks. `in_halves`: a step is two s16 weights. `team`: how
    many neighbouring panels have one order, of steps that gather their inputs; 0: they do not."""

    data: Array
    tile: Tile
    runs: int
    steps: int
    terms: int
    orders: tuple[StepOrder, ...] | None
    share: int = 1
    chunk: int = 0
    in_halves: bool = False
    team: int = 0

    @property
    def block(self) -> Tile:
        """What a kernel computes at a time."""
        return Tile(self.tile.m, self.tile.n // self.share, self.tile.lanes)

    @property
    def natural_steps(self) -> int:
        return self.runs * self.terms * self.steps

    @property
    def typical_steps(self) -> int:
        """Of a panel: their mean in eighths of the natural ones, rounded up. Code depends on it,
        and layers of one shape shall have the same."""
        if self.orders is None:
            return self.natural_steps
        mean = sum(order.executed for order in self.orders) / len(self.orders)
        return ceil(ceil(8 * mean / self.natural_steps) * self.natural_steps / 8)

    @property
    def most_steps(self) -> int:
        """Of any panel, in eighths of the natural ones, rounded up: what needs room."""
        most = max(self.panel_steps(panel) for panel in range(len(self.orders or (0,))))
        return ceil(ceil(8 * most / self.natural_steps) * self.natural_steps / 8)

    def panel_steps(self, panel: int) -> int:
        return self.natural_steps if self.orders is None else self.orders[panel].executed


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
    width = k_width(c, runs, tile)
    return [
        (block_matrix(c, runs, terms, first, n * tile.lanes, width), n)
        for first, n in blocks_of(c, tile)
    ]


def sample_blocks(
    c: Contraction, runs: Runs, terms: list[Array], tile: Tile, most: int
) -> list[Array]:
    """The weights of up to `most` whole blocks, spread over the layer."""
    width, blocks = k_width(c, runs, tile), blocks_of(c, tile)
    whole = [first for first, n in blocks if n == blocks[0][1]]
    chosen = whole[:: -(-len(whole) // most)]
    count = blocks[0][1] * tile.lanes
    return [block_matrix(c, runs, terms, first, count, width) for first in chosen]


def block_matrix(
    c: Contraction, runs: Runs, terms: list[Array], first: int, count: int, width: int
) -> Array:
    """Weights [count, steps, k_step] of the channels from `first` on, in natural order."""
    padded = -(-width // c.k_step) * c.k_step
    parts = [_padded(matrix_of(c, runs, t, first, count, width), padded) for t in terms]
    return np.concatenate(parts, axis=1).reshape(count, -1, c.k_step)


def _padded(matrix: Array, width: int) -> Array:
    if matrix.shape[2] == width:
        return matrix
    result = np.zeros((*matrix.shape[:2], width), matrix.dtype)
    result[:, :, : matrix.shape[2]] = matrix
    return result


def pack_gemm(
    c: Contraction, runs: Runs, terms: list[Array], choice: Choice, target: Target
) -> PackedGemm:
    """`terms`: the weights [O, I/groups, kh, kw] as s8 summands, or one f32 array."""
    tile = choice.tile
    matrices, orders = block_matrices(c, runs, terms, tile), None
    steps = steps_per_run(c, runs, tile)
    chunk = chunk_of(steps) if choice.in_registers else 0
    if choice.in_registers:
        matrices = [(_chunked(matrix, steps), n) for matrix, n in matrices]
        steps = chunked_steps(steps)
    elif choice.in_halves:
        matrices = [(_halved(matrix, runs), n) for matrix, n in matrices]
        steps = halves_of(runs)
    elif choice.team:
        matrices, orders = _gathered(matrices, run_inputs(runs, steps), choice)
    elif c.quantized and target.dot4 is None:
        matrices, orders = _ordered(matrices, steps, choice.menu)
    panels = []
    for matrix, n in matrices:
        shaped = matrix.reshape(n, tile.lanes, -1, matrix.shape[-1])
        panels.append(np.ascontiguousarray(shaped.transpose(2, 0, 1, 3)).reshape(-1))
    return PackedGemm(
        np.concatenate(panels).view(np.uint8),
        tile,
        1 if choice.in_halves else len(runs.offsets),
        steps,
        len(terms),
        orders,
        choice.share,
        chunk,
        choice.in_halves,
        choice.team,
    )


def halves_of(runs: Runs) -> int:
    """Steps of two inputs."""
    return steps_of(len(runs.offsets) * runs.length)


def _halved(matrix: Array, runs: Runs) -> Array:
    """Weights [channels, steps, 2], s16, of all runs in one."""
    inputs = matrix.reshape(len(matrix), len(runs.offsets), -1)[:, :, : runs.length]
    result = np.zeros((len(matrix), 2 * halves_of(runs)), np.int16)
    result[:, : inputs[0].size] = inputs.reshape(len(matrix), -1)
    return result.reshape(len(matrix), -1, 2)


def steps_per_run(c: Contraction, runs: Runs, tile: Tile) -> int:
    return -(-k_width(c, runs, tile) // c.k_step)


def chunked_steps(steps: int) -> int:
    """Steps of a run's chunks, overlaps counted twice."""
    return len(chunk_starts(steps)) * chunk_of(steps)


def _chunked(matrix: Array, steps: int) -> Array:
    """Weights [channels, steps of all chunks, k_step]."""
    runs = matrix.reshape(len(matrix), -1, steps, matrix.shape[-1])
    chunk, parts, done = chunk_of(steps), [], 0
    for start in chunk_starts(steps):
        part = runs[:, :, start : start + chunk].copy()
        part[:, :, : done - start] = 0
        parts.append(part)
        done = start + chunk
    return np.concatenate(parts, axis=2).reshape(len(matrix), -1, matrix.shape[-1])


def _joined(panel: Array, steps: int) -> Array:
    """The inverse of `_chunked`."""
    chunk, starts = chunk_of(steps), chunk_starts(steps)
    chunks = panel.reshape(len(panel), -1, len(starts), chunk, panel.shape[-1])
    runs = np.zeros((*chunks.shape[:2], steps, panel.shape[-1]), panel.dtype)
    for number, start in enumerate(starts):
        runs[:, :, start : start + chunk] += chunks[:, :, number]
    return runs.reshape(len(panel), -1, panel.shape[-1])


def _ordered(
    matrices: list[tuple[Array, int]], run_steps: int, menu: Menu
) -> tuple[list[tuple[Array, int]], tuple[StepOrder, ...]]:
    """Blocks in kernel order; only their starts are padded, to make one array."""
    groups = _of_one_shape([matrix for matrix, _ in matrices])
    blocks = [block for some in groups for block in sort_blocks(some, run_steps, menu)]
    longest = max(block.order.executed for block in blocks)
    orders = []
    for block in blocks:
        missing = longest - block.order.executed
        starts = np.pad(block.order.starts, (0, missing), constant_values=-1)
        orders.append(StepOrder(starts, block.order.counts))
    panels = [(block.panel, n) for block, (_, n) in zip(blocks, matrices, strict=True)]
    return panels, tuple(orders)


def _of_one_shape(matrices: list[Array]) -> list[Array]:
    """All together, or all but the last, which may be smaller: to search them at once."""
    equal = [matrix for matrix in matrices if matrix.shape == matrices[0].shape]
    return [np.stack(some) for some in (equal, matrices[len(equal) :]) if some]


def _gathered(
    matrices: list[tuple[Array, int]], inputs: Array, choice: Choice
) -> tuple[list[tuple[Array, int]], tuple[StepOrder, ...]]:
    """Blocks in kernel order, those of a team in one; `inputs`: the numbers of all there are."""
    team = choice.team
    assert team == -(-len(matrices) // -(-len(matrices) // team)), "unpack.py reckons it so"
    teams = [matrices[i : i + team] for i in range(0, len(matrices), team)]
    joined = [np.concatenate([matrix for matrix, _ in own]) for own in teams]
    joined = [matrix.reshape(len(matrix), -1)[:, inputs] for matrix in joined]
    found = [gather_team(matrix, choice.menu) for matrix in joined]
    longest = max(own.order.executed for own in found)
    panels, orders = list[tuple[Array, int]](), list[StepOrder]()
    for own, members in zip(found, teams, strict=True):
        starts = np.where(own.order.starts >= 0, inputs[own.order.starts], -1).astype(np.int32)
        missing = ((0, longest - len(starts)), (0, 0))
        order = StepOrder(np.pad(starts, missing, constant_values=-1), own.order.counts)
        ends = np.cumsum([len(matrix) for matrix, _ in members])
        parts = zip(np.split(own.panel, ends[:-1]), members, strict=True)
        panels += [(part, n) for part, (_, n) in parts]
        orders += [order] * len(members)
    return panels, tuple(orders)


def unpack_gemm(c: Contraction, runs: Runs, packed: PackedGemm) -> Array:
    """The weights [O, I/groups, kh, kw] again: f32, s8, or i32 where there were several terms."""
    dtype = np.dtype(np.int8 if c.quantized else np.float32)
    wide = dtype if packed.terms == 1 else np.dtype(np.int32)
    result = np.zeros((c.outputs, c.group_inputs, *c.kernel), wide)
    if packed.orders is None:
        panels = panels_of(c, packed)
    else:
        panels = [
            matrix
            for panel, orders in alike_panels(c, packed)
            for matrix in natural_orders(panel, orders, packed.natural_steps)
        ]
    for matrix, (first, _) in zip(panels, blocks_of(c, packed.tile), strict=True):
        if packed.chunk:
            matrix = _joined(matrix, steps_per_run(c, runs, packed.tile))
        elif packed.in_halves:
            matrix = matrix.reshape(len(matrix), -1)[:, : len(runs.offsets) * runs.length]
        shaped = matrix.reshape(len(matrix), packed.terms, len(runs.offsets), -1)
        _unpack_block(c, runs, shaped.sum(1, dtype=wide), first, packed.tile, result)
    return result


def natural_orders(panel: Array, orders: Sequence[StepOrder], steps: int) -> Array:
    """The weights [blocks, channels, steps, 4] again: what the steps of some blocks hold of each
    input. `panel`: [channels, steps, 4] in kernel order, block after block."""
    blocks, starts = steps_of_blocks(orders)
    if starts.ndim == 2:
        return _natural_inputs(panel, blocks, starts, len(orders), steps)
    places = blocks * 4 * steps + starts
    weights = panel[:, : len(places)].transpose(2, 1, 0)
    # Several steps may begin at one place, with the weights of different channels.
    alone, first = np.unique(places, return_index=True)
    others = np.delete(np.arange(len(places)), first)
    result = np.zeros((len(orders) * 4 * steps, len(panel)), np.int8)
    for i, own in enumerate(weights):
        result[alone + i] += own[first]
        np.add.at(result, places[others] + i, own[others])
    return result.reshape(len(orders), steps, 4, -1).transpose(0, 3, 1, 2)


def _natural_inputs(panel: Array, blocks: Array, inputs: Array, count: int, steps: int) -> Array:
    """`natural_orders` of steps that gather their inputs, each of which has one place."""
    is_read = inputs >= 0
    places = (blocks[:, None] * 4 * steps + inputs)[is_read]
    result = np.zeros((count * 4 * steps, len(panel)), np.int8)
    result[places] = panel[:, : len(inputs)][:, is_read].T
    return result.reshape(count, steps, 4, -1).transpose(0, 3, 1, 2)


def steps_of_blocks(orders: Sequence[StepOrder]) -> tuple[Array, Array]:
    """Of all steps that are run, block after block: the number of the block, and the first input,
    or all four of them."""
    blocks = np.repeat(np.arange(len(orders)), [order.executed for order in orders])
    return blocks, np.concatenate([order.starts[: order.executed] for order in orders])


def counts_of(orders: Sequence[StepOrder]) -> Array:
    """How many chains of every form each block has: [blocks, forms]."""
    return np.array([order.counts for order in orders])


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


def panel_bytes(c: Contraction, packed: PackedGemm) -> int:
    """Of all panels."""
    vectors = (n * packed.panel_steps(i) for i, (_, n) in enumerate(blocks_of(c, packed.tile)))
    return 4 * packed.tile.lanes * sum(vectors)


def panels_of(c: Contraction, packed: PackedGemm) -> list[Array]:
    """Per block: the weights [channels, steps, inputs of a step] in kernel order."""
    integer, inputs = (np.int16, 2) if packed.in_halves else (np.int8, c.k_step)
    flat, position, panels = packed.data.view(integer if c.quantized else np.float32), 0, []
    for number, (_, n) in enumerate(blocks_of(c, packed.tile)):
        steps = packed.panel_steps(number)
        size = steps * n * packed.tile.lanes * inputs
        panel = flat[position : position + size].reshape(steps, -1, inputs)
        panels.append(panel.transpose(1, 0, 2))
        position += size
    return panels


def alike_panels(
    c: Contraction, packed: PackedGemm
) -> Iterator[tuple[Array, tuple[StepOrder, ...]]]:
    """Steps [channels, steps, inputs of a step] of neighbouring blocks with equally many channels,
    one after another, and their orders: all blocks but a narrower last one, then that."""
    assert packed.orders is not None
    sizes = [n for _, n in blocks_of(c, packed.tile)]
    rest, flat = 0, packed.data.view(np.int8)
    for n, alike in groupby(zip(sizes, packed.orders, strict=True), key=itemgetter(0)):
        orders = tuple(order for _, order in alike)
        channels, steps = n * packed.tile.lanes, sum(order.executed for order in orders)
        size = steps * channels * c.k_step
        yield flat[rest : rest + size].reshape(steps, channels, -1).transpose(1, 0, 2), orders
        rest += size


def channel_sums(c: Contraction, packed: PackedGemm) -> Array:
    """Σ w per output channel (i64): the padding is zero."""
    # Steps first: their rows are contiguous in memory.
    sums = [panel.sum(1, dtype=np.int64).sum(1) for panel in panels_of(c, packed)]
    return np.concatenate(sums)[: c.outputs]


def bias_correction(c: Contraction, packed: PackedGemm) -> Array:
    """What the bias has to add, per output channel (i64): less all that chains start from."""
    sums = np.zeros(c.outputs, np.int64)
    if packed.orders is None:
        return sums
    first = 0
    for panel, orders in alike_panels(c, packed):
        counts = counts_of(orders)
        offsets = chain_offsets(panel, counts).reshape(-1, len(panel), 2)
        ends = np.cumsum(counts @ HAS_OFFSET)
        for chains in np.split(offsets, ends[:-1]):
            o = min(len(panel), c.outputs - first)
            sums[first : first + o] = -chains.sum((0, 2), dtype=np.int64)[:o]
            first += o
    return sums
