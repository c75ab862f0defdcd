"""Tile and menu of forms for contractions without VNNI: both depend on the weights.

Fewer channels in a block let more steps into cheap forms, more channels share the cost of an input.
So each width is tried on a sample of the layer's own blocks: with which forms they take the least
time (menus.py), and what that costs for every number of pixels (cost.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from ..codegen.targets import Target
from ..dialects.tensors import Array
from .chains import Menu, cut_blocks
from .cost import TILE_CYCLES, epilogue_cycles, keeps_weights, work_cycles
from .geometry import Grid
from .menus import Work, choose_menu, work_of
from .tile import LINE, Tile, even_pieces, pieces

#: Steps of a sample, and blocks at least: few steps vary more from block to block.
_SAMPLE_STEPS, _SAMPLE = 512, 2
_WIDEST = 3
#: Three quarters of the smallest first-level cache that there is.
_NEAR_BYTES = 24 << 10
#: Cycles for a line from beyond it: in order, where prefetchers follow and products hide the most;
#: of inputs that weights have pushed out; and otherwise.
IN_ORDER, _PUSHED_OUT, _OUT_OF_ORDER = 0.3, 1.0, 3.0
#: Chains of two for two AVX2 vectors take this part of what they are counted at: measured on Zen 3.
_TWO_BY_TWO = 0.92
#: Cycles for the long address of an input: pixels are mostly further apart than a byte can say.
_FAR_INPUT = 0.03

#: The weights [channels, steps, 4] of up to so many blocks of n vectors, spread over the layer.
Sampler = Callable[[int, int], list[Array]]


@dataclass(frozen=True)
class Choice:
    """`tile`: the vectors of a panel, which `share` blocks lie in (packing.py). `in_registers`: it
    is a tile of tile registers (matrix_tile.py); `in_halves`: of 16-bit products (halves.py);
    `team`: how many panels have one order of steps that gather their inputs (gathered_tile.py), 0
    if steps do not."""

    tile: Tile
    menu: Menu
    share: int = 1
    in_registers: bool = False
    in_halves: bool = False
    team: int = 0

    @property
    def numbers(self) -> list[int]:
        """Tells it from the other choices of its layer."""
        kinds = (self.in_registers, self.in_halves, self.team > 0)
        numbers = [number for number, kind in enumerate(kinds, 1) if kind]
        return [self.tile.m, self.tile.n, *numbers, *([self.team] if self.team else [])]


def estimate_ordered_tiles(
    target: Target, grid: Grid, channels: int, sampler: Sampler, runs: int, pixel_bytes: int
) -> list[tuple[float, Choice]]:
    """Choices, and the cycles that the layer then takes; a block reads so many runs, and for each
    pixel of a tile so many bytes that none of the others reads."""
    vectors = -(-channels // target.lanes)
    estimates: dict[Hashable, tuple[float, Choice]] = {}
    # More than two of 256 bits have no room for a second pixel (`keeps_weights`).
    widest = _WIDEST if target.vector_bytes == 64 or grid.columns == 1 else 2
    for n in range(1, min(vectors, widest) + 1):
        steps = sampler(n, 1)[0].shape[1]
        sample = sampler(n, max(_SAMPLE, _SAMPLE_STEPS // steps))
        blocks = cut_blocks(np.stack(sample), steps // runs)
        menu, work = choose_menu(blocks, min(grid.columns, target.registers), n, target)
        least = min((cost for cost, _ in estimates.values()), default=np.inf)
        for m, cost in _pixels(work, n, menu, target, grid, vectors, pixel_bytes):
            choice = Choice(Tile(m, n, target.lanes), menu)
            estimates.setdefault((n, *even_pieces(grid.columns, m)), (cost, choice))
        if min(cost for cost, _ in estimates.values()) == least:
            break  # wider blocks fit chains even worse
    return list(estimates.values())


def estimate_shared_panels(
    target: Target,
    grid: Grid,
    channels: int,
    sample: list[Array],
    runs: int,
    pixel_bytes: int,
    menu: Menu,
) -> list[tuple[float, Choice]]:
    """As `estimate_ordered_tiles`, for panels of as many channels as the blocks of the sample have,
    sorted with this menu. Any number of vectors that divides a panel makes a block."""
    vectors = -(-channels // target.lanes)
    panel = sample[0].shape[0] // target.lanes
    work = work_of(cut_blocks(np.stack(sample), sample[0].shape[1] // runs), menu)
    estimates = []
    for n in (n for n in range(1, panel + 1) if panel % n == 0):
        for m, cost in _pixels(work, n, menu, target, grid, vectors, pixel_bytes):
            choice = Choice(Tile(m, panel, target.lanes), menu, panel // n)
            estimates.append((cost, choice))
    return estimates


def _pixels(
    work: Work,
    n: int,
    menu: Menu,
    target: Target,
    grid: Grid,
    vectors: int,
    pixel_bytes: int,
) -> Iterator[tuple[int, float]]:
    """How many pixels a tile of n vectors can have, and what the layer then costs."""
    for m in range(1, min(grid.columns, target.registers) + 1):
        # Spilled weights would be stored as well as loaded.
        if m > 1 and not keeps_weights(m, n, menu, target):
            return
        yield m, _layer_cycles(work, m, n, target, grid, vectors, pixel_bytes)


def _layer_cycles(
    work: Work, m: int, n: int, target: Target, grid: Grid, vectors: int, pixel_bytes: int
) -> float:
    total, longest = 0.0, max(form.chain for form in work)
    steps = sum(count * form.chain for form, count in work.items())
    for m_count, m_size in even_pieces(grid.columns, m):
        for n_count, n_size in pieces(vectors, n):
            products = work_cycles(work, m_size, n_size, target)
            if m_size > 1 and n_size == longest == 2 and target.vector_bytes == 32:
                products *= _TWO_BY_TWO
            tile = products + TILE_CYCLES
            tile += _FAR_INPUT * steps * m_size
            tile += _waiting(steps, m_size, n_size, target, pixel_bytes)
            tile += epilogue_cycles(m_size, n_size, target)
            total += m_count * n_count * tile
    return total * grid.rows


def _waiting(steps: float, m: int, n: int, target: Target, pixel_bytes: int) -> float:
    """What a tile waits for its weights, which come from afar, and for inputs that leave them no
    room to pass by."""
    weights, inputs, far = steps * n * target.vector_bytes, m * pixel_bytes, 0.0
    if inputs + weights > _NEAR_BYTES:
        far = _OUT_OF_ORDER if inputs > _NEAR_BYTES else _PUSHED_OUT
    return (weights * IN_ORDER + inputs * far) / LINE
