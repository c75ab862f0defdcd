"""Inputs that change places until lanes keep their bounds.

Of a lane that exceeds them one input is exchanged for one of any other lane if that costs the two
no more than before, taken together. It is tried at random, but always in the same way. What a lane
costs is by how much it exceeds its bounds, in all channels together, but never more than `_MOST`,
so that lanes that nearly fit get what they need from those that will not fit in any case; and
`_MISS` if it does at all, so that those that fit are not given up for nothing. (Annealing, which
accepts worse now and then, finds as many.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from ..codegen.builder import Index
from ..codegen.native import NativeFunction, compile_functions
from ..dialects.tensors import Array
from .rows import VECTOR_BYTES, RowKernel

#: Where weights are random, 20 to 40 do, and 10 to 20.
_MOST, _MISS = 40, 20
#: Exchanges that are tried between two looks at which lanes do not fit yet.
_TRIES = 256
#: Of the random numbers.
_SEED = 0x1E3779B97F4A7C15


@dataclass(frozen=True)
class Bounds:
    """What may meet in a lane, in any channel: positive parts of weights up to `sign`, and negative
    ones. With a `width`, that holds for each half of the lane's inputs, and `width` for all parts
    of all inputs together."""

    sign: int
    width: int | None = None


def exchange(rows: Array, lanes: Array, bounds: Bounds, rounds: int) -> tuple[Array, Array]:
    """Lanes [lanes, inputs of a lane] after so many rounds of tries, and which of them keep the
    bounds. `rows`: of the inputs (`rows_of`), and a last one of zeros for input −1."""
    if not len(lanes):
        return lanes, np.zeros(0, np.bool_)
    nobody, half = len(rows) - 1, lanes.shape[1] // 2
    members = np.where(lanes < 0, nobody, lanes).reshape(-1, 2, half)
    halves = rows[members].sum(2, dtype=np.int16)
    costs = _costs(halves, bounds)
    if len(lanes) > 1 and costs.any():
        shape = np.array([len(lanes), half, rows.strides[0], rounds])
        bad = np.empty(len(lanes) + 1, np.int64)
        _function(bounds)(shape, rows, members, halves, costs, bad)
    return np.where(members == nobody, -1, members).reshape(lanes.shape), costs == 0


def _costs(halves: Array, bounds: Bounds) -> Array:
    """What lanes cost, 0 if they keep their bounds: [lanes].

    `halves`: rows [lanes, 2, …] of what each half of a lane's inputs adds up to."""
    signs = np.stack(np.split(halves.astype(np.int64), 2, axis=2))
    over = [signs.sum(2) - bounds.sign]
    if bounds.width is not None:
        over = [signs - bounds.sign, signs.sum((0, 2))[None] - bounds.width]
    each = [np.maximum(part, 0).sum(0).reshape(len(halves), -1).sum(1) for part in over]
    total = np.minimum(sum(each), _MOST)
    return np.asarray(np.where(total > 0, total + _MISS, 0))


@cache
def _function(bounds: Bounds) -> NativeFunction:
    return compile_functions([_Exchange(bounds).kernel()])[0]


class _Exchange:
    """Buffers of the kernel: `shape` [4]: lanes, half the inputs of a lane, bytes of a row, rounds;
    `rows`: of the inputs; `members` [lanes, inputs of a lane]; `halves`: rows [lanes, 2] of what
    each half of them adds up to; `costs` [lanes]; and for its own use `bad` [lanes + 1]."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.b = b = RowKernel("exchange_inputs", 6)
        shape, self.rows, self.members, self.halves, self.costs, self.bad = b.buffers
        self.lanes, self.half, self.row, self.rounds = (b.number(shape, i) for i in range(4))
        self.length = b.mul(self.half, 2)

    def kernel(self) -> FuncOp:
        b = self.b
        with b.loop(0, self.rounds, carried=[b.index(_SEED)]) as looks:
            count = b.listed(self.lanes, self.bad, self.costs)
            tries = b.select(b.compare("eq", count, 0), b.index(0), b.index(_TRIES))
            with b.loop(0, tries, carried=[looks.carried[0]]) as each:
                each.next = [state := _next_random(b, each.carried[0])]
                limits = (count, self.lanes, self.length, self.length)
                bad, other, of_one, of_other = _drawn(b, state, limits)
                one = b.number(self.bad, bad)
                with b.branch(b.compare("ne", one, other)):
                    self._try((one, of_one), (other, of_other))
            looks.next = [each.results[0]]
        return b.finish()

    def _try(self, one: tuple[Index, Index], other: tuple[Index, Index]) -> None:
        """To exchange a member of one lane for one of another."""
        b = self.b
        places = [b.add(b.mul(lane, self.length), member) for lane, member in (one, other)]
        items = [b.number(self.members, place) for place in places]
        rows = [b.address(self.rows, b.mul(item, self.row)) for item in items]
        before = b.add(b.number(self.costs, one[0]), b.number(self.costs, other[0]))
        first = _ChangedLane(self, *one, *rows)
        own = first.cost()
        with b.branch(b.compare("sle", own, before)):
            second = _ChangedLane(self, *other, *reversed(rows))
            others = second.cost()
            with b.branch(b.compare("sle", b.add(own, others), before)):
                for place, item in zip(places, reversed(items), strict=True):
                    b.put(item, self.members, place)
                for (lane, _), cost in zip((one, other), (own, others), strict=True):
                    b.put(cost, self.costs, lane)
                first.keep()
                second.keep()


class _ChangedLane:
    """A lane with one input, a row, less and another one more."""

    def __init__(
        self, kernel: _Exchange, lane: Index, member: Index, less: SSAValue, more: SSAValue
    ):
        self.kernel, self.b, self.less, self.more = kernel, kernel.b, less, more
        b = self.b
        halves = b.address(kernel.halves, b.mul(lane, b.mul(kernel.row, 2)))
        second, is_second = b.address(halves, kernel.row), b.compare("uge", member, kernel.half)
        self.changed = b.select(is_second, second, halves)
        self.other = b.select(is_second, halves, second)

    def cost(self) -> SSAValue:
        """As `_costs`."""
        b, negative = self.b, self.b.div(self.kernel.row, 2)
        with b.loop(0, negative, VECTOR_BYTES, carried=[b.every(0)]) as places:
            total, at = places.carried[0], places.variable
            for size, limit in self._bounded(at, b.add(at, negative)):
                over = b.binary(arith.MaxSIOp, b.minus(size, b.every(limit)), b.every(0))
                total = b.plus(total, over)
            # So that the sum of all lanes has room.
            places.next = [b.binary(arith.MinSIOp, total, b.every(_MOST))]
        total = b.index(b.minimum(b.total(places.results[0]), _MOST))
        return b.select(b.compare("eq", total, 0), total, b.index(b.add(total, _MISS)))

    def _bounded(self, *signs: Index) -> list[tuple[SSAValue, int]]:
        """What has a limit, in a vector of channels, and the limit."""
        b, bounds = self.b, self.kernel.bounds
        halves = [(self._sizes(at), b.sizes(self.other, at)) for at in signs]
        sums = [b.plus(*pair) for pair in halves]
        if bounds.width is None:
            return [(total, bounds.sign) for total in sums]
        parts = [(size, bounds.sign) for pair in halves for size in pair]
        return [*parts, (b.plus(*sums), bounds.width)]

    def keep(self) -> None:
        with self.b.loop(0, self.kernel.row, VECTOR_BYTES) as places:
            self.b.store(self._sizes(places.variable), self.changed, places.variable)

    def _sizes(self, at: Index) -> SSAValue:
        """A vector of the half that is changed."""
        b = self.b
        without = b.minus(b.sizes(self.changed, at), b.sizes(self.less, at))
        return b.plus(without, b.sizes(self.more, at))


def _next_random(b: RowKernel, state: SSAValue) -> SSAValue:
    """Marsaglia's xorshift with 64 bits."""
    for shift, distance in ((arith.ShLIOp, 13), (arith.ShRUIOp, 7), (arith.ShLIOp, 17)):
        state = b.binary(arith.XOrIOp, state, b.binary(shift, state, b.index(distance)))
    return state


def _drawn(b: RowKernel, state: SSAValue, limits: tuple[Index, ...]) -> list[Index]:
    """Numbers below each of the limits, from sixteen bits each."""
    result = []
    for i, limit in enumerate(limits):
        bits = b.rem(b.binary(arith.ShRUIOp, state, b.index(16 * i)), 1 << 16)
        result.append(b.div(b.mul(bits, limit), 1 << 16))
    return result
