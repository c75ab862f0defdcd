"""Products of a Winograd convolution whose weights are stored as taps (winograd.py).

A unit is all tiles × a block of channels. It transforms the weights of its block before it uses
them: those of a chunk of input channels, for two rows of points at a time.
"""

from __future__ import annotations

from functools import cached_property

from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.tile import LINE
from ...contractions.winograd_tiling import INPUTS
from ...dialects.graph.winograd import POINTS
from ...dialects.loop import vector_of
from ..builder import Index, i8, i16
from .common import LoweredKernel
from .winograd import WinogradGenerator
from .winograd_transforms import ROW_PAIRS, Lanes, weight_rows, weight_transform

#: Transformed weights of a chunk: more chunks load and store sums more often, more stack is rude.
_TRANSFORMED_BYTES = 49152
#: The same where sums are so few that both stay in the first-level cache.
_TRANSFORMED_BYTES_NEAR, _FEW_BYTES_OF_SUMS = 24576, 16384


class TapsGenerator(WinogradGenerator):
    divided = True

    @property
    def tiles(self) -> int:
        return self.tiling.tiles

    @property
    def units(self) -> int:
        return self.blocks

    def generate(self, exec_type: str) -> LoweredKernel:
        #: Transformed weights of a chunk: of two rows, a panel for each point.
        self.panels = self.b.scratch(2 * INPUTS * self.panel_stride)
        return super().generate(exec_type)

    @cached_property
    def chunk(self) -> int:
        """Pairs of input channels whose weights are transformed at a time: as many as find room."""
        few = self.sum_bytes <= _FEW_BYTES_OF_SUMS
        most = _TRANSFORMED_BYTES_NEAR if few else _TRANSFORMED_BYTES
        return next(
            size
            for size in range(self.pairs, 0, -1)
            if self.pairs % size == 0 and 2 * INPUTS * size * self.pixel_bytes <= most
        )

    @property
    def panel_stride(self) -> int:
        """A line more than a panel's size, since panels are written in turn."""
        return self.chunk * self.pixel_bytes + LINE

    @property
    def pair_bytes(self) -> int:
        """Of the taps of a pair of input channels."""
        return 9 * 2 * self.tile.channels

    def emit_unit(self, unit: SSAValue) -> None:
        b, block = self.b, unit
        taps = b.address(self.weight_base, b.mul(block, 9 * self.panel_bytes // 2))
        with b.loop(0, POINTS * self.tiles * self.pixel_bytes, self.tile.lanes * 4) as bytes_:
            b.store(b.constant(0, i32, self.tile.lanes), self.sums, bytes_.variable)
        with b.loop(0, self.pairs, self.chunk) as chunks:
            for rows in ROW_PAIRS:
                self._transform_weights(taps, chunks.variable, rows)
                for number, row in enumerate(rows):
                    self._multiply_row(taps, chunks.variable, number, row)
        for part in self.tiling.parts:
            with b.loop(part.first, part.end) as tiles:
                self.finish(part, block, tiles.variable, tiles.variable)

    def _multiply_row(self, taps: SSAValue, pair: SSAValue, number: int, row: int) -> None:
        """Adds the products of the chunk from `pair` on, for the points of a row, which is the
        `number`th of those transformed, and all tiles that have them.

        Meanwhile the next chunk of `taps` comes from memory; behind the last one lies, as a rule,
        what the next kernel reads."""
        b, last = self.b, INPUTS - 1
        next_chunk = b.address(taps, b.mul(b.add(pair, self.chunk), self.pair_bytes))
        share = -(-self.chunk * self.pair_bytes // POINTS // LINE) * LINE
        most, few = self.tiling.having(row, 0), self.tiling.having(row, last)
        ranges = [(0, INPUTS, most)] if most == few else [(0, last, most), (last, INPUTS, few)]
        for low, high, tiles in ranges:
            if not tiles:
                continue
            with b.loop(low, high) as columns:
                point = b.add(columns.variable, row * INPUTS)
                lines = b.address(next_chunk, b.mul(point, share))
                for line in range(0, share, LINE):
                    b.prefetch(lines, line)
                panel = b.mul(b.add(columns.variable, number * INPUTS), self.panel_stride)
                w = b.address(self.panels, panel)
                self._multiply_point(point, tiles, pair, w)

    def _multiply_point(self, point: Index, tiles: range, pair: SSAValue, w: SSAValue) -> None:
        """The same for one point and its tiles."""
        b, start = self.b, tiles.start
        for count, m in self.groups(len(tiles)):
            with b.loop(0, count) as groups:
                first = b.add(b.mul(groups.variable, m), start)
                self._add_products(point, first, pair, w, m)
            start += count * m

    def _transform_weights(self, taps: SSAValue, first: SSAValue, rows: tuple[int, int]) -> None:
        """Weights of two rows of points, of the chunk from pair `first` on, to `panels`."""
        b, v, tile = self.b, Lanes(self.b), self.tile
        halves = 2 * tile.lanes
        with b.loop(0, self.chunk) as pairs:
            pair = b.add(first, pairs.variable)
            here = b.address(taps, b.mul(pair, self.pair_bytes))
            there = b.address(self.panels, b.mul(pairs.variable, tile.n * halves * 2))
            for j in range(tile.n):

                def tap(y: int, x: int, j: int = j) -> SSAValue:
                    place = ((3 * y + x) * tile.n + j) * halves
                    return b.convert("sext", b.load(here, place, vector_of(i8, halves)), i16)

                for row, weights in enumerate(weight_rows(v, tap, rows)):
                    for column, result in enumerate(weight_transform(v, weights)):
                        panel = (INPUTS * row + column) * self.panel_stride
                        b.store(result, there, panel + j * halves * 2)

    def _add_products(self, point: Index, first: Index, pair: Index, w: SSAValue, m: int) -> None:
        """Adds a chunk's products to sums[point] of tiles [first, first + m) of all."""
        b, tile = self.b, self.tile
        place = self.place(point, first)
        kind, vector = vector_of(i32, tile.lanes), tile.lanes * 4
        before = [b.load(place, i * vector, kind, align=16) for i in range(m * tile.n)]
        x = b.address(self.points_of(point, first), b.mul(pair, 4))
        self.store_sums(self.products(x, w, self.chunk, m, before), place)
