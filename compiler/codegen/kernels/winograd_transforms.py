"""The transforms of contractions/winograd.py as vector code, in one dimension.

Each spells out one of its matrices; common sums are shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from ...dialects.loop import element_of, lanes_of
from ..builder import KernelBuilder, i16

#: Bytes of a register.
_WIDEST = 64


class Lanes:
    """Arithmetic on vectors of integers."""

    def __init__(self, b: KernelBuilder):
        self.b = b
        self._factors: dict[int, SSAValue] = {}

    def keep_factors(self, factors: Sequence[int], lanes: int) -> None:
        """Multiplies by vectors of `lanes` halves that LLVM does not see through, where it would
        make two shifts and an addition of a product: with 512 bits, of which shifts have one
        port."""
        if 2 * lanes == _WIDEST:
            self._factors = {f: self.b.pin(self.b.constant(f, i16, lanes)) for f in factors}

    def add(self, a: SSAValue, c: SSAValue) -> SSAValue:
        return self.b.binary(arith.AddiOp, a, c)

    def sub(self, a: SSAValue, c: SSAValue) -> SSAValue:
        return self.b.binary(arith.SubiOp, a, c)

    def shift(self, a: SSAValue, bits: int) -> SSAValue:
        """a · 2^bits"""
        return self.b.binary(arith.ShLIOp, a, self._constant(bits, a))

    def times(self, a: SSAValue, factor: int) -> SSAValue:
        return self.b.binary(arith.MuliOp, a, self._factors.get(factor, self._constant(factor, a)))

    def _constant(self, value: int, like: SSAValue) -> SSAValue:
        return self.b.constant(value, element_of(like), lanes_of(like))


def input_transform(v: Lanes, d: Sequence[SSAValue]) -> list[SSAValue]:
    """INPUT_TRANSFORM · d"""
    d0, d1, d2, d3, d4, d5 = d
    even, odd = v.sub(v.shift(d2, 2), d4), v.sub(v.shift(d1, 2), d3)
    low, step = v.sub(d4, d2), v.sub(d3, d1)
    twice = v.shift(step, 1)
    return [
        v.add(v.shift(v.sub(d0, d2), 2), low),
        v.add(even, odd),
        v.sub(even, odd),
        v.add(low, twice),
        v.sub(low, twice),
        v.sub(v.sub(d5, d3), v.shift(step, 2)),
    ]


def weight_transform(v: Lanes, w: Sequence[SSAValue]) -> list[SSAValue]:
    """WEIGHT_TRANSFORMS[3] · w"""
    w0, w1, w2 = w
    ends, quarters, twice = v.add(w0, w2), v.add(w0, v.shift(w2, 2)), v.shift(w1, 1)
    return [
        v.times(w0, 6),
        v.shift(v.add(ends, w1), 2),
        v.shift(v.sub(ends, w1), 2),
        v.add(quarters, twice),
        v.sub(quarters, twice),
        v.times(w2, 12),
    ]


#: What weight_transform and weight_rows multiply by.
WEIGHT_FACTORS = (6, 12)
#: Rows of WEIGHT_TRANSFORMS[3] that have sums in common.
ROW_PAIRS = ((0, 5), (1, 2), (3, 4))


def weight_rows(
    v: Lanes, tap: Callable[[int, int], SSAValue], rows: tuple[int, int]
) -> tuple[list[SSAValue], list[SSAValue]]:
    """Two rows, one of ROW_PAIRS, of WEIGHT_TRANSFORMS[3] · w, for the 3×3 taps w."""
    first, second = [], []
    for x in range(3):
        if rows == (0, 5):
            first.append(v.times(tap(0, x), 6))
            second.append(v.times(tap(2, x), 12))
            continue
        w0, w1, w2 = (tap(y, x) for y in range(3))
        if rows == (1, 2):
            ends, middle = v.shift(v.add(w0, w2), 2), v.shift(w1, 2)
        else:
            ends, middle = v.add(w0, v.shift(w2, 2)), v.shift(w1, 1)
        first.append(v.add(ends, middle))
        second.append(v.sub(ends, middle))
    return first, second


def output_transform(v: Lanes, m: Sequence[SSAValue], side: int) -> list[SSAValue]:
    """OUTPUT_TRANSFORMS · m, for so many results."""
    m0, m1, m2, m3, m4, m5 = m
    a, b, c, d = v.add(m1, m2), v.sub(m1, m2), v.add(m3, m4), v.sub(m3, m4)
    results = [
        v.add(v.add(m0, a), c),
        v.add(b, v.shift(d, 1)),
        v.add(a, v.shift(c, 2)),
    ]
    if side == 4:
        results.append(v.add(b, v.shift(d, 3)))
    results[-1] = v.add(results[-1], v.shift(m5, 1))
    return results
