"""Which two forms a layer's kernel has loops for, chosen for a sample of its blocks (chains.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from ..codegen.targets import Target
from .chains import ALONE, Menu, Steps, find_chains
from .cost import keeps_weights, work_cycles
from .forms import OFFSET2, OFFSET3, OFFSET4, PAIRS, PAIRS2, PAIRS3, PAIRS4, Form

_PLAIN, _OFFSET = (PAIRS2, PAIRS3, PAIRS4), (OFFSET2, OFFSET3, OFFSET4)
#: A first form that takes less of the steps is not tried with others, nor are longer ones.
_WORTHWHILE = 1 / 8
#: Nor are longer second forms, where one has more of its places free.
_FILLED = 0.8

#: How many chains of each form an average block has.
Work: TypeAlias = Mapping[Form, float]


def choose_menu(blocks: Sequence[Steps], most: int, n: int, target: Target) -> tuple[Menu, Work]:
    """The least time for a pixel, in the largest tiles of up to so many × n vectors, and how many
    chains that takes."""
    works = dict(_tried(blocks))

    def cycles(menu: Menu) -> float:
        m = max(m for m in range(1, most + 1) if m == 1 or keeps_weights(m, n, menu, target))
        return work_cycles(works[menu], m, n, target) / m

    menu = min(works, key=cycles)
    return menu, works[menu]


def work_of(blocks: Sequence[Steps], menu: Menu) -> Work:
    chains = zip(*find_chains(blocks, menu), strict=True)
    first, second = (sum(map(len, found)) / len(blocks) for found in chains)
    return {menu.second: second} if menu.first is None else {menu.first: first, menu.second: second}


def _tried(blocks: Sequence[Steps]) -> Iterator[tuple[Menu, Work]]:
    """The menus that are worth a look."""
    steps = sum(map(len, blocks)) / len(blocks)
    yield ALONE, work_of(blocks, ALONE)
    for family in (_PLAIN, _OFFSET):
        for form in family:
            yield (menu := Menu(None, form)), work_of(blocks, menu)
            yield (menu := Menu(form, PAIRS)), (work := work_of(blocks, menu))
            if work[form] * form.chain < _WORTHWHILE * steps:
                break
            if family is _PLAIN:
                yield from _with_second(blocks, form, steps)


def _with_second(blocks: Sequence[Steps], first: Form, steps: float) -> Iterator[tuple[Menu, Work]]:
    """Menus of a plain form and one with offsets, or a shorter plain one."""
    for second in _OFFSET:
        yield (menu := Menu(first, second)), (work := work_of(blocks, menu))
        if steps - work[first] * first.chain < _FILLED * work[second] * second.chain:
            break
    for second in (form for form in _PLAIN if form.chain < first.chain):
        yield (menu := Menu(first, second)), work_of(blocks, menu)
