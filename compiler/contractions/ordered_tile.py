"""Tile and menu of forms for contractions without VNNI: both depend on the weights.

Fewer channels in a block let more steps into cheap forms, more channels share the cost of an input.
So each width is tried on a sample of the layer's own blocks: which forms its steps take, which of
those are worth a loop, and what that costs for every number of pixels (cost.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from ..codegen.targets import Target
from ..dialects.tensors import Array
from .chains import OFFSET, PLAIN, Menu, shares, sort_blocks
from .cost import keeps_weights, ports_of, steps_cycles
from .forms import Form
from .geometry import Grid
from .tile import TILE_OVERHEAD, Tile, even_pieces, pieces

_SAMPLE = 3
_WIDEST = 3
#: A form is worth a loop of its own from this part of the steps on.
_WORTHWHILE = 1 / 16
#: Vector instructions that finish and store one vector of sums.
_EPILOGUE = 8.0

#: The weights [channels, steps, 4] of up to so many blocks of n vectors, spread over the layer.
Sampler = Callable[[int, int], list[Array]]


@dataclass(frozen=True)
class Choice:
    """`tile`: the vectors of a panel, which `share` blocks lie in (packing.py). `in_registers`: it
    is a tile of tile registers (matrix_tile.py)."""

    tile: Tile
    menu: Menu
    share: int = 1
    in_registers: bool = False

    @property
    def numbers(self) -> list[int]:
        """Tells it from the other choices of its layer."""
        return [self.tile.m, self.tile.n, *([1] if self.in_registers else [])]


def estimate_ordered_tiles(
    target: Target, grid: Grid, channels: int, sampler: Sampler, runs: int
) -> list[tuple[float, Choice]]:
    """Choices, and the cycles that the layer then takes; a block reads so many runs."""
    vectors = -(-channels // target.lanes)
    estimates: dict[Hashable, tuple[float, Choice]] = {}
    for n in range(1, min(vectors, _WIDEST) + 1):
        sample = np.stack(sampler(n, _SAMPLE))
        run_steps = sample.shape[2] // runs
        menu = menu_for(shares(sort_blocks(sample, run_steps)))
        steps = shares(sort_blocks(sample, run_steps, menu))
        for m, cost in _pixels(steps, n, menu, target, grid, vectors):
            choice = Choice(Tile(m, n, target.lanes), menu)
            estimates.setdefault((n, *even_pieces(grid.columns, m)), (cost, choice))
    return list(estimates.values())


def estimate_shared_panels(
    target: Target, grid: Grid, channels: int, sample: list[Array], runs: int, menu: Menu
) -> list[tuple[float, Choice]]:
    """As `estimate_ordered_tiles`, for panels of as many channels as the blocks of the sample have,
    sorted with this menu. Any number of vectors that divides a panel makes a block."""
    vectors = -(-channels // target.lanes)
    panel = sample[0].shape[0] // target.lanes
    steps = shares(sort_blocks(np.stack(sample), sample[0].shape[1] // runs, menu))
    estimates = []
    for n in (n for n in range(1, panel + 1) if panel % n == 0):
        for m, cost in _pixels(steps, n, menu, target, grid, vectors):
            choice = Choice(Tile(m, panel, target.lanes), menu, panel // n)
            estimates.append((cost, choice))
    return estimates


def _pixels(
    steps: dict[Form, float], n: int, menu: Menu, target: Target, grid: Grid, vectors: int
) -> Iterator[tuple[int, float]]:
    """How many pixels a tile of n vectors can have, and what the layer then costs."""
    for m in range(1, min(grid.columns, target.registers) + 1):
        # Spilled weights would be stored as well as loaded; an offset can stay in memory.
        if m > 1 and not keeps_weights(m, n, max(menu.longest, menu.longest_offset), target):
            return
        yield m, _layer_cycles(steps, m, n, target, grid, vectors)


def _layer_cycles(
    steps: dict[Form, float], m: int, n: int, target: Target, grid: Grid, vectors: int
) -> float:
    total = 0.0
    for m_count, m_size in even_pieces(grid.columns, m):
        for n_count, n_size in pieces(vectors, n):
            tile = steps_cycles(steps, m_size, n_size, target) + TILE_OVERHEAD
            tile += _EPILOGUE * m_size * n_size / ports_of(target).vector
            total += m_count * n_count * tile
    return total * grid.rows


def menu_for(steps: dict[Form, float]) -> Menu:
    """The forms that serve enough steps."""
    least = max(sum(steps.values()) * _WORTHWHILE, 2.0)

    def longest(forms: dict[int, Form]) -> int:
        return max((chain for chain, form in forms.items() if steps[form] >= least), default=1)

    return Menu(longest(PLAIN), longest(OFFSET))
