"""Contraction kernels in tile registers: `m` pixels × `n` vectors of channels at a time.

    for each tile of the unit range:
      sums[⌈m/16⌉][n] = 0, in registers
      for run: for chunk: prefetch a little of the next group's weights (accumulate.py);
                          multiply (contractions/matrix_tile.py)
      sums → scratch, 64·n bytes a pixel
      for a few pixels of the tile: codes = epilogue(scratch + bias); store

A register's shape is fixed while a kernel runs. Where a line of pixels (`Walk`) is cut in pieces of
two sizes, the shorter ones compute a neighbour's item as well, and leave it in the scratch.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.geometry import Grid, runs_of
from ...contractions.matrix_tile import chunk_starts, row_pieces, walk_of
from ...contractions.packing import steps_per_run
from ...contractions.tile import LINE
from ...dialects import tile
from ...dialects.layout import LANES, NO_HALO, Layout
from ...dialects.loop import ScratchOp, vector_of
from ..builder import Index
from .accumulate import Ahead, NaturalAccumulator
from .gemm import GemmGenerator

#: Bytes of a vector of sums, and pixels that the epilogue finishes together.
_VECTOR, _TOGETHER = 64, 4
#: Bytes of the next panel per chunk below which many tiles share one, and waiting for it is cheap.
_LEAST_AHEAD = 16


class TileGemmGenerator(GemmGenerator):
    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        assert isinstance(self.accumulator, NaturalAccumulator)
        self.table = self.accumulator.table
        self.walk = walk_of(self.c, self.x.layout, self.tile.m)
        self.grid = Grid(self.walk.lines, self.walk.items, self.walk.linear)
        self.pieces = self.walk.pieces(self.tile.m)
        #: Items that every tile computes, and those of the shortest piece of a line.
        self.items, self.shortest = self.pieces[0][1], self.pieces[-1][1]
        self.blocks_of_rows = row_pieces(self.walk.rows(self.items))
        self.scratch = self.b.emit(ScratchOp(sum(self.blocks_of_rows) * self.tile.n * _VECTOR))
        runs = runs_of(self.c, self.x.layout)
        self.starts = chunk_starts(steps_per_run(self.c, runs, self.tile))

    @property
    def tiles_per_row(self) -> int:
        return sum(count for count, _ in self.pieces)

    def emit_units(self) -> int:
        rows, columns, size = self.grid.rows, self.tiles_per_row, self.blocks_of_group
        with self.b.nested_unit_loop(self.blocks // size, rows, columns, size) as units:
            group, row, column = units.places
            piece = partial(self._piece, row, column)
            self.shapes.each_block(units.low, units.high, self.b.mul(group, size), piece)
        return self.blocks * rows * columns

    def _piece(self, row: Index, column: Index, block: Index, n: int, channels: int | None) -> None:
        """Piece number `column` of line `row`, for a block."""
        b = self.b
        first, following = self._first(column), self._first(b.add(column, 1))
        start = b.minimum(first, self.walk.items - self.items)
        number = b.add(b.mul(row, self.tiles_per_row), column)
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
        """Products of all items from `start` on × n vectors, to the scratch: tile `number`."""
        b, width, share = self.b, n * _VECTOR, self.packed.share
        x = b.address(
            self.x.base, b.mul(self._input_offset(self.x.layout, row, start), self.x.item)
        )
        panel = self.accumulator.open_panel(b.div(block, share))
        begin = self.accumulator.panel_start(panel, self._panel_step)
        part = b.rem(block, share)
        w = b.address(self.weight_base, b.add(begin, b.mul(part, width)))
        ahead = self._share_of_next(b.add(begin, b.mul(part, self._block_bytes)), number)
        kinds = [tile.register(rows, _VECTOR) for rows in self.blocks_of_rows]
        sums = [b.emit(tile.ZeroOp(kind)) for kind in kinds for _ in range(n)]
        sums = self._runs(x, w, sums, n, ahead)
        stride, pixel = b.index(width), 0
        for i, rows in enumerate(self.blocks_of_rows):
            for j, total in enumerate(sums[i * n : (i + 1) * n]):
                offset = b.index(pixel * width + j * _VECTOR)
                b.emit(tile.StoreOp(total, self.scratch, offset, stride))
            pixel += rows

    def _share_of_next(self, begin: Index, number: Index) -> Ahead | None:
        """Of the weights in the place of those at `begin`, but in the next group of blocks: what
        tile `number` prefetches, some bytes a chunk.

        A single tile reads its weights as fast as they come; for many tiles, or weights of a single
        chunk, waiting is cheap."""
        b, tiles = self.b, self.grid.rows * self.tiles_per_row
        chunks = len(self.accumulator.run_offsets) * len(self.starts)
        share = -(-self._block_bytes // tiles)
        if 1 in (tiles, chunks) or share < _LEAST_AHEAD * chunks:
            return None
        start = b.add(b.add(begin, self._group_bytes), b.mul(number, share))
        return Ahead(b.address(self.weight_base, start), -(-share // chunks))

    def _runs(
        self, x: SSAValue, w: SSAValue, sums: list[SSAValue], n: int, ahead: Ahead | None
    ) -> list[SSAValue]:
        b, offsets = self.b, self.accumulator.run_offsets
        if len(offsets) == 1:
            return self._run(b.address(x, offsets[0]), w, sums, n, ahead)
        run_bytes = self.packed.steps * self._step_bytes(n)
        with b.loop(0, len(offsets), carried=sums) as runs:
            entry = b.add(b.mul(runs.variable, 4), self.table)
            jump = b.to_index(b.load(self.parameter_base, entry, i32))
            w_run = b.address(w, b.mul(runs.variable, run_bytes))
            own = ahead and self._behind(ahead, b.mul(runs.variable, len(self.starts)))
            runs.next = self._run(b.address(x, jump), w_run, list(runs.carried), n, own)
        return list(runs.results)

    def _run(
        self, x: SSAValue, w: SSAValue, sums: list[SSAValue], n: int, ahead: Ahead | None
    ) -> list[SSAValue]:
        """All chunks of one run."""
        b, chunk = self.b, self.packed.chunk
        if len(self.starts) == 1:
            return self._chunk(x, w, sums, n, ahead)
        with b.loop(0, len(self.starts), carried=sums) as chunks:
            start = b.mul(chunks.variable, chunk * 4)
            if self.starts[-1] % chunk:
                start = b.minimum(start, self.starts[-1] * 4)
            w_chunk = b.address(w, b.mul(chunks.variable, chunk * self._step_bytes(n)))
            own = ahead and self._behind(ahead, chunks.variable)
            chunks.next = self._chunk(b.address(x, start), w_chunk, list(chunks.carried), n, own)
        return list(chunks.results)

    def _behind(self, ahead: Ahead, chunks: Index) -> Ahead:
        """What is left behind so many chunks."""
        b = self.b
        return replace(ahead, address=b.address(ahead.address, b.mul(chunks, ahead.bytes)))

    def _step_bytes(self, n: int) -> int:
        """Of a whole panel, in blocks of n vectors."""
        return self.packed.share * n * _VECTOR

    def _chunk(
        self, x: SSAValue, w: SSAValue, sums: list[SSAValue], n: int, ahead: Ahead | None
    ) -> list[SSAValue]:
        """Codes are loaded once, weights next to the multiplications that want them."""
        b, result, codes = self.b, list(sums), list[SSAValue]()
        if ahead is not None:
            for offset in range(0, ahead.bytes, LINE):
                b.prefetch(ahead.address, offset)
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
        offset = b.add(b.mul(block, self.tile.channels * 4), self.bias_offset)
        kind = vector_of(i32, LANES)
        bias = [b.load(self.parameter_base, b.add(offset, j * _VECTOR), kind) for j in range(n)]
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
                sums = [
                    b.binary(
                        arith.AddiOp,
                        b.load(self.scratch, b.add(at, j * _VECTOR), kind, align=_VECTOR),
                        bias[j],
                    )
                    for j in range(n)
                ]
                place = b.add(b.mul(first, width), begin)
                positions += self._positions(sums, 1, channel, row, place, i, channels, cache)
            self.evaluator.store(self.output, self.kernel.yielded, positions)
