"""Lanes that are filled in turns: the greedy part of the search.

Each lane begins with one of the largest inputs, then takes one more in turns, as long as it has
room in all channels: the lane with the fewest candidates first, and of those the one that
complements it best, where a large input counts for more, since it is harder to place.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from ..codegen.builder import Index, i8
from ..codegen.native import NativeFunction, compile_functions
from ..dialects.tensors import Array
from .rows import NUMBER, VECTOR_BYTES, WIDTH, RowKernel

#: More than any number of candidates, and any cost.
_NONE = 1 << 40
#: Lanes choose among the largest inputs left: one for each, and one more for so many.
_SPARE = 4


def filled_lanes(rows: Array, length: int, limit: int) -> Array:
    """Numbers of inputs, [lanes, length], and −1 where a lane found none: as many lanes as the
    inputs fill. `rows`: of the inputs (`rows_of`); `limit`: of a lane in any channel, for positive
    parts and for negative ones."""
    norms = np.square(rows, dtype=np.int64).sum(1)
    order = np.argsort(-norms, kind="stable")
    inputs, count = len(order), len(order) // length
    members = np.full((count, length), -1)
    if not count:
        return members
    members[:, 0] = np.arange(count)
    sorted_rows = rows[order]
    _function()(
        np.array([inputs, count, length, rows.strides[0], limit]),
        sorted_rows,
        norms[order] // 2,
        members,
        sorted_rows[:count].copy(),
        (np.arange(inputs) >= count).astype(np.int64),
        np.ones(count, np.int64),
        np.empty(inputs + 1, np.int64),
        np.empty((inputs, count), np.int8),
        np.empty(count, np.int64),
    )
    return np.where(members < 0, -1, order[members])


@cache
def _function() -> NativeFunction:
    return compile_functions([_Filling().kernel()])[0]


class _Filling:
    """Buffers of the kernel: `shape` [5]: inputs, lanes, inputs of a lane, bytes of a row, limit;
    `rows`: of the inputs, the largest first; `norms` [inputs]: half the sum of the squares of each;
    `members` [lanes, inputs of a lane]: the first is there; `totals`: rows of what the lanes hold;
    `free` [inputs]: 1, or 0 of those taken; `counts` [lanes]: of their members; and for its own use
    `candidates` [inputs + 1], `fits` i8 [inputs, lanes], `degrees` [lanes]."""

    def __init__(self) -> None:
        self.b = b = RowKernel("fill_lanes", 10)
        shape, self.rows, self.norms, self.members, self.totals = b.buffers[:5]
        self.free, self.counts, self.candidates, self.fits, self.degrees = b.buffers[5:]
        self.inputs, self.lanes, self.length, self.row = (b.number(shape, i) for i in range(4))
        self.limit = b.every(b.number(shape, 4))
        #: Cost of the best candidate, and where it stands.
        self.best = b.scratch(2 * NUMBER)

    def kernel(self) -> FuncOp:
        b = self.b
        with b.loop(1, self.length) as turns:
            turn = turns.variable
            is_last = b.compare("eq", turn, b.sub(self.length, 1))
            # The largest that are left; in the end all.
            some = b.add(self.lanes, b.div(self.lanes, _SPARE))
            most = b.select(is_last, self.inputs, b.index(some))
            found = b.listed(self.inputs, self.candidates, self.free, most)
            self._compare(turn, found)
            with b.loop(0, self.lanes):
                lane, degree = self._fewest()
                with b.branch(b.compare("ne", degree, _NONE)):
                    self._choose(lane, found)
                    self._take(lane, turn, b.number(self.best, 1))
        return b.finish()

    def _compare(self, turn: Index, found: SSAValue) -> None:
        """Which candidates fit which lanes, and how many each lane has."""
        b = self.b
        with b.loop(0, self.lanes) as each:
            b.put(0, self.degrees, each.variable)
        with b.loop(0, found) as places:
            candidate = self._row(self.rows, b.number(self.candidates, places.variable))
            with b.loop(0, self.lanes) as each:
                lane = each.variable
                # A lane that found nothing in one turn is left alone.
                takes_part = b.one_if(b.compare("eq", b.number(self.counts, lane), turn))
                has_room = self._has_room(self._row(self.totals, lane), candidate)
                fits = b.binary(arith.AndIOp, takes_part, has_room)
                narrow = b.op(arith.IndexCastOp, [fits], i8)
                b.store(narrow, self.fits, self._place(places.variable, lane))
                b.put(b.add(b.number(self.degrees, lane), fits), self.degrees, lane)

    def _has_room(self, held: SSAValue, candidate: SSAValue) -> SSAValue:
        """1 if a lane has room for an input, else 0."""
        b = self.b
        with b.loop(0, self.row, VECTOR_BYTES, carried=[b.every(0)]) as places:
            at = places.variable
            total = b.plus(b.sizes(held, at), b.sizes(candidate, at))
            places.next = [b.binary(arith.MaxSIOp, places.carried[0], total)]
        exceeds = b.any(b.compare("sgt", places.results[0], self.limit))
        return b.select(exceeds, b.index(0), b.index(1))

    def _fewest(self) -> tuple[SSAValue, SSAValue]:
        """The lane with the fewest candidates, of those that have any, and how many; else
        `_NONE`."""
        b = self.b
        with b.loop(0, self.lanes, carried=[b.index(0), b.index(_NONE)]) as each:
            lane, fewest = each.carried
            degree = b.number(self.degrees, each.variable)
            degree = b.select(b.compare("eq", degree, 0), b.index(_NONE), degree)
            is_less = b.compare("slt", degree, fewest)
            each.next = [b.select(is_less, each.variable, lane), b.select(is_less, degree, fewest)]
        return each.results[0], each.results[1]

    def _choose(self, lane: SSAValue, found: SSAValue) -> None:
        """The candidate that complements the lane best."""
        b, held = self.b, self._row(self.totals, lane)
        b.put(_NONE, self.best, 0)
        with b.loop(0, found) as places:
            item = b.number(self.candidates, places.variable)
            is_free = b.compare("ne", b.number(self.free, item), 0)
            fits = b.compare("ne", self._fits(places.variable, lane), 0)
            with b.branch(b.binary(arith.AndIOp, is_free, fits)):
                product = self._product(held, self._row(self.rows, item))
                cost = b.sub(product, b.number(self.norms, item))
                with b.branch(b.compare("slt", cost, b.number(self.best, 0))):
                    b.put(cost, self.best, 0)
                    b.put(places.variable, self.best, 1)

    def _product(self, held: SSAValue, candidate: SSAValue) -> SSAValue:
        """How little an input complements a lane."""
        b = self.b
        with b.loop(0, self.row, VECTOR_BYTES, carried=[b.constant(0, i32, WIDTH)]) as places:
            at = places.variable
            wide = (b.convert("sext", b.sizes(row, at), i32) for row in (held, candidate))
            places.next = [b.plus(places.carried[0], b.binary(arith.MuliOp, *wide))]
        return b.total(places.results[0])

    def _take(self, lane: SSAValue, turn: Index, place: SSAValue) -> None:
        b, item = self.b, self.b.number(self.candidates, place)
        with b.loop(0, self.lanes) as each:
            # Lanes that have taken one have no candidates any more.
            left = b.sub(b.number(self.degrees, each.variable), self._fits(place, each.variable))
            b.put(b.maximum(left, 0), self.degrees, each.variable)
        b.put(0, self.degrees, lane)
        b.put(0, self.free, item)
        b.put(item, self.members, b.add(b.mul(lane, self.length), turn))
        b.put(b.add(turn, 1), self.counts, lane)
        held, taken = self._row(self.totals, lane), self._row(self.rows, item)
        with b.loop(0, self.row, VECTOR_BYTES) as places:
            at = places.variable
            b.store(b.plus(b.sizes(held, at), b.sizes(taken, at)), held, at)

    def _row(self, base: SSAValue, number: Index) -> SSAValue:
        return self.b.address(base, self.b.mul(number, self.row))

    def _place(self, place: Index, lane: Index) -> Index:
        return self.b.add(self.b.mul(place, self.lanes), lane)

    def _fits(self, place: Index, lane: Index) -> SSAValue:
        return self.b.to_index(self.b.load(self.fits, self._place(place, lane), i8))
