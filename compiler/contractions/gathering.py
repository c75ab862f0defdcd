"""Steps that gather their four inputs from anywhere, on targets without VNNI.

What limits a chain is what meets in a 16-bit lane (forms.py). Windows (windows.py) leave little
choice in that. Here a step multiplies any four inputs, so that the lanes of its chains are sets
that are free to choose: of four inputs each, say, whose weights have positive parts, and negative
ones, of 128 at most in all channels. That is vector bin packing, and where channels are few, nearly
all inputs find a place in full lanes.

The inputs have to lie where a step reads them, so they are gathered, for some tiles of pixels and
one order of steps. A *team* of neighbouring blocks has one order: in a small one more sets fit, in
a large one more blocks share the work of gathering (kernels/gathered.py).

Lanes of the menu's first form are full. All begin with one of the largest inputs, then each takes
one input more, in turns: the lane with the fewest candidates first, and the one that complements it
best. Lanes of the second form take what is left, two by two (matching.py).

What the search finds needs no trust: `forms.verify_order` recomputes every bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from ..dialects.tensors import Array
from .chains import Menu, SortedBlock
from .forms import FORMS, PAIR_LIMIT, WIDTH_LIMIT, Form, StepOrder
from .matching import pair_up

#: Inputs are put in lanes within spans of so many, and what is left within smaller ones: more find
#: no better places, and take longer.
_SPAN, _SPAN_OF_REST = 1024, 512
#: Entries of the tables of lanes × inputs that are made together.
_TOGETHER = 1 << 20
#: More than the candidates of any lane, twice.
_NOBODY = np.int16(1 << 14)
#: Multiplications of matrices that OpenBLAS does in one thread: others belong to other processes.
_ONE_THREAD = 1 << 18
#: Lanes choose among the largest inputs left: one for each, and one more for so many.
_SPARE = 4

#: Inputs that meet in a 16-bit lane, two for every step of its chain; −1: none.
Lane: TypeAlias = list[int]


def gather_teams(weights: Array, menu: Menu) -> list[SortedBlock]:
    """Steps in chains of the menu's forms, none of which has three steps; `weights`: [teams,
    channels, inputs] s8. Their orders tell all four inputs of a step, −1 where it has fewer."""
    found = zip(weights, find_lanes(weights, menu), strict=True)
    return [_sorted_team(own, menu, lanes) for own, lanes in found]


def find_lanes(weights: Array, menu: Menu) -> list[tuple[list[Lane], list[Lane]]]:
    """Of each team, lanes of the first form and of the second: an even number of each."""
    sizes = _sizes(weights)
    teams, inputs = sizes.shape[:2]
    count = -(-inputs // _SPAN)
    spans = [np.arange(i, inputs, count) for i in range(count)]
    full: list[list[Lane]] = [[] for _ in range(teams)]
    if menu.first is not None:
        for span in spans:
            for own, lanes in zip(full, _full_lanes(sizes[:, span], menu.first), strict=True):
                own += span[lanes].tolist()
        full = [own[: len(own) // 2 * 2] for own in full]
    rest = [sorted({*range(inputs)}.difference(*lanes)) for lanes in full]
    return list(zip(full, _remaining_lanes(sizes, rest, menu.second), strict=True))


def chains_of(lanes: tuple[list[Lane], list[Lane]], menu: Menu) -> dict[Form, int]:
    """How many chains of each form these are."""
    forms = (menu.first, menu.second)
    return {f: len(own) // 2 for f, own in zip(forms, lanes, strict=True) if f is not None}


def _sizes(weights: Array) -> Array:
    """u8 [teams, inputs, 2·channels]: positive parts of the weights, then negative ones."""
    wide = weights.astype(np.int16)
    parts = np.concatenate([np.maximum(wide, 0), np.maximum(-wide, 0)], axis=1)
    return np.ascontiguousarray(parts.astype(np.uint8).transpose(0, 2, 1))


# --- lanes that are full ------------------------------------------------------------------------


def _full_lanes(sizes: Array, form: Form) -> Iterator[Array]:
    """Of each team [lanes, inputs of a lane]."""
    length, inputs = 2 * form.chain, sizes.shape[1]
    if inputs < length:
        yield from [np.zeros((0, length), np.int64)] * len(sizes)
        return
    batch = max(1, _TOGETHER // max(1, inputs * (inputs // length)))
    for first in range(0, len(sizes), batch):
        yield from _filled(sizes[first : first + batch], length)


def _filled(sizes: Array, length: int) -> list[Array]:
    teams, inputs = sizes.shape[:2]
    count, each = inputs // length, np.arange(teams)[:, None]
    order = np.argsort(-np.square(sizes, dtype=np.float32).sum(2), axis=1, kind="stable")
    sizes, free = sizes[each, order], np.ones((teams, inputs), np.bool_)
    members = np.broadcast_to(np.arange(count)[:, None], (teams, count, 1))
    totals, free[:, :count] = sizes[:, :count], False
    for number in range(1, length):
        # The largest that are left; in the end all.
        some = count + count // _SPARE if number < length - 1 else int(free.sum(1).max())
        left = np.argsort(~free, axis=1, kind="stable")[:, :some]
        candidates = sizes[each, left]
        fits = _fits(totals, candidates) & free[each, left][:, None]
        chosen = _chosen(fits, _costs(totals, candidates))
        found = chosen >= 0
        chosen = np.where(found, left[each, chosen], -1)
        free[np.nonzero(found)[0], chosen[found]] = False
        totals = np.where(found[:, :, None], totals + sizes[each, chosen], np.uint8(255))
        members = np.concatenate([members, chosen[:, :, None]], axis=2)
    full = np.asarray((members >= 0).all(2))
    return [own[lanes[is_full]] for own, lanes, is_full in zip(order, members, full, strict=True)]


def _fits(totals: Array, sizes: Array) -> Array:
    """Whether a lane has room for an input: bool [teams, lanes, inputs]. (Of failed ones: none.)"""
    result = np.ones((len(totals), totals.shape[1], sizes.shape[1]), np.bool_)
    room = np.ascontiguousarray((PAIR_LIMIT - sizes).transpose(2, 0, 1))
    for own, left in zip(np.ascontiguousarray(totals.transpose(2, 0, 1)), room, strict=True):
        result &= own[:, :, None] <= left[:, None]
    return result


def _costs(totals: Array, sizes: Array) -> Array:
    """How little an input complements a lane, less for large inputs, which are harder to place."""
    wide = sizes.astype(np.float32)
    items, lanes = np.ascontiguousarray(wide.transpose(0, 2, 1)), totals.astype(np.float32)
    some = max(1, _ONE_THREAD // items[0].size)
    parts = [lanes[:, i : i + some] @ items for i in range(0, lanes.shape[1], some)]
    return np.asarray(np.concatenate(parts, axis=1) - np.square(wide).sum(2)[:, None] / 2)


def _chosen(fits: Array, costs: Array) -> Array:
    """The input that each lane takes, or −1: [teams, lanes]."""
    teams, lanes, items = fits.shape
    each, result = np.arange(teams), np.full((teams, lanes), -1)
    costs = np.where(fits, costs, np.inf).astype(np.float32)
    gone = np.zeros((teams, items), np.float32)
    lanes_of = np.ascontiguousarray(fits.transpose(0, 2, 1)).view(np.int8)
    # How many candidates a lane has.
    degrees = fits.sum(2, dtype=np.int16)
    degrees[degrees == 0] = _NOBODY
    for _ in range(lanes):
        lane = degrees.argmin(1)
        going = degrees[each, lane] < _NOBODY // 2
        if not going.any():
            break
        item = (costs[each, lane] + gone).argmin(1)
        result[each[going], lane[going]] = item[going]
        degrees -= lanes_of[each, item]
        degrees[each, lane] = _NOBODY
        degrees[degrees <= 0] = _NOBODY
        gone[each[going], item[going]] = np.inf
    return result


# --- lanes for the rest -------------------------------------------------------------------------


def _remaining_lanes(sizes: Array, rest: Sequence[Sequence[int]], form: Form) -> list[list[Lane]]:
    """Lanes, some with free places, that hold the rest of each team's inputs."""
    spans = [
        (team, [[i] for i in own[first::count]])
        for team, own in enumerate(rest)
        for count in [-(-len(own) // _SPAN_OF_REST)]
        for first in range(count)
    ]
    teams, found = [team for team, _ in spans], [lanes for _, lanes in spans]
    for doubling in range(form.chain.bit_length()):
        is_wide = form.offset and doubling > 0
        totals = [
            _totals(sizes[team], own, is_wide) for team, own in zip(teams, found, strict=True)
        ]
        pairs = pair_up(totals, WIDTH_LIMIT if is_wide else PAIR_LIMIT)
        found = [_joined(*own, 1 << doubling) for own in zip(found, pairs, strict=True)]
    result: list[list[Lane]] = [[] for _ in rest]
    for team, lanes in zip(teams, found, strict=True):
        result[team] += lanes
    nobody = [-1] * 2 * form.chain
    return [lanes + [nobody] * (len(lanes) % 2) for lanes in result]


def _totals(sizes: Array, lanes: Sequence[Lane], is_wide: bool) -> Array:
    """i16 [lanes, bounds]: what each lane holds, of either sign, or together."""
    padded = np.concatenate([sizes, np.zeros((1, sizes.shape[1]), sizes.dtype)])
    totals = padded[np.asarray(lanes)].sum(1, dtype=np.int16)
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
