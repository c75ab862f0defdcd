"""Contractions in tile registers (AMX-INT8): which layers suit them, in which tiles.

A tile is `m` pixels × `n` vectors of 16 channels: ⌈m/16⌉ × n registers of sums. A multiplication
takes a *chunk* of up to 16 steps of 4 inputs:

    sums[r][c] += codes[r] · weights[c]      16 pixels × 64 codes,  16 steps × 16 channels × 4

Chunks do not cross runs (geometry.py), and all chunks of a layer have one size, since a register
has one shape while a kernel runs. A run that is no multiple of it ends with a chunk that reads some
inputs a second time, against weights of zero; so nothing past the run is read.

Not measured: no CPU here has tile registers. That a multiplication takes 16 cycles is what Intel
states for Sapphire Rapids (1024 multiply-adds a cycle); the other costs are assumptions. So a layer
goes to tile registers only where they should be clearly faster than vectors.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from ..dialects.layout import NO_HALO, Layout
from .geometry import Contraction
from .tile import (
    MOST,
    STREAM_BYTES_PER_CYCLE,
    TILE_OVERHEAD,
    Candidate,
    Tile,
    even_pieces,
    pieces,
    ranked,
)

ROWS, REGISTERS = 16, 8
#: Steps of one multiplication.
DEPTH = 16
#: Cycles between two multiplications, from one to the next on the same sums, for the rows of a load
#: and of a store, and to fill and empty the pipeline.
_MULTIPLY, _LATENCY, _LOAD, _STORE, _LEAD = 16.0, 52.0, 8.0, 16.0, 120.0
#: A block's weights stay in the first-level cache from one tile to the next up to this size, and
#: if there are some tiles that share them.
_RESIDENT_BYTES, _SHARING = 32 << 10, 4
#: Two instructions a cycle finish a vector of sums: as in tile.py, and one load more.
_EPILOGUE = 4.5
#: What the estimate for tile registers may be, in parts of that for vectors.
_CLEARLY = 0.8


def chunk_of(steps: int) -> int:
    """Steps of a multiplication, for runs of `steps`: as few chunks as possible, evenly."""
    return -(-steps // -(-steps // DEPTH))


def chunk_starts(steps: int) -> list[int]:
    """First step of every chunk of a run; the last one may overlap the one before."""
    chunk = chunk_of(steps)
    return [min(start, steps - chunk) for start in range(0, steps, chunk)]


def row_pieces(m: int) -> list[int]:
    """Rows of each register for `m` pixels."""
    return [size for count, size in even_pieces(m, ROWS) for _ in range(count)]


@dataclass(frozen=True)
class Walk:
    """How tiles run over the output pixels: `lines` are cut in pieces of so many of their `items`.

    An item is a pixel, or (`by_rows`) a row of `width` pixels. Rows of a register are output pixels
    whose inputs lie a fixed distance apart: an item is `pitch` of them after the one before, and
    what lies between two short rows is computed and left alone."""

    lines: int
    items: int
    width: int = 1
    pitch: int = 1
    by_rows: bool = False
    #: One line of all pixels.
    linear: bool = False

    def rows(self, items: int) -> int:
        """Rows of registers for so many items."""
        return (items - 1) * self.pitch + self.width

    def pieces(self, m: int) -> list[tuple[int, int]]:
        """(count, items) of the pieces of a line, for tiles of `m` rows."""
        return even_pieces(self.items, (m - self.width) // self.pitch + 1)


def walks_of(c: Contraction, layout: Layout) -> list[Walk]:
    """Along all pixels where the inputs allow it; else along a row, or over a few rows."""
    if c.is_pointwise and c.strides == (1, 1) and layout.halo == NO_HALO:
        return [Walk(1, c.images * c.rows * c.columns, linear=True)]
    walks = [Walk(c.images * c.rows, c.columns)]
    (sy, sx), width = c.strides, layout.row_stride // layout.channel_stride
    if c.rows > 1 and sy * width % sx == 0:
        walks.append(Walk(c.images, c.rows, c.columns, sy * width // sx, by_rows=True))
    return walks


def walk_of(c: Contraction, layout: Layout, m: int) -> Walk:
    """That of a tile of `m` rows: more than a row of pixels has are those of several rows."""
    first, *others = walks_of(c, layout)
    return others[0] if m > first.items else first


def estimates(
    walks: list[Walk], channels: int, lanes: int, runs: int, steps: int
) -> list[tuple[float, Tile]]:
    """(cycles, tile) for each tile that fits; every tile reads `runs` of `steps`."""
    vectors, chunks = -(-channels // lanes), runs * len(chunk_starts(steps))
    found: dict[Hashable, tuple[float, Tile]] = {}
    for walk, m, n in _sizes(walks, vectors):
        pieces_of_line = walk.pieces(m)
        tiles, items = sum(count for count, _ in pieces_of_line), pieces_of_line[0][1]
        m, pixels = walk.rows(items), items * walk.width
        cycles = sum(
            count * _tile_cycles(m, pixels, size, chunks, chunk_of(steps), walk.lines * tiles)
            for count, size in pieces(vectors, n)
        )
        found.setdefault((m, n), (walk.lines * tiles * cycles, Tile(m, n, lanes)))
    return list(found.values())


def _sizes(walks: list[Walk], vectors: int) -> Iterator[tuple[Walk, int, int]]:
    """(walk, m, n) whose sums, codes and one vector of weights fit the registers."""
    for walk in walks:
        for items in range(1, walk.items + 1):
            blocks = len(row_pieces(walk.rows(items)))
            if 2 * blocks + 1 > REGISTERS:
                break
            for n in range(1, vectors + 1):
                if blocks * n + blocks + 1 > REGISTERS:
                    break
                yield walk, walk.rows(items), n


def _tile_cycles(m: int, pixels: int, n: int, chunks: int, chunk: int, sharing: int) -> float:
    """One tile of `m` rows, of which `pixels` are wanted; so many tiles share their weights."""
    blocks, weights = len(row_pieces(m)), 64 * chunk * n
    resident = chunks * weights <= _RESIDENT_BYTES and sharing >= _SHARING
    stream = 0.0 if resident else weights / STREAM_BYTES_PER_CYCLE
    busy = max(blocks * n * _MULTIPLY, (blocks + n) * _LOAD, _LATENCY, stream)
    end = blocks * n * _STORE + pixels * n * _EPILOGUE
    return chunks * (busy + 0.25 * stream) + end + _LEAD + TILE_OVERHEAD


def unsuitable(c: Contraction) -> str:
    """Why no tile of the layer fits; empty if some do."""
    if not c.quantized:
        return "float32"
    return "its inputs are in groups" if c.groups > 1 else ""


def preferred(
    tiles: list[tuple[float, Candidate]], vectors: list[tuple[float, Candidate]]
) -> tuple[Candidate, ...]:
    """Choices, best first: of tile registers only if they should be clearly faster. The last one is
    of the other kind, for those who measure."""
    if not tiles:
        return ranked(vectors)
    first, second = ranked(vectors), ranked(tiles)
    if least(tiles) <= _CLEARLY * least(vectors):
        first, second = second, first
    return (*first[: MOST - 1], second[0])


def least(choices: list[tuple[float, Candidate]]) -> float:
    return min(cost for cost, _ in choices)
