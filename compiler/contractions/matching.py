"""Which items go together by two, as many as possible: matching in graphs, many at a time.

An item has a size in every lane, and two go together if no lane exceeds the limit. The item with
the fewest possible partners chooses first, and takes of them the one that has the fewest others.
That is within half a hundredth of the largest matching where weights are random (64 to 2048 inputs,
compared with the blossom algorithm), and numpy does it for several groups at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..dialects.tensors import Array

#: Entries of the adjacency matrices that are made together: what the caches hold; and of those that
#: items choose from together, a row at a time.
_MADE, _TOGETHER = 1 << 19, 1 << 22
#: At least twice the partners that any item has.
_TAKEN = np.int16(1 << 14)


def pair_up(groups: Sequence[Array], limit: int) -> list[Array]:
    """Of each group pairs of its items, [pairs, 2]; no item is in two.

    `groups`: sizes [items, lanes], 0 to `limit`, with equally many lanes and up to 8192 items."""
    result: list[Array] = [np.zeros((0, 2), np.int64)] * len(groups)
    for chosen in _batches(groups):
        matched = _matched(_all_partners([groups[g] for g in chosen], limit))
        for g, pairs in zip(chosen, matched, strict=True):
            result[g] = pairs
    return result


def _batches(groups: Sequence[Array]) -> Iterator[list[int]]:
    """Groups of similar numbers of items, two at least."""
    batch: list[int] = []
    for g in sorted(range(len(groups)), key=lambda g: len(groups[g])):
        if len(groups[g]) < 2:
            continue
        if batch and (len(batch) + 1) * len(groups[g]) ** 2 > _TOGETHER:
            yield batch
            batch = []
        batch.append(g)
    if batch:
        yield batch


def _all_partners(groups: Sequence[Array], limit: int) -> Array:
    """Who may go with whom: bool [groups, items, items]; nobody with what only fills up a group."""
    items = max(map(len, groups))
    size = max(1, _MADE // items**2)
    starts = range(0, len(groups), size)
    return np.concatenate([_partners(groups[i : i + size], items, limit) for i in starts])


def _partners(groups: Sequence[Array], items: int, limit: int) -> Array:
    """The same for some groups, of up to so many items."""
    lanes = groups[0].shape[1]
    narrow = np.uint8 if limit < 256 else np.uint16
    sizes = np.zeros((lanes, len(groups), items), narrow)
    exists = np.zeros((len(groups), items), np.bool_)
    for g, own in enumerate(groups):
        sizes[:, g, : len(own)] = own.T
        exists[g, : len(own)] = True
    room = (limit - sizes).astype(narrow)
    result = exists[:, :, None] & exists[:, None, :] & ~np.eye(items, dtype=np.bool_)
    for own, left in zip(sizes, room, strict=True):
        result &= own[:, :, None] <= left[:, None, :]
    return result


def _matched(partners: Array) -> list[Array]:
    """Pairs of each group."""
    count, groups = len(partners), np.arange(len(partners))
    # How many partners an item still has; without any, or taken, it has `_TAKEN` or a few less.
    degrees = partners.sum(2, dtype=np.int16)
    np.putmask(degrees, degrees == 0, _TAKEN)
    rounds: list[tuple[Array, Array, Array]] = []
    while True:
        each = np.arange(len(groups))
        first = degrees.argmin(1)
        going = degrees[each, first] < _TAKEN // 2
        if 2 * np.count_nonzero(going) <= len(groups):
            groups, degrees, partners = groups[going], degrees[going], partners[going]
            if not len(groups):
                return _by_group(rounds, count)
            continue
        own = partners[each, first]
        second = np.where(own, degrees, _TAKEN).argmin(1)
        degrees -= own
        degrees -= partners[each, second]
        np.putmask(degrees, degrees == 0, _TAKEN)
        degrees[each, first] = degrees[each, second] = _TAKEN
        rounds.append((groups[going], first[going], second[going]))


def _by_group(rounds: list[tuple[Array, Array, Array]], groups: int) -> list[Array]:
    if not rounds:
        return [np.zeros((0, 2), np.int64)] * groups
    group, first, second = (np.concatenate(part) for part in zip(*rounds, strict=True))
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=groups))
    return np.split(np.stack([first, second], 1)[order], ends[:-1])
