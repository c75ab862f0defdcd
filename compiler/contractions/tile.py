"""Tile choice for contractions: how many pixels × vectors of channels one microkernel computes.

A microkernel step loads `n` weight vectors and `m` broadcast inputs and does m·n dot products. Its
cost in cycles is the larger of the arithmetic (dot products, input widening) and the load ports.
Small tiles waste loads, large ones spill; ragged edges waste whole tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..codegen.targets import Target

_LOADS_PER_CYCLE = 2.0
_STREAM_BYTES_PER_CYCLE = 24.0
_PER_VECTOR = 0.5  # more channels in a block, fewer steps that admit a cheap form
TILE_OVERHEAD = 30.0  # cycles to set up addresses and start the pipeline


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
    """Vector instructions of one dot product and of preparing operands, and registers they hold."""

    per_dot: float
    per_input: float
    per_weight: float
    ports: float
    scratch: int
    registers_per_input: int
    registers_per_weight: int


def _recipe(target: Target, quantized: bool) -> _Recipe:
    ports = 2.0 if target.vector_bytes == 64 else 3.0
    if not quantized:
        return _Recipe(1.0 if target.fma else 2.0, 0.0, 0.0, 2.0, 1, 1, 1)
    if target.dot4:
        return _Recipe(1.0, 0.0, 0.0, ports, 0, 1, 1)
    # A mix of forms (forms.py); a pairing, or sign and magnitude, per input.
    return _Recipe(3.1, 1.0, _PER_VECTOR, ports, 4, 1, 1)


def _step_cycles(tile: Tile, recipe: _Recipe) -> float:
    m, n = tile.m, tile.n
    arithmetic = m * n * recipe.per_dot + m * recipe.per_input + n * recipe.per_weight
    loads = m + n
    # A block's weights exceed the first-level cache as a rule, and are read once per tile.
    stream = n * tile.lanes * 4 / _STREAM_BYTES_PER_CYCLE
    return max(arithmetic / recipe.ports, loads / _LOADS_PER_CYCLE, stream) + 0.25 * stream


@lru_cache(maxsize=4096)
def choose_tile(
    target: Target,
    quantized: bool,
    rows: int,
    columns: int,
    channels: int,
    steps: int,
) -> Tile:
    """The tile with the least estimated time for rows × columns pixels and `steps` per tile."""
    recipe, lanes = _recipe(target, quantized), target.lanes
    vectors = -(-channels // lanes)
    best: tuple[float, Tile] | None = None
    for n in range(1, min(vectors, 6) + 1):
        for m in range(1, min(columns, 28) + 1):
            needed = (
                m * n
                + n * recipe.registers_per_weight
                + recipe.registers_per_input
                + recipe.scratch
            )
            if needed > target.registers:
                continue
            cost = 0.0
            for m_count, m_size in pieces(columns, m):
                for n_count, n_size in pieces(vectors, n):
                    tile = Tile(m_size, n_size, lanes)
                    epilogue = 8.0 * m_size * n_size / recipe.ports
                    one = steps * _step_cycles(tile, recipe) + epilogue + TILE_OVERHEAD
                    cost += rows * m_count * n_count * one
            if best is None or cost < best[0] * 0.999:
                best = (cost, Tile(m, n, lanes))
    assert best is not None
    return best[1]


def pieces(total: int, size: int) -> list[tuple[int, int]]:
    """(count, size) of whole pieces and of the ragged last one."""
    whole, rest = divmod(total, size)
    return [(whole, size)] * (whole > 0) + [(1, rest)] * (rest > 0)
