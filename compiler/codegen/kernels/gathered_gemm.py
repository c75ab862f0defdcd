"""Contraction kernels whose steps gather their inputs (gathered.py).

for each strip of the unit range, for each block:
  gather the inputs of the strip, if its pixels or the block's team are new
  for each tile of the strip: as in gemm.py
"""

from __future__ import annotations

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from ...contractions.gathered_tile import VECTORS
from ..builder import Index, Units
from .accumulate import Accumulator
from .gathered import GatheredAccumulator, TilePixels
from .gemm import Block, GemmGenerator


class GatheredGemmGenerator(GemmGenerator):
    accumulator: GatheredAccumulator
    #: The number of the tile in its strip.
    _tile_number: Index

    @property
    def accumulator_kind(self) -> type[Accumulator]:
        return GatheredAccumulator

    @property
    def least_group(self) -> int:
        """A team: each group gathers for the teams that it has blocks of."""
        return self.packed.team * self.packed.share

    def emit_units(self) -> int:
        b, tiles, size, of_strip = self.b, self.tiles, self.blocks_of_group, self.tiles_of_strip
        groups, strips = self.blocks // size, -(-tiles // of_strip)
        with b.nested_unit_loop(groups, strips, size, of_strip) as units:
            group, strip, within = units.places
            number = b.add(b.mul(group, size), within)
            self._gather(units, number, within, strip)
            before, high = b.mul(strip, of_strip), units.high
            if tiles % of_strip:
                high = b.minimum(high, b.sub(tiles, before))

            def emit(number: Index, n: int, channels: int | None) -> None:
                self._emit_tiles(units.low, high, before, self.open_block(number, n, channels))

            self.shapes.by_width(number, emit)
        return self.blocks * strips * of_strip

    def _emit_tiles(self, low: Index, high: Index, before: Index, block: Block) -> None:
        """Tiles [low, high) of a strip, with `before` in the strips before."""
        b = self.b

        def tile(number: Index, row: Index, first: Index, m: int) -> None:
            self._tile_number = number
            self.emit_tile(block, row, first, m)

        if self.grid.rows == 1:
            self.shapes.each_of_row(low, high, before, lambda at, first, m: tile(at, 0, first, m))
            return
        with b.loop(low, high) as numbers:
            number = numbers.variable
            row, column = self._place(b.add(before, number))
            self.shapes.by_pixels(column, lambda first, m: tile(number, row, first, m))

    @property
    def tiles_of_strip(self) -> int:
        return VECTORS * self.accumulator.parts

    @property
    def tiles(self) -> int:
        """Of all rows: a strip does not end where a row does."""
        return self.grid.rows * self.tiles_per_row

    def _place(self, tile: Index) -> tuple[Index, Index]:
        """A tile's row, and its number there."""
        if self.grid.rows == 1:
            return 0, tile
        return self.b.div(tile, self.tiles_per_row), self.b.rem(tile, self.tiles_per_row)

    def tile_inputs(self, block: Index, row: Index, first: Index, m: int) -> SSAValue:
        return self.accumulator.tile(self._tile_number)

    def _gather(self, units: Units, block: Index, within: Index, strip: Index) -> None:
        """What the units need of it, and those before have not done."""
        b = self.b
        is_new_strip = self._either(units.is_first, b.compare("eq", within, 0))
        with b.branch(is_new_strip):
            self.accumulator.spread(self._strip(strip), self.row_tiles[0][1])
        begins_team = b.compare("eq", b.rem(block, self.least_group), 0)
        with b.branch(self._either(is_new_strip, begins_team)):
            panel = self.accumulator.open_panel(b.div(block, self.packed.share))
            self.accumulator.gather(panel)

    def _either(self, a: SSAValue, other: SSAValue) -> SSAValue:
        return self.b.binary(arith.OrIOp, a, other)

    def _strip(self, strip: Index) -> list[TilePixels]:
        """Its tiles; behind the last one, that again."""
        b, tiles = self.b, []
        (count, m), *shorter = self.row_tiles
        for number in range(self.tiles_of_strip):
            tile = b.add(b.mul(strip, self.tiles_of_strip), number)
            if self.tiles % self.tiles_of_strip:
                tile = b.minimum(tile, self.tiles - 1)
            row, column = self._place(tile)
            # So many of the tiles before have a pixel less than the first one.
            less = b.maximum(b.sub(column, count), 0) if shorter else 0
            first = b.sub(b.mul(column, m), less)
            is_shorter = b.minimum(b.maximum(b.sub(column, count - 1), 0), 1) if shorter else 0
            last = b.sub(b.add(first, m - 1), is_shorter)
            tiles.append(TilePixels(self.window(row, first), self.window(row, last)))
        return tiles
