"""The search for chains: which steps of a block are added in 16 bits together (forms.py).

All pairs of the steps fit in 16 bits (windows.py). A chain is a bin, its capacity the bound of its
form in each of the block's 16-bit lanes, and fewer bins are less work: vector bin packing. Two
steps to a chain are a matching (matching.py), four are a matching of those. For three, the largest
step left opens a chain, and the largest that still fit fill it.

Every form is a loop of the kernel, with a branch that may be mispredicted, so a layer has two at
most: chains of the `first` are full; the `second` takes the steps that are left, and where it finds
no partner for one, the other places of the chain have weights of zero.

For chains of three the lanes of a step are one long integer (`_Lanes`): one addition and one mask
say whether a step fits, in a tenth of the time that numpy takes for a question about one step.

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
from .matching import pair_up
from .windows import cut_windows

#: How many of the remaining steps are tried for a place in a chain of three.
_CANDIDATES = 16
#: Steps are matched within spans of so many: with more, a step has partners enough, and time grows.
_SPAN = 256

#: Steps that are added in 16 bits together.
Chain: TypeAlias = list[int]


@dataclass(frozen=True)
class Menu:
    """The forms that a layer's kernel has loops for. `first`: None, or one before `second` in
    FORMS."""

    first: Form | None
    second: Form

    @property
    def forms(self) -> list[Form]:
        return [form for form in (self.first, self.second) if form is not None]

    @property
    def longest(self) -> int:
        """Steps of the longest chain."""
        return max(form.chain for form in self.forms)

    @property
    def operands(self) -> int:
        """Vectors that one of its chains reads beside its inputs, at most."""
        return max(form.operands for form in self.forms)


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
    blocks = cut_blocks(weights, run_steps)
    found = zip(blocks, find_chains(blocks, menu), strict=True)
    return [_sorted_block(steps, menu, chains) for steps, chains in found]


def cut_blocks(weights: Array, run_steps: int) -> list[Steps]:
    """The steps of each block; `weights` as in `sort_blocks`."""
    windows, starts = cut_windows(weights, run_steps)
    return [
        Steps(own[:, first >= 0], first[first >= 0])
        for own, first in zip(windows, starts, strict=True)
    ]


class Steps:
    """The steps of a block, not yet in chains: weights [channels, steps, 4] s8, all of whose pairs
    fit, and the first input of each. `found`: chains of all steps, by form."""

    def __init__(self, weights: Array, starts: Array):
        self.weights, self.starts = weights, starts
        self.found: dict[Form, list[Chain]] = {}
        self._sums = lane_sums(weights)

    def __len__(self) -> int:
        return len(self.starts)

    def lanes(self, form: Form) -> _Lanes:
        return self._widths if form.offset else self._bounds

    @cached_property
    def _bounds(self) -> _Lanes:
        return _Lanes(np.concatenate(self._sums, axis=-1), PAIR_LIMIT)

    @cached_property
    def _widths(self) -> _Lanes:
        return _Lanes(self._sums[0] + self._sums[1], WIDTH_LIMIT)


class _Lanes:
    """Sizes of steps in every lane: [steps, lanes], and as integers of 16 bits a lane, which is
    more than two sums need.

    A sum of integers plus `room` has a bit of `excess` set exactly if some lane is above the
    limit."""

    def __init__(self, sizes: Array, limit: int):
        self.sizes = sizes
        ones = int.from_bytes(b"\1\0" * sizes.shape[1], "little")
        self.room, self.excess = ones * (0x7FFF - limit), ones << 15

    @cached_property
    def integers(self) -> list[int]:
        data, width = np.ascontiguousarray(self.sizes, "<i2").tobytes(), 2 * self.sizes.shape[1]
        return [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]


def find_chains(blocks: Sequence[Steps], menu: Menu) -> list[tuple[list[Chain], list[Chain]]]:
    """All steps of each block, in full chains of the first form and in chains of the second."""
    if menu.first is None:
        return [([], chains) for chains in _chains_of_all(blocks, menu.second)]
    length, chains = menu.first.chain, _chains_of_all(blocks, menu.first)
    full = [[chain for chain in own if len(chain) == length] for own in chains]
    rest = [[step for chain in own if len(chain) < length for step in chain] for own in chains]
    return list(zip(full, _chains_of(blocks, rest, menu.second), strict=True))


def _chains_of_all(blocks: Sequence[Steps], form: Form) -> list[list[Chain]]:
    missing = [block for block in blocks if form not in block.found]
    everything = [range(len(block)) for block in missing]
    for block, chains in zip(missing, _chains_of(missing, everything, form), strict=True):
        block.found[form] = chains
    return [block.found[form] for block in blocks]


def _chains_of(
    blocks: Sequence[Steps], chosen: Sequence[Sequence[int]], form: Form
) -> list[list[Chain]]:
    """The chosen steps of each block, in as few chains of up to `form.chain` as are found."""
    if form.chain == 1:
        return [[[step] for step in steps] for steps in chosen]
    spans = [
        [_Span(block.lanes(form), steps[i::count]) for i in range(count)]
        for block, steps in zip(blocks, chosen, strict=True)
        for count in [max(1, -(-len(steps) // _SPAN))]
    ]
    together = [span for own in spans for span in own]
    if form.chain % 2:
        for span in together:
            span.fill(form.chain)
    else:
        _double(together, form)
    return [[chain for span in own for chain in span.chains + span.rest] for own in spans]


def _double(spans: Sequence[_Span], form: Form) -> None:
    """Chains of two steps, and of those chains of four, if the form has as many."""
    limit = WIDTH_LIMIT if form.offset else PAIR_LIMIT
    for _ in range(form.chain.bit_length() - 1):
        matched = pair_up([span.sizes for span in spans], limit)
        for span, pairs in zip(spans, matched, strict=True):
            span.join(pairs)


class _Span:
    """Steps on their way into chains: `chains`, all of one length, and `rest`, shorter ones."""

    def __init__(self, lanes: _Lanes, steps: Sequence[int]):
        self.lanes, self.rest = lanes, list[Chain]()
        self.chains: list[Chain] = [[step] for step in steps]
        self.sizes = lanes.sizes[np.asarray(steps, np.int64)]

    def join(self, pairs: Array) -> None:
        """Chains of twice the length; those without a partner are left."""
        paired = set(pairs.reshape(-1).tolist())
        self.rest += [chain for i, chain in enumerate(self.chains) if i not in paired]
        self.chains = [self.chains[i] + self.chains[j] for i, j in pairs.tolist()]
        self.sizes = self.sizes[pairs].sum(1, dtype=self.sizes.dtype)

    def fill(self, longest: int) -> None:
        """Chains of up to so many single steps."""
        order = np.argsort(-self.sizes.max(-1, initial=0), kind="stable").tolist()
        queue = [self.chains[i][0] for i in order]
        self.chains, self.rest = [], _filled(queue, self.lanes, longest)


def _filled(queue: list[int], lanes: _Lanes, longest: int) -> list[Chain]:
    """`queue`: steps, the largest first; emptied."""
    chains = []
    while queue:
        members = [queue.pop(0)]
        total = lanes.room + lanes.integers[members[0]]
        while len(members) < longest:
            place = _first_fit(queue, lanes, total)
            if place is None:
                break
            members.append(queue.pop(place))
            total += lanes.integers[members[-1]]
        chains.append(members)
    return chains


def _first_fit(queue: list[int], lanes: _Lanes, total: int) -> int | None:
    """Where the first step stands that fits, of some that are spread over the queue."""
    integers, excess = lanes.integers, lanes.excess
    for place in _places(len(queue)):
        if not (total + integers[queue[place]]) & excess:
            return place
    return None


@cache
def _places(length: int) -> tuple[int, ...]:
    if length <= _CANDIDATES:
        return tuple(range(length))
    return tuple(number * (length - 1) // (_CANDIDATES - 1) for number in range(_CANDIDATES))


def _sorted_block(steps: Steps, menu: Menu, found: tuple[list[Chain], list[Chain]]) -> SortedBlock:
    counts, places = dict.fromkeys(FORMS, 0), list[int]()
    for form, chains in zip((menu.first, menu.second), found, strict=True):
        if form is not None:
            counts[form] = len(chains)
            for chain in chains:
                places += chain + [-1] * (form.chain - len(chain))
    order = np.asarray(places, np.int64)
    is_step = order >= 0
    panel = np.where(is_step[None, :, None], steps.weights[:, order], np.int8(0))
    starts = np.where(is_step, steps.starts[order], 0).astype(np.int32)
    return SortedBlock(StepOrder(starts, tuple(counts.values())), panel)
