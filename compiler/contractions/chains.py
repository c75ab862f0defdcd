"""The search for chains: which steps of a block are added in 16 bits together (forms.py).

Steps whose pairs would saturate are cut in two halves first. A chain is a bin, its capacity the
bound of its form in each of the block's 16-bit lanes, and fewer bins are less work: vector bin
packing. The largest step left opens a chain, and the largest steps that still fit fill it. All
blocks of a layer advance together, as rows of arrays.

What the search finds needs no trust: `forms.verify_order` recomputes every bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    pairs_fit,
)

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


@dataclass(frozen=True)
class SortedBlock:
    """A block's steps in kernel order, and its weights [channels, steps, 4] s8 in that order."""

    order: StepOrder
    panel: Array


def sort_blocks(weights: Array, menu: Menu = FULL_MENU) -> list[SortedBlock]:
    """The cheapest forms of all steps; `weights`: [blocks, channels, steps, 4] s8."""
    cut, sources = cut_steps(weights)
    return [
        _sorted_block(chains, cut[row], sources[row])
        for row, chains in enumerate(find_chains(cut, sources >= 0, menu))
    ]


def _sorted_block(chains: dict[Form, list[Array]], weights: Array, sources: Array) -> SortedBlock:
    steps = [np.zeros(0, np.int64)]
    steps += [members for form in FORMS for members in chains[form]]
    places = np.concatenate(steps)
    counts = tuple(len(chains[form]) for form in FORMS)
    return SortedBlock(StepOrder(sources[places].astype(np.int32), counts), weights[:, places])


def cut_steps(weights: Array) -> tuple[Array, Array]:
    """The weights with the steps in halves whose pairs do not fit, and the step number of each.

    [blocks, channels, steps', 4] and [blocks, steps']; −1 marks places that a block does not use.
    First halves stand where the steps stood, second halves behind all steps."""
    fits = pairs_fit(weights)
    blocks, channels, steps, _ = weights.shape
    extra = int((~fits).sum(1).max(initial=0))
    result = np.zeros((blocks, channels, steps + extra, 4), np.int8)
    sources = np.full((blocks, steps + extra), -1, np.int64)
    sources[:, :steps] = np.arange(steps)
    first = np.where(fits[:, None, :, None], weights, weights >> 1)
    result[:, :, :steps] = first
    second = weights - first
    for row, fit in enumerate(fits):
        halved = np.flatnonzero(~fit)
        result[row, :, steps : steps + len(halved)] = second[row][:, halved]
        sources[row, steps : steps + len(halved)] = halved
    return result, sources


def find_chains(weights: Array, usable: Array, menu: Menu) -> list[dict[Form, list[Array]]]:
    """Per block and form the chains, as places in `weights`: [blocks, channels, steps, 4] s8, all
    of whose pairs fit. Chains without an offset come first: they are cheaper by an addition."""
    chains: list[dict[Form, list[Array]]] = [{form: [] for form in FORMS} for _ in weights]
    left = usable.copy()
    positive, negative = lane_sums(weights)
    for sizes, limit, longest, forms in (
        (np.concatenate([positive, negative], axis=-1), PAIR_LIMIT, menu.longest, PLAIN),
        (positive + negative, WIDTH_LIMIT, menu.longest_offset, OFFSET),
    ):
        if longest == 1:
            continue
        for row, bins in enumerate(fill_bins(sizes, left, limit, longest)):
            for members in bins:
                if len(members) > 1:
                    chains[row][forms[len(members)]].append(members)
                    left[row, members] = False
    for row, single in enumerate(left):
        chains[row][PAIRS] += list(np.flatnonzero(single)[:, None])
    return chains


def fill_bins(sizes: Array, usable: Array, limit: int, longest: int) -> list[list[Array]]:
    """Bins of up to `longest` usable steps whose sizes add to `limit` at most in every lane.

    `sizes`: [rows, steps, lanes]; `usable`: [rows, steps]."""
    rows, steps = usable.shape
    spans = max(1, -(-steps // _SPAN))
    found = _fill_spans(_cut(sizes, spans), _cut(usable, spans), limit, longest)
    # Step i of span s is step i·spans + s of its row.
    return [
        [steps * spans + span for span in range(spans) for steps in found[row * spans + span]]
        for row in range(rows)
    ]


def _cut(array: Array, spans: int) -> Array:
    """[rows, steps, …] as [rows·spans, steps/spans, …], padded with zeros."""
    rows, steps, *rest = array.shape
    length = -(-steps // spans)
    padded = np.zeros((rows, length * spans, *rest), array.dtype)
    padded[:, :steps] = array
    cut = np.moveaxis(padded.reshape(rows, length, spans, *rest), 2, 1)
    return np.ascontiguousarray(cut).reshape(rows * spans, length, *rest)


def _fill_spans(sizes: Array, usable: Array, limit: int, longest: int) -> list[list[Array]]:
    bins: list[list[Array]] = [[] for _ in sizes]
    queue = _Queue(sizes, usable)
    while (rows := queue.rows()).size:
        members = [queue.pop(rows, np.zeros(len(rows), np.int64))]
        total = sizes[rows, members[0]].copy()
        open_ = np.ones(len(rows), bool)
        while len(members) < longest and open_.any():
            taken = _next_member(queue, rows, open_, sizes, total, limit)
            open_ = taken >= 0
            members.append(taken)
        for row, steps in zip(rows, np.stack(members, axis=1), strict=True):
            bins[row].append(steps[steps >= 0])
    return bins


def _next_member(
    queue: _Queue, rows: Array, open_: Array, sizes: Array, total: Array, limit: int
) -> Array:
    """One more step for each open bin, −1 where none fits; adds it to the bin's `total`."""
    places, exists = queue.candidates(rows)
    steps = queue.steps_at(rows, places)
    grown = sizes[rows[:, None], steps] + total[:, None]
    fits = exists & open_[:, None] & (grown.max(-1) <= limit)
    found = np.flatnonzero(fits.any(1))
    taken = np.full(len(rows), -1, np.int64)
    if found.size:
        taken[found] = queue.pop(rows[found], places[found, fits[found].argmax(1)])
        total[found] += sizes[rows[found], taken[found]]
    return taken


class _Queue:
    """Per row the steps that are left, the largest first."""

    def __init__(self, sizes: Array, usable: Array):
        key = np.where(usable, sizes.max(-1, initial=0).astype(np.int64), -1)
        self._order = np.argsort(-key, axis=1, kind="stable").astype(np.int16)
        self._length = usable.sum(1)
        self._columns = np.arange(self._order.shape[1])

    def rows(self) -> Array:
        """Rows that have steps left."""
        return np.flatnonzero(self._length)

    def steps_at(self, rows: Array, places: Array) -> Array:
        return np.asarray(self._order[rows[:, None], places])

    def candidates(self, rows: Array) -> tuple[Array, Array]:
        """Places spread over what is left of each row, and which of them exist."""
        length = self._length[rows][:, None]
        number = np.arange(_CANDIDATES)[None]
        spread = number * (length - 1) // (_CANDIDATES - 1)
        places = np.where(length <= _CANDIDATES, number, spread)
        exists = places < length
        return np.where(exists, places, 0), exists

    def pop(self, rows: Array, places: Array) -> Array:
        """Removes and returns one step per row."""
        order = self._order[rows]
        steps = order[np.arange(len(rows)), places]
        behind = self._columns[None, :-1] >= places[:, None]
        order[:, :-1] = np.where(behind, order[:, 1:], order[:, :-1])
        self._order[rows] = order
        self._length[rows] -= 1
        return steps.astype(np.int64)


def shares(blocks: Sequence[SortedBlock]) -> dict[Form, float]:
    """How many steps of an average block each form computes."""
    counts = np.asarray([block.order.counts for block in blocks]).mean(0)
    return dict(zip(FORMS, counts * [form.chain for form in FORMS], strict=True))
