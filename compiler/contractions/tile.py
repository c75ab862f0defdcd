"""Tile choice for contractions: how many pixels × vectors of channels one microkernel computes.

A microkernel step loads `n` weight vectors and `m` broadcast inputs and does m·n dot products. Its
cost in cycles is the larger of the arithmetic and the load ports.
Small tiles waste loads or wait for the sums of the step before, large ones spill. A row is cut into
tiles of two sizes at most, one pixel apart, so that none is tiny. Int8 without VNNI: see
`ordered_tile.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import TypeVar

from ..codegen.targets import Target

_LOADS_PER_CYCLE = 1.75  # of two at best
STREAM_BYTES_PER_CYCLE = 24.0
TILE_OVERHEAD = 30.0  # cycles to set up addresses and start the pipeline
# The first-level cache of all x86 cores at hand: lines 4096 bytes apart compete for 8 or 12 places.
_WAY_BYTES, _WAYS, LINE = 4096, 8, 64
#: What is worth measuring (tuning.py): so many choices, at most so much slower than the best.
MOST, _SLOWEST = 4, 1.25

Candidate = TypeVar("Candidate")


@dataclass(frozen=True)
class Tile:
    """`m` output pixels × `n` vectors of `lanes` channels."""

    m: int
    n: int
    lanes: int

    @property
    def channels(self) -> int:
        return self.n * self.lanes


@dataclass(frozen=True)
class _Recipe:
    """Vector instructions of one multiply-accumulate, per cycle so many, and temporaries.

    `latency`: cycles until a sum can be added to again."""

    per_dot: float
    ports: float
    latency: float
    scratch: int


def _recipe(target: Target, quantized: bool) -> _Recipe:
    if quantized:
        assert target.dot4, "without a four-way dot product tiles depend on the weights"
        return _Recipe(1.0, 2.0, 4.0, 0)
    # Without FMA a product needs a register, and SSE multiplies in place: a copy of the input.
    return _Recipe(1.0, 2.0, 4.0, 0) if target.fma else _Recipe(2.0, 2.0, 4.0, 2)


def _step_cycles(tile: Tile, recipe: _Recipe, pixel_bytes: int) -> float:
    m, n = tile.m, tile.n
    arithmetic = m * n * recipe.per_dot
    loads = m + n
    # A block's weights exceed the first-level cache as a rule, and are read once per tile.
    stream = n * tile.lanes * 4 / STREAM_BYTES_PER_CYCLE
    if _pixels_per_set(m, pixel_bytes) > _WAYS:
        # Pixels evict each other's lines between two steps.
        stream += m * LINE / STREAM_BYTES_PER_CYCLE
    busy = max(arithmetic / recipe.ports, loads / _LOADS_PER_CYCLE, stream, recipe.latency)
    return busy + 0.25 * stream


def _pixels_per_set(m: int, pixel_bytes: int) -> int:
    """How many of `m` pixels, read in step, compete for the same places of the cache."""
    sets = _WAY_BYTES // gcd(_WAY_BYTES, pixel_bytes) if pixel_bytes else _WAY_BYTES
    return -(-m // sets)


def rank_tiles(
    target: Target,
    quantized: bool,
    rows: int,
    columns: int,
    channels: int,
    steps: int,
    pixel_bytes: int = 0,
    panel: int = 0,
) -> tuple[Tile, ...]:
    """The tiles with the least estimated times for rows × columns pixels and `steps` per tile.

    `pixel_bytes`: how far apart the inputs of neighbouring pixels lie; `panel`: a number that the
    vectors of the tile must divide, if any."""
    shape = (rows, columns, channels, steps, pixel_bytes, panel)
    return ranked(estimates(target, quantized, *shape))


@lru_cache(maxsize=4096)
def estimates(
    target: Target,
    quantized: bool,
    rows: int,
    columns: int,
    channels: int,
    steps: int,
    pixel_bytes: int,
    panel: int,
) -> tuple[tuple[float, Tile], ...]:
    """(cycles, tile) of every tile that fits the registers; arguments as above."""
    recipe, lanes = _recipe(target, quantized), target.lanes
    vectors = -(-channels // lanes)
    found: dict[Hashable, tuple[float, Tile]] = {}
    for n in (n for n in range(1, min(vectors, 6) + 1) if panel % n == 0):
        for m in range(1, min(columns, 28) + 1):
            # The sums, the vectors of weights, one input.
            if m * n + n + 1 + recipe.scratch > target.registers:
                continue
            cost, rows_of_sums = 0.0, even_pieces(columns, m)
            for m_count, m_size in rows_of_sums:
                for n_count, n_size in pieces(vectors, n):
                    tile = Tile(m_size, n_size, lanes)
                    epilogue = 8.0 * m_size * n_size / recipe.ports
                    step = _step_cycles(tile, recipe, pixel_bytes)
                    one = steps * step + epilogue + TILE_OVERHEAD
                    cost += rows * m_count * n_count * one
            found.setdefault((n, *rows_of_sums), (cost, Tile(m, n, lanes)))
    return tuple(found.values())


def ranked(estimates: Sequence[tuple[float, Candidate]]) -> tuple[Candidate, ...]:
    """The choices with the least costs, best first. Of equals the earlier one."""
    best, first = estimates[0]
    for cost, choice in estimates:
        if cost < best * 0.999:
            best, first = cost, choice
    others = [(cost, choice) for cost, choice in estimates if choice is not first]
    others.sort(key=lambda estimate: estimate[0])
    near = [choice for cost, choice in others if cost < best * _SLOWEST]
    return first, *near[: MOST - 1]


def pieces(total: int, size: int) -> list[tuple[int, int]]:
    """(count, size) of whole pieces and of the ragged last one."""
    whole, rest = divmod(total, size)
    return [(whole, size)] * (whole > 0) + [(1, rest)] * (rest > 0)


def even_pieces(total: int, size: int) -> list[tuple[int, int]]:
    """(count, size) of the fewest pieces of at most `size`; sizes differ by one at most."""
    count = -(-total // size)
    small, larger = divmod(total, count)
    return [(n, s) for n, s in ((larger, small + 1), (count - larger, small)) if n]
