"""Steps that gather their four inputs from anywhere, on targets without VNNI.

What limits a chain is what meets in a 16-bit lane (forms.py). Windows (windows.py) leave little
choice in that. Here a step multiplies any four inputs, so that the lanes of its chains are sets
that are free to choose: of four inputs each, say, whose weights have positive parts, and negative
ones, of 128 at most in all channels. That is vector bin packing, and where channels are few, nearly
all inputs find a place in full lanes.

The inputs have to lie where a step reads them, so they are gathered, for some tiles of pixels and
one order of steps. A *team* of neighbouring blocks has one order: in a small one more sets fit, in
a large one more blocks share the work of gathering (kernels/gathered.py).

Lanes of the menu's first form come first. They are filled in turns, as far as inputs fit
(search/filling.py); the other inputs take what places are left, and change places with others until
most lanes keep their bounds (search/exchange.py). Inputs of those that do not are put in lanes of
the second form, and change places there; if some still do not fit, lanes of the first form join
them. The last inputs go two by two (matching.py).

What the search finds needs no trust: `forms.verify_order` recomputes every bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..dialects.tensors import Array
from ..search.exchange import Bounds, exchange
from ..search.filling import filled_lanes
from ..search.rows import rows_of
from .chains import Menu, SortedBlock
from .forms import FORMS, PAIR_LIMIT, WIDTH_LIMIT, Form, StepOrder
from .matching import pair_up

#: Rounds of exchanges for lanes of the first form, and of the second: with four times as many a
#: search takes three times as long, and chains a hundredth less.
_ROUNDS, _ROUNDS_OF_SECOND = 256, 128
#: How often lanes of the first form join those that do not fit the second.
_JOINS = 4

#: Inputs that meet in a 16-bit lane, two for every step of its chain; −1: none.
Lane: TypeAlias = list[int]


def gather_team(weights: Array, menu: Menu) -> SortedBlock:
    """Steps in chains of the menu's forms, none of which has three steps; `weights`: [channels,
    inputs] s8. Its order tells all four inputs of a step, −1 where it has fewer."""
    return _sorted_team(weights, menu, find_lanes(weights, menu))


def find_lanes(weights: Array, menu: Menu) -> tuple[list[Lane], list[Lane]]:
    """Lanes of the first form and of the second, an even number of each; `weights` as above."""
    rows = rows_of(weights)
    # The last row is that of no input, number −1.
    rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    first, rest = np.zeros((0, 0), np.int64), np.arange(len(rows) - 1)
    if menu.first is not None:
        first, rest = _of_first(rows, menu.first)
    second, rest = _of_second(rows, rest, menu.second)
    found = [(first.tolist(), _completed(rows, second, rest, menu.second))]
    for _ in range(_JOINS if len(first) else 0):
        if not len(rest):
            break
        # As many as there are that do not fit, and an even number.
        kept = max(0, len(first) - 2 * -(-len(rest) // (4 * menu.second.chain)))
        rest = np.concatenate([rest, second.reshape(-1), first[kept:].reshape(-1)])
        first, (second, rest) = first[:kept], _of_second(rows, rest, menu.second)
        found.append((first.tolist(), _completed(rows, second, rest, menu.second)))
    return min(found, key=lambda lanes: _instructions(lanes, menu))


def chains_of(lanes: tuple[list[Lane], list[Lane]], menu: Menu) -> dict[Form, int]:
    """How many chains of each form these are."""
    forms = (menu.first, menu.second)
    return {f: len(own) // 2 for f, own in zip(forms, lanes, strict=True) if f is not None}


def _instructions(lanes: tuple[list[Lane], list[Lane]], menu: Menu) -> int:
    """Of all chains, for a vector of sums: products, and additions."""
    return sum(
        count * (2 * form.chain + 1 + form.offset) for form, count in chains_of(lanes, menu).items()
    )


def _completed(rows: Array, lanes: Array, rest: Array, form: Form) -> list[Lane]:
    """These lanes and some for the rest of the inputs, an even number."""
    result: list[Lane] = lanes.tolist() + _matched_lanes(rows, rest, form)
    if len(rest):
        # Where hardly anything fits, inputs find more partners if none has a place yet.
        everything = np.concatenate([lanes.reshape(-1), rest])
        result = min(result, _matched_lanes(rows, everything, form), key=len)
    nobody = [-1] * 2 * form.chain
    return result + [nobody] * (len(result) % 2)


def _of_first(rows: Array, form: Form) -> tuple[Array, Array]:
    """An even number of lanes, since two make a chain, and the inputs that are in none."""
    assert not form.offset, "lanes are filled up to one bound"
    inputs, length = len(rows) - 1, 2 * form.chain
    lanes = filled_lanes(rows[:-1], length, PAIR_LIMIT).reshape(-1)
    left = np.setdiff1d(np.arange(inputs), lanes)
    places = np.flatnonzero(lanes < 0)
    lanes[places], left = left[: len(places)], left[len(places) :]
    lanes = _in_lanes(np.concatenate([lanes, left]), length)
    lanes, fits = exchange(rows, lanes, Bounds(PAIR_LIMIT), _ROUNDS)
    fits[np.flatnonzero(fits)[fits.sum() // 2 * 2 :]] = False
    return lanes[fits], lanes[~fits].reshape(-1)


def _of_second(rows: Array, inputs: Array, form: Form) -> tuple[Array, Array]:
    """Lanes of these inputs, and those that are in none."""
    lanes = _in_lanes(inputs, 2 * form.chain)
    assert form.chain == 2 or not form.offset, "pairs have bounds of their own, and are halves"
    bounds = Bounds(PAIR_LIMIT, WIDTH_LIMIT if form.offset else None)
    lanes, fits = exchange(rows, lanes, bounds, _ROUNDS_OF_SECOND)
    return lanes[fits], lanes[~fits].reshape(-1)


def _in_lanes(inputs: Array, length: int) -> Array:
    """[lanes, length], the last one filled up."""
    inputs = inputs[inputs >= 0]
    return np.concatenate([inputs, np.full(-len(inputs) % length, -1)]).reshape(-1, length)


# --- lanes for the last ones ----------------------------------------------------------------------


def _matched_lanes(rows: Array, inputs: Array, form: Form) -> list[Lane]:
    """Lanes, some with free places, that hold these inputs."""
    lanes = [[i] for i in inputs[inputs >= 0].tolist()]
    if not lanes:
        return []
    for doubling in range(form.chain.bit_length()):
        is_wide = form.offset and doubling > 0
        limit = WIDTH_LIMIT if is_wide else PAIR_LIMIT
        (pairs,) = pair_up([_totals(rows, lanes, is_wide)], limit)
        lanes = _joined(lanes, pairs, 1 << doubling)
    return lanes


def _totals(rows: Array, lanes: Sequence[Lane], is_wide: bool) -> Array:
    """i16 [lanes, bounds]: what each lane holds, of either sign, or together."""
    totals = rows[np.asarray(lanes)].sum(1, dtype=np.int16)
    if is_wide:
        positive, negative = np.split(totals, 2, axis=1)
        totals = positive + negative
    return np.asarray(totals)


def _joined(lanes: list[Lane], pairs: Array, length: int) -> list[Lane]:
    """Lanes of twice the length; those without a partner have free places."""
    joined = [lanes[i] + lanes[j] for i, j in pairs.tolist()]
    alone = sorted({*range(len(lanes))}.difference(pairs.reshape(-1).tolist()))
    return joined + [lanes[i] + [-1] * length for i in alone]


# --- steps --------------------------------------------------------------------------------------


def _sorted_team(weights: Array, menu: Menu, found: tuple[list[Lane], list[Lane]]) -> SortedBlock:
    counts = dict.fromkeys(FORMS, 0) | chains_of(found, menu)
    steps = []
    for form, lanes in zip((menu.first, menu.second), found, strict=True):
        if form is not None and lanes:
            # [chain, lane, step, input] → [chain, step, lane, input]
            shaped = np.asarray(lanes).reshape(-1, 2, form.chain, 2).swapaxes(1, 2)
            steps.append(shaped.reshape(-1, 4))
    inputs = np.concatenate(steps).astype(np.int32)
    panel = np.where(inputs >= 0, weights[:, inputs], np.int8(0))
    return SortedBlock(StepOrder(inputs, tuple(counts.values())), panel)
