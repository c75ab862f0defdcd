"""Tiles of a contraction that are not like the others: the last block of channels, which may be
narrower, and the last pixels of a row, of which there may be one less.

Each shape has code of its own, so there are four at most. Which one it is, is decided as far
outside as possible: by a branch around a loop, or by cutting the loop in two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..builder import Index, KernelBuilder

#: What to do for a block, by its number, its vectors, and the layer's channels, if it may have less
#: of them than room.
EmitBlock = Callable[[Index, int, int | None], None]
#: What to do for a tile of a row, by its first pixel, and their number.
EmitPixels = Callable[[Index, int], None]


@dataclass(frozen=True)
class TileShapes:
    """`blocks` of n vectors each, but for the `last` one, (vectors, channels), if it is another;
    `row_tiles`: (count, pixels) of a row's tiles, the larger ones first."""

    b: KernelBuilder
    blocks: int
    n: int
    last: tuple[int, int] | None
    row_tiles: tuple[tuple[int, int], ...]

    def by_width(self, number: Index, emit: EmitBlock) -> None:
        """One block; the number of the last one is known."""
        if self.last is None:
            emit(number, self.n, None)
        elif self.blocks == 1:
            emit(0, *self.last)
        else:
            b = self.b
            with b.branch(b.compare("eq", number, self.blocks - 1)) as branches:
                emit(self.blocks - 1, *self.last)
            with b.otherwise(branches):
                emit(number, self.n, None)

    def each_block(self, low: Index, high: Index, before: Index, emit: EmitBlock) -> None:
        """Blocks [low, high) of a group, `before` of which come before."""
        b, cut = self.b, high
        if self.last is not None:
            cut = b.clamp(b.sub(self.blocks - 1, before), low, high)
        with b.loop(low, cut) as numbers:
            emit(b.add(before, numbers.variable), self.n, None)
        if self.last is not None:
            with b.loop(cut, high):
                emit(self.blocks - 1, *self.last)

    def by_pixels(self, column: Index, emit: EmitPixels) -> None:
        """One tile of a row."""
        b, ((count, m), *shorter) = self.b, self.row_tiles
        if not shorter:
            emit(b.mul(column, m), m)
            return
        with b.branch(b.compare("ult", column, count)) as branches:
            emit(b.mul(column, m), m)
        with b.otherwise(branches):
            emit(b.add(b.mul(column, m - 1), count), m - 1)

    def each_of_row(
        self, low: Index, high: Index, before: Index, emit: Callable[[Index, Index, int], None]
    ) -> None:
        """Tiles [low, high) of a row behind the `before` ones: the number among them as well."""
        b, ((count, m), *shorter) = self.b, self.row_tiles
        cut = b.clamp(b.sub(count, before), low, high) if shorter else high
        with b.loop(low, cut) as numbers:
            column = b.add(before, numbers.variable)
            emit(numbers.variable, b.mul(column, m), m)
        if shorter:
            with b.loop(cut, high) as numbers:
                column = b.add(before, numbers.variable)
                emit(numbers.variable, b.add(b.mul(column, m - 1), count), m - 1)
