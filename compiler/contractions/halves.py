"""Contractions in halves, without VNNI: codes are widened to 16 bits once a tile, weights are
stored as such, and `vpmaddwd` multiplies them two by two.

    16 multiply-adds for a multiplication and an addition, whatever the weights are

The runs of a pixel (geometry.py) lie side by side where they are widened, so that runs of three
inputs, say, are no more steps than they must be.

A chain of two (forms.py) does 64 with three multiplications and two additions, but its steps read
windows without pairs that saturate: with few inputs, or weights of great deviation, there are up to
twice as many of those as aligned ones, in loops of their own. Halves need neither.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..codegen.targets import Target
from .chains import ALONE
from .cost import TILE_CYCLES, epilogue_cycles, ports_of, shuffles
from .geometry import Grid
from .ordered_tile import IN_ORDER, Choice
from .tile import LINE, STREAM_BYTES_PER_CYCLE, Tile, even_pieces, pieces

#: Widened codes of a tile, on the stack: no more, and not more than the first-level cache holds.
MOST_BYTES = 16 << 10
#: By the bytes of a vector, measured on Zen 3 up to 32. One addition to each multiplication keeps
#: more ports busy than chains do (cost.py).
_DOTS_PER_CYCLE = {16: 2.0, 32: 1.7, 64: 1.0}
#: Of the instructions beside multiplications and additions, this part counts.
_BESIDE = 0.02
_WIDEST = 4
#: Codes that an instruction widens, and vector instructions for that: a load and a store beside it.
WIDENED, _WIDENING = 16, 2.0


def steps_of(inputs: int) -> int:
    """Steps of a tile that reads so many inputs: two each, and an even number for the loop."""
    return 2 * -(-inputs // 4)


def estimates(
    target: Target, grid: Grid, channels: int, runs: int, width: int, panel: int = 0
) -> list[tuple[float, Choice]]:
    """(cycles, choice) for each tile that fits the registers; a tile reads so many runs of `width`
    inputs. `panel`: a number that the vectors of the tile must divide, if any."""
    vectors, steps = -(-channels // target.lanes), steps_of(runs * width)
    found: dict[Hashable, tuple[float, Choice]] = {}
    for n in (n for n in range(1, min(vectors, _WIDEST) + 1) if panel % n == 0):
        for m in range(1, min(grid.columns, target.registers) + 1):
            if not _fits(m, n, steps, target):
                break
            rows = even_pieces(grid.columns, m)
            cost = sum(_row_cycles(size, n, count, steps, vectors, target) for count, size in rows)
            choice = Choice(Tile(m, n, target.lanes), ALONE, in_halves=True)
            found.setdefault((n, *rows), (cost * grid.rows, choice))
    return list(found.values())


def _fits(m: int, n: int, steps: int, target: Target) -> bool:
    """Sums, a vector of weights each, an input and a product have registers, widened codes their
    place. Where instructions overwrite an operand, LLVM wants three registers more."""
    scratch = 5 if target.vector_bytes == 16 else 2
    return m * n + n + scratch <= target.registers and 4 * m * steps <= MOST_BYTES


def _row_cycles(m: int, n: int, tiles: int, steps: int, vectors: int, target: Target) -> float:
    """So many tiles of m pixels, all channels."""
    ports = ports_of(target)
    blocks = sum(
        count * _block_cycles(m, size, steps, target) for count, size in pieces(vectors, n)
    )
    widened = m * -(-2 * steps // WIDENED) * WIDENED * 2 / target.vector_bytes
    return tiles * (blocks + _WIDENING * widened / ports.vector)


def _block_cycles(m: int, n: int, steps: int, target: Target) -> float:
    ports = ports_of(target)
    dots = _DOTS_PER_CYCLE[target.vector_bytes]
    weights = n * target.vector_bytes
    arithmetic = m * n + shuffles(m, target)
    busiest = max(arithmetic / dots, (m + n) / ports.load, weights / STREAM_BYTES_PER_CYCLE)
    step = busiest + _BESIDE * (2 * m * n + m + n)
    waiting = steps * weights / LINE * IN_ORDER
    return steps * step + waiting + TILE_CYCLES + epilogue_cycles(m, n, target)
