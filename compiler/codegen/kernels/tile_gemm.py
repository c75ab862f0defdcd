"""Contraction kernels in tile registers: `m` pixels × `n` vectors of channels at a time.

    for each tile of the unit range (by slabs of pixels, groups of blocks, pixels, and blocks):
      sums[⌈m/16⌉][n] = bias, in registers
      for each chunk of inputs:
        prefetch a little of the next group's weights (accumulate.py)
        multiply (contractions/matrix_tile.py)
      sums → scratch, 64·n bytes a pixel
      for a few pixels of the tile: codes = epilogue(scratch); store

Sums that are proved to be less than 2²² begin with the bits of the float 1.5 · 2²³ as well, and end
as those of that float plus the sum: a subtraction, which is cheap here (`Target.adds_fastest`),
makes reals of them.

A register's shape is fixed while a kernel runs. Where a line of pixels (`Walk`) is cut in pieces of
two sizes, the shorter ones compute a neighbour's item as well, and leave it in the scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...contractions.geometry import Grid, runs_of
from ...contractions.matrix_tile import blocks_of_group, chunk_starts, row_pieces, slabs_of, walk_of
from ...contractions.packing import PackedGemm, steps_per_run
from ...contractions.tile import LINE
from ...dialects import graph, tile
from ...dialects.layout import LANES, NO_HALO, Layout
from ...dialects.loop import vector_of
from ...dialects.tensors import Array
from ..builder import Index
from .accumulate import Ahead, NaturalAccumulator
from .evaluate import WHOLE
from .gemm import GemmGenerator

#: Bytes of a vector of sums, and pixels that the epilogue finishes together.
_VECTOR, _TOGETHER = 64, 4
#: Bytes of the next panel per chunk below which many tiles share one, and waiting for it is cheap.
_LEAST_AHEAD = 16
#: How far from 1.5 · 2²³ floats are all the whole numbers.
_WHOLE_RANGE = 1 << 22


class TileGemmGenerator(GemmGenerator):
    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        assert isinstance(self.accumulator, NaturalAccumulator)
        self.walk = walk_of(self.c, self.x.layout, self.tile.m)
        self.grid = Grid(self.walk.lines, self.walk.items, self.walk.linear)
        self.pieces = self.walk.pieces(self.tile.m)
        #: Items that every tile computes, and those of the shortest piece of a line.
        self.items, self.shortest = self.pieces[0][1], self.pieces[-1][1]
        self.blocks_of_rows = row_pieces(self.walk.rows(self.items))
        self.scratch = self.b.scratch(sum(self.blocks_of_rows) * self.tile.n * _VECTOR)
        starts = chunk_starts(steps_per_run(self.c, runs_of(self.c, self.x.layout), self.tile))
        assert len(starts) * self.packed.chunk == self.packed.steps
        #: Bytes from a window to the codes of each chunk.
        self.chunks = [run + 4 * start for run in self.accumulator.run_offsets for start in starts]

    @cached_property
    def whole(self) -> bool:
        """Whether sums end as the bits of floats."""
        requantized = all(isinstance(use.operation, graph.RequantizeOp) for use in self.anchor.uses)
        return requantized and sums_are_whole(self.packed, self.bias)

    @property
    def first_sums(self) -> Array:
        return self.bias + WHOLE.view(np.int32) if self.whole else self.bias

    @cached_property
    def blocks_of_group(self) -> int:
        return blocks_of_group(self.blocks, self._block_bytes)

    @property
    def tiles_per_row(self) -> int:
        return sum(count for count, _ in self.pieces)

    @cached_property
    def slab(self) -> tuple[int, int]:
        """(lines, pieces of a line) of a slab: part of a single line, else whole ones."""
        lines, pieces = self.grid.rows, self.tiles_per_row
        slabs = slabs_of(lines * pieces if lines == 1 else lines, self.blocks * self._block_bytes)
        return (1, pieces // slabs) if lines == 1 else (lines // slabs, pieces)

    def emit_units(self) -> int:
        """Slab by slab of pixels, group by group of blocks, tile by tile, block by block."""
        b, size, (lines, pieces) = self.b, self.blocks_of_group, self.slab
        slabs = self.grid.rows * self.tiles_per_row // (lines * pieces)
        groups = self.blocks // size
        with b.nested_unit_loop(slabs, groups, lines, pieces, size) as units:
            slab, group, line, within = units.places
            number = b.add(b.mul(line, pieces), within)
            row, column = b.add(b.mul(slab, lines), line), within
            if self.grid.rows == 1:
                row, column = 0, b.add(b.mul(slab, pieces), within)
            piece = partial(self._piece, row, column, number)
            self.shapes.each_block(units.low, units.high, b.mul(group, size), piece)
        return slabs * groups * lines * pieces * size

    def _piece(
        self,
        row: Index,
        column: Index,
        number: Index,
        block: Index,
        n: int,
        channels: int | None,
    ) -> None:
        """Piece number `column` of line `row`, for a block; in its slab it is number `number`."""
        b = self.b
        first, following = self._first(column), self._first(b.add(column, 1))
        start = b.minimum(first, self.walk.items - self.items)
        self._accumulate_tile(block, row, start, number, n)
        self._finish(block, row, first, start, b.sub(following, first), n, channels)

    def _first(self, column: Index) -> Index:
        """First item of a piece: so many pieces are one item longer than the shortest."""
        b = self.b
        longer = 0 if len(self.pieces) == 1 else self.pieces[0][0]
        return b.add(b.mul(column, self.shortest), b.minimum(column, longer) if longer else 0)

    def _input_offset(self, layout: Layout, row: Index, first: Index) -> Index:
        """To the window of the first pixel of item `first` of a line."""
        if not self.walk.by_rows:
            return super()._input_offset(layout, row, first)
        return super()._input_offset(layout, self.b.add(self.b.mul(row, self.c.rows), first), 0)

    def _output_offset(self, layout: Layout, row: Index, first: Index, i: int) -> Index:
        """To pixel `first + i` of a line."""
        b, walk, columns = self.b, self.walk, self.c.columns
        along_a_row = not walk.by_rows and not walk.linear
        if along_a_row or (walk.linear and layout.halo == NO_HALO):
            return super()._output_offset(layout, row, first, i)
        pixel = b.add(first, i)
        line = 0 if walk.linear else b.mul(row, self.c.rows)
        return self._pixel_offset(
            layout, b.add(line, b.div(pixel, columns)), b.rem(pixel, columns), 0
        )

    # --- sums -------------------------------------------------------------------------------------

    def _accumulate_tile(
        self, block: Index, row: Index, start: Index, number: Index, n: int
    ) -> None:
        """Products of all items from `start` on × n vectors, to the scratch: tile `number` of its
        slab."""
        b, width, share = self.b, n * _VECTOR, self.packed.share
        x = b.address(
            self.x.base, b.mul(self._input_offset(self.x.layout, row, start), self.x.item)
        )
        panel = self.accumulator.open_panel(b.div(block, share))
        begin = self.accumulator.panel_start(panel, self._panel_step)
        part = b.rem(block, share)
        w = b.address(self.weight_base, b.add(begin, b.mul(part, width)))
        ahead = self._share_of_next(b.add(begin, b.mul(part, self._block_bytes)), number)
        sums = self._first_sums(block, n)
        if len(self.chunks) == 1:
            sums = self._chunk(x, w, 0, sums, n, ahead)
        else:
            with b.loop(0, len(self.chunks), carried=sums) as chunks:
                chunks.next = self._chunk(x, w, chunks.variable, chunks.carried, n, ahead)
            sums = list(chunks.results)
        stride, pixel = b.index(width), 0
        for i, rows in enumerate(self.blocks_of_rows):
            for j, total in enumerate(sums[i * n : (i + 1) * n]):
                offset = b.index(pixel * width + j * _VECTOR)
                b.emit(tile.StoreOp(total, self.scratch, offset, stride))
            pixel += rows

    def _first_sums(self, block: Index, n: int) -> list[SSAValue]:
        """What sums begin with, the same in every row."""
        b = self.b
        start = b.add(b.mul(block, self.tile.channels * 4), self.bias_offset)
        places = [b.index(b.add(start, j * _VECTOR)) for j in range(n)]
        kinds = [tile.register(rows, _VECTOR) for rows in self.blocks_of_rows]
        base, stride = self.parameter_base, b.index(0)
        return [b.emit(tile.LoadOp(base, at, stride, kind)) for kind in kinds for at in places]

    def _share_of_next(self, begin: Index, number: Index) -> Ahead | None:
        """Of the weights in the place of those at `begin`, but in the next group of blocks: what
        tile `number` of a slab prefetches, some bytes a chunk.

        A single tile reads its weights as fast as they come; for many tiles, or weights of a single
        chunk, waiting is cheap."""
        b, tiles, chunks = self.b, prod(self.slab), len(self.chunks)
        share = -(-self._block_bytes // tiles)
        if 1 in (tiles, chunks) or share < _LEAST_AHEAD * chunks:
            return None
        start = b.add(b.add(begin, self._group_bytes), b.mul(number, share))
        return Ahead(b.address(self.weight_base, start), -(-share // chunks))

    def _step_bytes(self, n: int) -> int:
        """Of a whole panel, in blocks of n vectors."""
        return self.packed.share * n * _VECTOR

    def _chunk(
        self,
        x: SSAValue,
        w: SSAValue,
        number: Index,
        sums: Sequence[SSAValue],
        n: int,
        ahead: Ahead | None,
    ) -> list[SSAValue]:
        """Codes are loaded once, weights next to the multiplications that want them."""
        b, result, codes = self.b, list(sums), list[SSAValue]()
        x = b.address(x, self._codes_of(number))
        w = b.address(w, b.mul(number, self.packed.chunk * self._step_bytes(n)))
        if ahead is not None:
            lines = b.address(ahead.address, b.mul(number, ahead.bytes))
            for offset in range(0, ahead.bytes, LINE):
                b.prefetch(lines, offset)
        depth, pixel_bytes = self.packed.chunk, self.accumulator.pixel_bytes
        w_stride, x_stride = b.index(self._step_bytes(n)), b.index(pixel_bytes)
        for j in range(n):
            kind = tile.register(depth, _VECTOR)
            weights = b.emit(tile.LoadOp(w, b.index(j * _VECTOR), w_stride, kind))
            for i, rows in enumerate(self.blocks_of_rows):
                if j == 0:
                    first = b.index(sum(self.blocks_of_rows[:i]) * pixel_bytes)
                    shape = tile.register(rows, 4 * depth)
                    codes.append(b.emit(tile.LoadOp(x, first, x_stride, shape)))
                total = result[i * n + j]
                result[i * n + j] = b.emit(tile.Dot4Op(total, codes[i], weights))
        return result

    def _codes_of(self, chunk: Index) -> Index:
        """Bytes from a window to a chunk's codes."""
        b = self.b
        distances = {right - left for left, right in pairwise(self.chunks)}
        if len(distances) <= 1:
            return b.add(b.mul(chunk, max(distances, default=0)), self.chunks[0])
        table = self.parameters.add(np.asarray(self.chunks, np.int32), owner="chunks")
        entry = b.add(b.mul(chunk, 4), table)
        return b.to_index(b.load(self.parameter_base, entry, i32))

    # --- epilogue ---------------------------------------------------------------------------------

    def _finish(
        self,
        block: Index,
        row: Index,
        first: Index,
        start: Index,
        count: Index,
        n: int,
        channels: int | None,
    ) -> None:
        """Items [first, first + count) of line `row`; the scratch begins with item `start`. The
        last few pixels may be finished twice, so that all are finished together with others."""
        b, width, pitch = self.b, self.walk.width, self.walk.pitch
        together = min(_TOGETHER, self.shortest * width)
        channel = b.mul(block, self.tile.channels)
        skipped, pixels = b.mul(b.sub(first, start), pitch), b.mul(count, width)
        with b.loop(0, pixels, together) as groups:
            begin = b.minimum(groups.variable, b.sub(pixels, together))
            cache: dict[object, SSAValue] = {}
            positions = []
            for i in range(together):
                pixel = b.add(begin, i)
                if self.walk.by_rows:
                    pixel = b.add(b.mul(b.div(pixel, width), pitch), b.rem(pixel, width))
                at = b.mul(b.add(skipped, pixel), n * _VECTOR)
                sums = [self._finished_sum(b.add(at, j * _VECTOR)) for j in range(n)]
                place = b.add(b.mul(first, width), begin)
                positions += self._positions(sums, 1, channel, row, place, i, channels, cache)
            self.evaluator.store(self.output, self.kernel.yielded, positions)

    def _finished_sum(self, at: Index) -> SSAValue:
        """A vector of sums, or of the reals that they are."""
        b, element = self.b, f32 if self.whole else i32
        total = b.load(self.scratch, at, vector_of(element, LANES), align=_VECTOR)
        if not self.whole:
            return total
        return b.binary(arith.SubfOp, total, b.constant(float(WHOLE), f32, LANES))


def sums_are_whole(packed: PackedGemm, bias: Array) -> bool:
    """Whether the sums of any u8 codes are at least −2²² and less than 2²²: the floats from 2²³ to
    2²⁴ are the whole numbers."""
    panel = packed.natural_steps * packed.tile.channels * 4
    weights, low, high = packed.data.view(np.int8).reshape(-1), list[Array](), list[Array]()
    for start in range(0, weights.size, panel):
        steps = weights[start : start + panel].reshape(packed.natural_steps, -1, 4)
        low.append(255 * np.minimum(steps, 0).sum((0, 2), np.int64))
        high.append(255 * np.maximum(steps, 0).sum((0, 2), np.int64))
    least, most = np.concatenate(low), np.concatenate(high)
    for ends in (least, most):
        ends[: bias.size] += bias.reshape(-1)
    return bool(least.min() >= -_WHOLE_RANGE and most.max() < _WHOLE_RANGE)
