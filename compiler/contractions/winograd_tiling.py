"""How the outputs of a Winograd convolution are cut into tiles (winograd.py).

A dimension of 4·a + 3·b outputs is a tiles of four and b *short* ones of three, which do without
their last point: 7 outputs take 6 + 5 products instead of 6 + 6. What is not of that form (one, two
and five outputs), and windows of four taps, have no short tiles, and what the last tile computes
past the end is dropped.

So there are up to four kinds of tiles, the parts of a tiling. Tiles are numbered part by part, in
an order that makes neighbours of those which have the same points:

    rows      whole   whole   short   short
    columns   short   whole   whole   short
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ..dialects.graph import winograd as dialect

INPUTS = dialect.INPUTS
#: (short rows, short columns) in the order of their numbers.
_KINDS = ((False, True), (False, False), (True, False), (True, True))


@dataclass(frozen=True)
class Span:
    """In one dimension, `tiles` of a kind, from output `start` on: of `side` outputs each, from so
    many points (and inputs)."""

    tiles: int
    start: int
    side: int
    points: int
    #: Whether the last one has outputs past the end.
    is_ragged: bool = False


def spans_of(size: int, taps: int) -> dict[bool, Span]:
    """The whole tiles of `size` outputs, and the short ones behind them."""
    side = dialect.side_of(taps)
    tiles = -(-size // side)
    excess = tiles * side - size
    short = excess if taps == 3 and excess <= tiles else 0
    whole = tiles - short
    return {
        False: Span(whole, 0, side, INPUTS, is_ragged=excess > short),
        True: Span(short, whole * side, side - 1, INPUTS - 1),
    }


@dataclass(frozen=True)
class Part:
    """The tiles of one kind, of all images, from number `first` on."""

    first: int
    images: int
    rows: Span
    columns: Span

    @property
    def tiles(self) -> int:
        return self.images * self.rows.tiles * self.columns.tiles

    @property
    def end(self) -> int:
        return self.first + self.tiles

    @property
    def products(self) -> int:
        """Of a pair of input and output channels."""
        return self.tiles * self.rows.points * self.columns.points


@dataclass(frozen=True)
class Tiling:
    """How `rows` × `columns` outputs of `images` images, of windows of so many taps per side, are
    cut into tiles."""

    images: int
    rows: int
    columns: int
    taps: int = 3

    @property
    def side(self) -> int:
        """Outputs of a whole tile per side."""
        return dialect.side_of(self.taps)

    @property
    def tiles(self) -> int:
        return dialect.tiles_of(self.images, self.rows, self.columns, self.taps)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Those that have tiles."""
        return tuple(self._parts())

    def _parts(self) -> Iterator[Part]:
        rows, columns = spans_of(self.rows, self.taps), spans_of(self.columns, self.taps)
        first = 0
        for short_rows, short_columns in _KINDS:
            part = Part(first, self.images, rows[short_rows], columns[short_columns])
            first = part.end
            if part.tiles:
                yield part

    @property
    def products(self) -> int:
        """Of a pair of input and output channels."""
        return sum(part.products for part in self.parts)

    def having(self, row: int, column: int) -> range:
        """The tiles that have a point."""
        parts = [p for p in self.parts if row < p.rows.points and column < p.columns.points]
        return range(parts[0].first, parts[-1].end) if parts else range(0)
