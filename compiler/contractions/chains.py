"""The search for chains: which steps of a block are added in 16 bits together (forms.py).

All pairs of the steps fit in 16 bits (windows.py). A chain is a bin, its capacity the bound of its
form in each of the block's 16-bit lanes, and fewer bins are less work: vector bin packing. The
largest step left opens a chain, and the largest steps that still fit fill it.

Every form is a loop of the kernel, with a branch that may be mispredicted, so a layer has two at
most: chains of the `first` are full; the `second` takes the steps that are left, and where it finds
no partner for one, the other places of the chain have weights of zero.

The lanes of a step are one long integer (`_Lanes`): one addition and one mask say whether a step
fits, a tenth of the time of the same question to numpy, and the search asks it a million times.

What the search finds needs no trust: `forms.verify_order` recomputes every bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeAlias

import numpy as np

from ..dialects.tensors import Array
from .forms import FORMS, PAIR_LIMIT, PAIRS, WIDTH_LIMIT, Form, StepOrder, lane_sums
from .windows import cut_windows

#: How many of the remaining steps are tried for a place in a chain.
_CANDIDATES = 16
#: Steps are matched within spans of so many: longer queues cost more and find nothing better.
_SPAN = 192

#: Steps that are added in 16 bits together.
Chain: TypeAlias = list[int]


@dataclass(frozen=True)
class Menu:
    """The forms that a layer's kernel has loops for. `first`: None, or one before `second` in
    FORMS."""

    first: Form | None
    second: Form

    @property
    def longest(self) -> int:
        """Steps of the longest chain."""
        return max(form.chain for form in (self.first, self.second) if form is not None)


#: Every step for itself, which is always possible.
ALONE = Menu(None, PAIRS)


@dataclass(frozen=True)
class SortedBlock:
    """A block's steps in kernel order, and its weights [channels, steps, 4] s8 in that order."""

    order: StepOrder
    panel: Array


def sort_blocks(weights: Array, run_steps: int, menu: Menu = ALONE) -> list[SortedBlock]:
    """All steps in chains of the menu's forms; `weights`: [blocks, channels, steps, 4] s8, in runs
    of `run_steps` steps."""
    return [_sorted_block(steps, menu) for steps in cut_blocks(weights, run_steps)]


def cut_blocks(weights: Array, run_steps: int) -> list[Steps]:
    """The steps of each block; `weights` as in `sort_blocks`."""
    windows, starts = cut_windows(weights, run_steps)
    return [
        Steps(own[:, first >= 0], first[first >= 0])
        for own, first in zip(windows, starts, strict=True)
    ]


class Steps:
    """The steps of a block, not yet in chains: weights [channels, steps, 4] s8, all of whose pairs
    fit, and the first input of each."""

    def __init__(self, weights: Array, starts: Array):
        self.weights, self.starts = weights, starts
        self._sums = lane_sums(weights)
        self._found: dict[Form, list[Chain]] = {}

    def __len__(self) -> int:
        return len(self.starts)

    def chains(self, form: Form, steps: Sequence[int] | None = None) -> list[Chain]:
        """All steps, or those given, in as few chains of up to `form.chain` as are found."""
        if steps is None:
            if form not in self._found:
                self._found[form] = self.chains(form, range(len(self)))
            return self._found[form]
        chosen = np.asarray(steps, np.int64)
        if form.chain == 1:
            return [[step] for step in chosen.tolist()]
        lanes = self._widths if form.offset else self._bounds
        spans = max(1, -(-len(chosen) // _SPAN))
        chains: list[Chain] = []
        for span in range(spans):
            own = chosen[span::spans]
            queue = own[np.argsort(-lanes.largest[own], kind="stable")].tolist()
            chains += _fill_span(queue, lanes, form.chain)
        return chains

    @cached_property
    def _bounds(self) -> _Lanes:
        return _Lanes(np.concatenate(self._sums, axis=-1), PAIR_LIMIT)

    @cached_property
    def _widths(self) -> _Lanes:
        return _Lanes(self._sums[0] + self._sums[1], WIDTH_LIMIT)


class _Lanes:
    """Sizes of steps in every lane: integers of 16 bits a lane, which is more than two sums need.

    A sum of sizes plus `room` has a bit of `excess` set exactly if some lane is above the limit."""

    def __init__(self, sizes: Array, limit: int):
        self.largest = sizes.max(-1, initial=0)
        data, width = np.ascontiguousarray(sizes, "<i2").tobytes(), 2 * sizes.shape[1]
        starts = range(0, len(data), width)
        self.sizes = [int.from_bytes(data[i : i + width], "little") for i in starts]
        ones = int.from_bytes(b"\1\0" * sizes.shape[1], "little")
        self.room, self.excess = ones * (0x7FFF - limit), ones << 15


def _fill_span(queue: list[int], lanes: _Lanes, longest: int) -> list[Chain]:
    """`queue`: steps, the largest first; emptied."""
    chains = []
    while queue:
        members = [queue.pop(0)]
        total = lanes.room + lanes.sizes[members[0]]
        while len(members) < longest:
            place = _first_fit(queue, lanes, total)
            if place is None:
                break
            members.append(queue.pop(place))
            total += lanes.sizes[members[-1]]
        chains.append(members)
    return chains


def _first_fit(queue: list[int], lanes: _Lanes, total: int) -> int | None:
    """Where the first step stands that fits, of some that are spread over the queue."""
    sizes, excess = lanes.sizes, lanes.excess
    for place in _places(len(queue)):
        if not (total + sizes[queue[place]]) & excess:
            return place
    return None


@cache
def _places(length: int) -> tuple[int, ...]:
    if length <= _CANDIDATES:
        return tuple(range(length))
    return tuple(number * (length - 1) // (_CANDIDATES - 1) for number in range(_CANDIDATES))


def find_chains(steps: Steps, menu: Menu) -> tuple[list[Chain], list[Chain]]:
    """All steps, in full chains of the first form and in chains of the second."""
    if menu.first is None:
        return [], steps.chains(menu.second)
    chains, length = steps.chains(menu.first), menu.first.chain
    rest = [step for chain in chains if len(chain) < length for step in chain]
    return [chain for chain in chains if len(chain) == length], steps.chains(menu.second, rest)


def _sorted_block(steps: Steps, menu: Menu) -> SortedBlock:
    counts, places = dict.fromkeys(FORMS, 0), list[int]()
    for form, chains in zip((menu.first, menu.second), find_chains(steps, menu), strict=True):
        if form is not None:
            counts[form] = len(chains)
            for chain in chains:
                places += chain + [-1] * (form.chain - len(chain))
    order = np.asarray(places, np.int64)
    is_step = order >= 0
    panel = np.where(is_step[None, :, None], steps.weights[:, order], np.int8(0))
    starts = np.where(is_step, steps.starts[order], 0).astype(np.int32)
    return SortedBlock(StepOrder(starts, tuple(counts.values())), panel)
