"""Contraction kernels whose steps gather their inputs (gathered.py).

for each tile of the unit range, those of a strip for each block, all blocks for a strip:
  gather the inputs of the strip, if its pixels or the block's team are new
  the rest as in gemm.py
"""

from __future__ import annotations

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from ...contractions.gathered_tile import VECTORS
from ..builder import Index
from .accumulate import Accumulator
from .gathered import GatheredAccumulator, TilePixels
from .gemm import GemmGenerator


class GatheredGemmGenerator(GemmGenerator):
    accumulator: GatheredAccumulator
    #: The number of the unit's tile in its strip.
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
        with b.nested_unit_loop(groups, strips, size, of_strip) as (unit, places):
            group, strip, within, self._tile_number = places
            block = b.add(b.mul(group, size), within)
            self._gather(unit, block, within, strip)
            tile = b.add(b.mul(strip, of_strip), self._tile_number)
            if tiles % of_strip == 0:
                self.ragged_blocks(block, *self._place(tile))
            else:
                with b.branch(b.compare("ult", tile, tiles)):
                    self.ragged_blocks(block, *self._place(tile))
        return self.blocks * strips * of_strip

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

    def _gather(self, unit: Index, block: Index, within: Index, strip: Index) -> None:
        """What the unit needs of it, and the one before has not done."""
        b = self.b
        begins = b.compare("eq", unit, b.begin)
        is_first_tile = b.compare("eq", self._tile_number, 0)
        is_new_strip = self._either(begins, self._both(is_first_tile, b.compare("eq", within, 0)))
        with b.branch(is_new_strip):
            self.accumulator.spread(self._strip(strip), self.row_tiles[0][1])
        begins_team = self._both(is_first_tile, b.compare("eq", b.rem(block, self.least_group), 0))
        with b.branch(self._either(is_new_strip, begins_team)):
            self.accumulator.gather(b.div(block, self.packed.share))

    def _both(self, a: SSAValue, other: SSAValue) -> SSAValue:
        return self.b.binary(arith.AndIOp, a, other)

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
