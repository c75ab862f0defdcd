"""Where a tile of a Winograd convolution lies (contractions/winograd_tiling.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...contractions.winograd_tiling import Part
from ..builder import Index, KernelBuilder


@dataclass(frozen=True)
class Place:
    """The image of a tile, its number among the rows and columns of its part, and its first
    output."""

    image: Index
    row: Index
    column: Index
    y: Index
    x: Index


def place_of(b: KernelBuilder, part: Part, tile: Index) -> Place:
    """Of tile `tile`, one of the part's."""
    rows, columns = part.rows, part.columns
    number, of_image = b.sub(tile, part.first), rows.tiles * columns.tiles
    image = b.div(number, of_image) if part.images > 1 else 0
    rest = b.rem(number, of_image)
    row = b.div(rest, columns.tiles) if rows.tiles > 1 else 0
    column = b.rem(rest, columns.tiles)
    y = b.add(b.mul(row, rows.side), rows.start)
    x = b.add(b.mul(column, columns.side), columns.start)
    return Place(image, row, column, y, x)


def by_part(
    b: KernelBuilder,
    number: Index,
    ends: Sequence[int],
    parts: Sequence[Part],
    body: Callable[[Part], None],
) -> None:
    """`body` of the part that `number` belongs to: the first whose end is greater."""
    (end, *ends), (part, *others) = ends, parts
    if not others:
        body(part)
        return
    with b.branch(b.compare("ult", number, end)) as blocks:
        body(part)
    with b.otherwise(blocks):
        by_part(b, number, ends, others, body)
