"""Contractions in tile registers (AMX-INT8): which layers suit them, in which tiles.

A tile is `m` pixels × `n` vectors of 16 channels: ⌈m/16⌉ × n registers of sums. A multiplication
takes a *chunk* of up to 16 steps of 4 inputs:

    sums[r][c] += codes[r] · weights[c]      16 pixels × 64 codes,  16 steps × 16 channels × 4

Chunks do not cross runs (geometry.py), and all chunks of a layer have one size, since a register
has one shape while a kernel runs. A run that is no multiple of it ends with a chunk that reads some
inputs a second time, against weights of zero; so nothing past the run is read.

The costs are measured on Granite Rapids (docs/performance.md), in cycles of the lower clock at
which it multiplies: a multiplication takes one for each of its rows, also if the next one wants its
sums. A layer goes to tile registers only where they should be clearly faster than vectors.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from ..dialects.layout import NO_HALO, Layout
from .geometry import Contraction
from .tile import MOST, TILE_OVERHEAD, Candidate, Tile, even_pieces, pieces, ranked

ROWS, REGISTERS = 16, 8
#: Steps of one multiplication.
DEPTH = 16
#: Cycles of a multiplication at least, to load a row, to store a register, to begin and to end.
_LEAST_MULTIPLY, _LOAD_ROW, _STORE, _LEAD = 9.0, 0.6, 10.0, 120.0
#: What of the first-level cache a group of blocks may have for its weights. Of a single block's, so
#: many more are far; of twice as many, all.
_GROUP_BYTES = 32 << 10
#: Slabs to aim at, bytes of weights that are worth reading once for each, from the second-level
#: cache, and tiles of pixels (or lines of them) to share them each time.
_SLABS, _SLAB_BYTES, _LEAST_TILES = 8, 512 << 10, 5
#: Bytes a cycle from the second-level cache, the part of their time that multiplications do not
#: hide, and how much longer rows take that are apart, as those of codes are.
_STREAM, _SHOWN, _APART = 48.0, 0.75, 1.25
#: Bytes of weights a cycle that a single pixel has to wait for; vectors ask for more at a time.
_ALONE = 8.0
#: To finish a vector of sums, if it is only requantized.
_EPILOGUE = 2.0
#: What the estimate for tile registers may be, in parts of that for vectors.
_CLEARLY = 0.8


def chunk_of(steps: int) -> int:
    """Steps of a multiplication, for runs of `steps`: as few chunks as possible, evenly."""
    return -(-steps // -(-steps // DEPTH))


def chunk_starts(steps: int) -> list[int]:
    """First step of every chunk of a run; the last one may overlap the one before."""
    chunk = chunk_of(steps)
    return [min(start, steps - chunk) for start in range(0, steps, chunk)]


def blocks_of_group(blocks: int, block_bytes: int) -> int:
    """How many blocks of channels meet a tile of pixels in turn, of so many bytes of weights each:
    a divisor of their number, so that groups are alike."""
    sizes = [size for size in range(1, blocks + 1) if blocks % size == 0]
    return max(size for size in sizes if size == 1 or size * block_bytes <= _GROUP_BYTES)


def slabs_of(tiles: int, weights: int) -> int:
    """In how many slabs a layer's tiles of pixels come, each of which meets all `weights` bytes: a
    divisor, the first from `_SLABS` on, or the largest. Threads that share the layer then mostly
    read codes that they wrote themselves, instead of some of every pixel."""
    counts = [n for n in range(1, tiles // _LEAST_TILES + 1) if tiles % n == 0]
    if weights > _SLAB_BYTES or not counts:
        return 1
    return next((n for n in counts if n >= _SLABS), counts[-1])


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
    walks: list[Walk], channels: int, lanes: int, runs: int, steps: int, pixel_bytes: int
) -> list[tuple[float, Tile]]:
    """(cycles, tile) for each tile that fits; every tile reads `runs` of `steps`, of which
    `pixel_bytes` in a run are what a pixel's neighbour does not read."""
    vectors, chunk, chunks = -(-channels // lanes), chunk_of(steps), runs * len(chunk_starts(steps))
    found: dict[Hashable, tuple[float, Tile]] = {}
    for walk, m, n in _sizes(walks, vectors):
        pieces_of_line = walk.pieces(m)
        tiles, items = sum(count for count, _ in pieces_of_line), pieces_of_line[0][1]
        m, pixels = walk.rows(items), items * walk.width
        # Runs of several rows of windows read much of the same.
        codes = min(runs * m * pixel_bytes, 4 * chunk * m * chunks)
        cycles = 0.0
        for count, size in pieces(vectors, n):
            weights = 4 * lanes * chunk * chunks * size
            far = _APART * codes / blocks_of_group(count, weights)
            far += weights * min(1.0, max(0.0, weights / _GROUP_BYTES - 1))
            cycles += count * _tile_cycles(m, pixels, size, chunks, chunk, far)
        if walk.lines * walk.items == 1:
            cycles += 4 * lanes * chunk * chunks * vectors / _ALONE
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


def _tile_cycles(m: int, pixels: int, n: int, chunks: int, chunk: int, far: float) -> float:
    """One tile of `m` rows, of which `pixels` are wanted; `far`: bytes of codes and weights that
    come from the second-level cache."""
    rows = row_pieces(m)
    products = chunks * n * sum(max(_LEAST_MULTIPLY, size) for size in rows)
    loads = chunks * _LOAD_ROW * (m + n * chunk)
    busy = max(products, loads, far / _STREAM) + _SHOWN * far / _STREAM
    return busy + len(rows) * n * _STORE + pixels * n * _EPILOGUE + _LEAD + TILE_OVERHEAD


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
