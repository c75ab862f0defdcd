"""Contractions whose steps gather their inputs (gathering.py): tiles, teams, and what they cost.

A tile is a vector of channels × as many pixels as a vector has 32-bit lanes, at most, or two of
channels × half as many pixels. Inputs are gathered for a strip (kernels/gathered.py): four times
the pixels of a vector. How many blocks make a team, and which forms their chains have, is tried on
a sample of the layer's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from ..codegen.targets import Target
from ..dialects.layout import LANES
from ..dialects.tensors import Array
from .chains import Menu
from .cost import TILE_CYCLES, epilogue_cycles, keeps_weights, work_cycles
from .forms import OFFSET2, PAIRS, PAIRS2, PAIRS4
from .gathering import chains_of, find_lanes
from .geometry import Grid, Runs
from .menus import Work
from .ordered_tile import IN_ORDER, Choice
from .tile import LINE, Tile, even_pieces, pieces

#: Vectors of pixels whose inputs are gathered together: as many as a step has inputs.
VECTORS = 4
#: What is gathered for a strip lies on the stack, no more than this, and near the core.
MOST_BYTES = 224 << 10
#: Fewer inputs have little choice.
FEWEST = 48
#: Channels of a team: the first choice, and the smaller and larger ones.
_USUAL, _SMALLER, _LARGER = 16, (8, 4), (32, 64)
#: Of the steps, more than these parts in chains of two: worth a try with chains of four, if weights
#: are no larger on average; with others than these.
_MANY, _FEW, _SMALL = 0.8, 0.3, 24.0

#: Measured on Zen 3: steps in order, at short addresses, take this part of the time of others.
_IN_ORDER_STEPS = 0.96
#: Cycles that a strip takes for sixteen inputs, and for a step of a team, by the bytes of a vector:
#: measured on Zen 3 up to 32; of 512 bits, one port shuffles.
_SPREAD, _GATHER = {16: 36.0, 32: 36.0, 64: 112.0}, {16: 5.8, 32: 5.8, 64: 8.0}
#: What a block takes for a strip, besides its tiles: its loops end elsewhere than those before.
_BLOCK_CYCLES = 24.0
#: So many bytes of rows and words leave weights room in the first-level cache. For each so many
#: more, a step of a team takes a cycle more, up to so many.
_NEAR_BYTES, _BYTES_PER_CYCLE, _FAR = 24 << 10, 5 << 10, 10.0
#: Words of a vector of pixels that leave weights no room there: what products then take longer.
_NEAR_WORDS, _FAR_WORDS = 12 << 10, 1.06

#: The weights [channels, inputs] of a team of so many channels.
Sampler = Callable[[int], Array]


def piece_rows(length: int) -> int:
    """Rows for a run's inputs: they are made from sixteen inputs at a time, of which the last may
    repeat some of those before."""
    return -(-length // LANES) * LANES


def row_of_inputs(runs: int, length: int, run_steps: int) -> Array:
    """The row of each input, by its number in natural order."""
    k, rows = np.arange(4 * run_steps), piece_rows(length)
    # Where the last piece repeats inputs, they are taken from it.
    row = np.where(k < rows - LANES, k, np.minimum(k + rows - length, rows - 1))
    return np.asarray((np.arange(runs)[:, None] * rows + row).reshape(-1))


def rows_of(runs: Runs) -> int:
    return len(runs.offsets) * piece_rows(runs.length)


def bytes_of(runs: Runs, steps: float, target: Target) -> float:
    """Of rows and words, for so many steps."""
    return (rows_of(runs) + VECTORS * steps) * target.vector_bytes


def is_suitable(target: Target, grid: Grid, runs: Runs) -> bool:
    """Whether there are inputs enough, and rows for them leave room for words."""
    inputs, rows = len(runs.offsets) * runs.length, rows_of(runs) * target.vector_bytes
    is_enough = runs.length >= LANES and inputs >= FEWEST
    return is_enough and grid.columns > 1 and 2 * rows <= MOST_BYTES


def estimates(
    target: Target, grid: Grid, channels: int, runs: Runs, sampler: Sampler
) -> list[tuple[float, Choice]]:
    """(cycles, choice) for teams of several sizes, with the forms that suit them."""
    if not is_suitable(target, grid, runs):
        return []
    layer, vectors = _Layer(target, grid, channels, runs), -(-channels // target.lanes)
    found: list[tuple[float, Choice]] = []

    def add(size: int, most: float = inf) -> float:
        """The cycles for teams of about so many channels; none for a team that was tried before, or
        for one that takes as many as `most` even with all chains full."""
        teams = -(-vectors // max(1, size // target.lanes))
        team = -(-vectors // teams)
        if any(choice.team * choice.tile.n == team for _, choice in found):
            return inf
        weights, best = sampler(team * target.lanes), dict[Tile, tuple[float, Choice]]()
        menu, work = _full_chains(weights)
        if min(layer.cycles(work, tile, teams) for tile in layer.tiles(menu)) >= most:
            return inf
        for menu, work in _tried(weights):
            for tile in layer.tiles(menu) if layer.has_room(work) else ():
                cost = layer.cycles(work, tile, teams)
                if team % tile.n == 0 and cost < best.get(tile, (inf,))[0]:
                    best[tile] = cost, Choice(tile, menu, team=team // tile.n)
        found.extend(best.values())
        return min((cost for cost, _ in best.values()), default=inf)

    usual = least = add(_USUAL)
    for others in (_LARGER, _SMALLER):
        for size in others:
            if (cost := add(size, least)) >= least:
                break
            least = cost
        if least < usual:
            break  # what is larger is better, so what is smaller is worse
    return found


def shared_estimates(
    target: Target, grid: Grid, channels: int, runs: Runs, weights: Array, led: Choice
) -> list[tuple[float, Choice]]:
    """The same for panels as another target has them; `weights`: of one of its teams. Any number of
    vectors that divides a panel makes a block."""
    if not is_suitable(target, grid, runs):
        return []
    layer, panel = _Layer(target, grid, channels, runs), led.tile.channels // target.lanes
    work, teams = _work_of(weights, led.menu), -(-channels // (led.tile.channels * led.team))
    if not layer.has_room(work):
        return []
    return [
        (
            layer.cycles(work, tile, teams),
            Choice(replace(tile, n=panel), led.menu, panel // tile.n, team=led.team),
        )
        for tile in layer.tiles(led.menu)
        if panel % tile.n == 0
    ]


def _tried(weights: Array) -> Iterator[tuple[Menu, Work]]:
    """The menus that are worth a look, and how many chains the team then has."""
    steps, pairs = weights.shape[1] / 4, Menu(PAIRS2, OFFSET2)
    yield pairs, (work := _work_of(weights, pairs))
    part = work[PAIRS2] * PAIRS2.chain / steps
    if part > _MANY and _are_small(weights):
        yield (menu := Menu(PAIRS4, PAIRS2)), _work_of(weights, menu)
    elif part < _FEW:
        for menu in (Menu(None, OFFSET2), Menu(PAIRS2, PAIRS)):
            yield menu, _work_of(weights, menu)


def _full_chains(weights: Array) -> tuple[Menu, Work]:
    """The least that any team of such weights can have to do."""
    form = PAIRS4 if _are_small(weights) else PAIRS2
    return Menu(None, form), {form: weights.shape[1] / 4 / form.chain}


def _are_small(weights: Array) -> bool:
    """Whether eight of them may have room in a lane of chains of four."""
    return float(np.abs(weights.astype(np.int16)).mean()) <= _SMALL


def _work_of(weights: Array, menu: Menu) -> Work:
    return chains_of(find_lanes(weights, menu), menu)


@dataclass(frozen=True)
class _Layer:
    target: Target
    grid: Grid
    channels: int
    runs: Runs

    def tiles(self, menu: Menu) -> Iterator[Tile]:
        """Of one vector of channels, and of two with as many pixels as the registers allow. (Wide
        vectors have so few ports for products that broadcasts do not matter.)"""
        target, lanes = self.target, self.target.lanes
        yield Tile(lanes, 1, lanes)
        for m in (lanes, lanes // 2) if target.vector_bytes <= 32 else ():
            if keeps_weights(m, 2, menu, target):
                yield Tile(m, 2, lanes)
                break

    def cycles(self, work: Work, tile: Tile, teams: int) -> float:
        """In so many teams, whose blocks have so much work each."""
        vectors, tiles = -(-self.channels // tile.lanes), even_pieces(self.grid.columns, tile.m)
        blocks = pieces(vectors, tile.n)
        cost = self.grid.rows * sum(
            tile_count * block_count * self._tile_cycles(work, m, width)
            for tile_count, m in tiles
            for block_count, width in blocks
        )
        tiles_of_strip = VECTORS * tile.lanes // tile.m
        strips = -(-self.grid.rows * sum(count for count, _ in tiles) // tiles_of_strip)
        weights = _steps(work) * vectors * self.target.vector_bytes
        of_strip = self._strip_cycles(work, teams) + weights / LINE * IN_ORDER
        return cost + strips * (of_strip + sum(count for count, _ in blocks) * _BLOCK_CYCLES)

    def has_room(self, work: Work) -> bool:
        """Whether rows and words fit the stack, with an eighth more words (`most_steps`)."""
        return bytes_of(self.runs, _steps(work) * 9 / 8, self.target) <= MOST_BYTES

    def _tile_cycles(self, work: Work, m: int, n: int) -> float:
        products = _IN_ORDER_STEPS * work_cycles(work, m, n, self.target)
        if _steps(work) * self.target.vector_bytes > _NEAR_WORDS:
            products *= _FAR_WORDS
        return products + TILE_CYCLES + epilogue_cycles(m, n, self.target)

    def _strip_cycles(self, work: Work, teams: int) -> float:
        steps, rows = _steps(work), rows_of(self.runs)
        bytes_ = bytes_of(self.runs, steps, self.target)
        far = min(_FAR, max(0.0, bytes_ - _NEAR_BYTES) / _BYTES_PER_CYCLE)
        size = self.target.vector_bytes
        return teams * steps * (_GATHER[size] + far) + rows / LANES * _SPREAD[size]


def _steps(work: Work) -> float:
    return sum(count * form.chain for form, count in work.items())
