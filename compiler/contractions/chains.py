"""The search for chains: which steps of a block are added in 16 bits together (forms.py).

All pairs of the steps fit in 16 bits (windows.py). A chain is a bin, its capacity the bound of its
form in each of the block's 16-bit lanes, and fewer bins are less work: vector bin packing. The
largest step left opens a chain, and the largest steps that still fit fill it.

The lanes of a step are one long integer (`_Lanes`): one addition and one mask say whether a step
fits, a tenth of the time of the same question to numpy, and the search asks it a million times.

What the search finds needs no trust: `forms.verify_order` recomputes every bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np

from ..dialects.tensors import Array
from .forms import (
    FORMS,
    OFFSET2,
    OFFSET3,
    OFFSET4,
    PAIR_LIMIT,
    PAIRS,
    PAIRS2,
    PAIRS3,
    PAIRS4,
    WIDTH_LIMIT,
    Form,
    StepOrder,
    lane_sums,
)
from .windows import cut_windows

#: How many of the remaining steps are tried for a place in a chain.
_CANDIDATES = 16
#: Steps are matched within spans of so many: longer queues cost more and find nothing better.
_SPAN = 192
#: By length.
PLAIN = {2: PAIRS2, 3: PAIRS3, 4: PAIRS4}
OFFSET = {2: OFFSET2, 3: OFFSET3, 4: OFFSET4}


@dataclass(frozen=True)
class Menu:
    """The forms that a layer's kernel has loops for: a form that serves few steps costs more in
    loop overhead than it saves.

    The steps of the longest chain without and with an offset; 1: there are no such chains."""

    longest: int = 4
    longest_offset: int = 4


FULL_MENU = Menu()


#: Form → its chains, as places of steps.
Chains: TypeAlias = dict[Form, list[list[int]]]


@dataclass(frozen=True)
class SortedBlock:
    """A block's steps in kernel order, and its weights [channels, steps, 4] s8 in that order."""

    order: StepOrder
    panel: Array


def sort_blocks(weights: Array, run_steps: int, menu: Menu = FULL_MENU) -> list[SortedBlock]:
    """The cheapest forms of all steps; `weights`: [blocks, channels, steps, 4] s8, in runs of
    `run_steps` steps."""
    windows, starts = cut_windows(weights, run_steps)
    return [
        _sorted_block(chains, windows[row], starts[row])
        for row, chains in enumerate(find_chains(windows, starts >= 0, menu))
    ]


def _sorted_block(chains: Chains, weights: Array, starts: Array) -> SortedBlock:
    steps = [step for form in FORMS for chain in chains[form] for step in chain]
    places = np.asarray(steps, np.int64)
    counts = tuple(len(chains[form]) for form in FORMS)
    return SortedBlock(StepOrder(starts[places].astype(np.int32), counts), weights[:, places])


def find_chains(weights: Array, usable: Array, menu: Menu) -> list[Chains]:
    """Per block and form the chains, as places in `weights`: [blocks, channels, steps, 4] s8, all
    of whose pairs fit. Chains without an offset come first: they are cheaper by an addition."""
    found: list[Chains] = [{form: [] for form in FORMS} for _ in weights]
    left = usable.copy()
    positive, negative = lane_sums(weights)
    for sizes, limit, longest, forms in (
        (np.concatenate([positive, negative], axis=-1), PAIR_LIMIT, menu.longest, PLAIN),
        (positive + negative, WIDTH_LIMIT, menu.longest_offset, OFFSET),
    ):
        if longest == 1:
            continue
        for row, chains in enumerate(found):
            bins = fill_bins(sizes[row], left[row], limit, longest)
            shared = [members for members in bins if len(members) > 1]
            for members in shared:
                chains[forms[len(members)]].append(members)
            left[row, [step for members in shared for step in members]] = False
    for chains, single in zip(found, left, strict=True):
        chains[PAIRS] += [[step] for step in np.flatnonzero(single).tolist()]
    return found


def fill_bins(sizes: Array, usable: Array, limit: int, longest: int) -> list[list[int]]:
    """Bins of up to `longest` usable steps whose sizes add to `limit` at most in every lane.

    `sizes`: i16 [steps, lanes]; `usable`: [steps]."""
    largest = np.where(usable, sizes.max(-1, initial=0), -1)
    lanes = _Lanes(sizes, limit)
    spans = max(1, -(-len(usable) // _SPAN))
    bins: list[list[int]] = []
    for span in range(spans):
        steps = np.arange(span, len(usable), spans)
        steps = steps[np.argsort(-largest[steps], kind="stable")]
        bins += _fill_span(steps[usable[steps]].tolist(), lanes, longest)
    return bins


def _fill_span(queue: list[int], lanes: _Lanes, longest: int) -> list[list[int]]:
    """`queue`: steps, the largest first; emptied."""
    bins = []
    while queue:
        members = [queue.pop(0)]
        total = lanes.room + lanes.sizes[members[0]]
        while len(members) < longest:
            place = _first_fit(queue, lanes, total)
            if place is None:
                break
            members.append(queue.pop(place))
            total += lanes.sizes[members[-1]]
        bins.append(members)
    return bins


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


class _Lanes:
    """Sizes of steps in every lane: integers of 16 bits a lane, which is more than two sums need.

    A sum of sizes plus `room` has a bit of `excess` set exactly if some lane is above the limit."""

    def __init__(self, sizes: Array, limit: int):
        data, width = np.ascontiguousarray(sizes, "<i2").tobytes(), 2 * sizes.shape[1]
        starts = range(0, len(data), width)
        self.sizes = [int.from_bytes(data[i : i + width], "little") for i in starts]
        ones = int.from_bytes(b"\1\0" * sizes.shape[1], "little")
        self.room, self.excess = ones * (0x7FFF - limit), ones << 15


def shares(blocks: Sequence[SortedBlock]) -> dict[Form, float]:
    """How many steps of an average block each form computes."""
    counts = np.asarray([block.order.counts for block in blocks]).mean(0)
    return dict(zip(FORMS, counts * [form.chain for form in FORMS], strict=True))
