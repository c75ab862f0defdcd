"""The transforms of contractions/winograd.py as vector code, in one dimension.

Each spells out one of its matrices; common sums are shared. Weights that are transformed when they
are used are not multiplied by SCALES, which there are fewer sums to do for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from ...contractions.winograd_tiling import INPUTS
from ...dialects.loop import element_of, lanes_of
from ..builder import KernelBuilder


class Lanes:
    """Arithmetic on vectors of integers."""

    def __init__(self, b: KernelBuilder):
        self.b = b

    def add(self, a: SSAValue, c: SSAValue) -> SSAValue:
        return self.b.binary(arith.AddiOp, a, c)

    def sub(self, a: SSAValue, c: SSAValue) -> SSAValue:
        return self.b.binary(arith.SubiOp, a, c)

    def shift(self, a: SSAValue, bits: int) -> SSAValue:
        """a · 2^bits; additions have more ports than shifts."""
        if bits == 1:
            return self.add(a, a)
        count = self.b.constant(bits, element_of(a), lanes_of(a))
        return self.b.binary(arith.ShLIOp, a, count)

    def three(self, a: SSAValue) -> SSAValue:
        """a · 3"""
        return self.add(a, self.shift(a, 1))


def input_transform(v: Lanes, d: Sequence[SSAValue]) -> list[SSAValue]:
    """INPUT_TRANSFORM · d, or of five inputs all of SHORT_INPUT_TRANSFORM · d but the last."""
    return _of_six(v, d) if len(d) == INPUTS else _of_five(v, d)


def _of_six(v: Lanes, d: Sequence[SSAValue]) -> list[SSAValue]:
    d0, d1, d2, d3, d4, d5 = d
    even, odd = v.sub(v.shift(d2, 2), d4), v.sub(v.shift(d1, 2), d3)
    low, step = v.sub(d4, d2), v.sub(d3, d1)
    twice = v.shift(step, 1)
    return [
        v.add(v.shift(v.sub(d0, d2), 2), low),
        v.add(even, odd),
        v.sub(even, odd),
        v.add(low, twice),
        v.sub(v.sub(d5, d3), v.shift(step, 2)),
        v.sub(low, twice),
    ]


def _of_five(v: Lanes, d: Sequence[SSAValue]) -> list[SSAValue]:
    d0, d1, d2, d3, d4 = d
    step = v.sub(d3, d1)
    twice = v.shift(step, 1)
    return [
        v.add(v.shift(v.sub(d0, d2), 2), twice),
        v.three(v.sub(v.add(d1, d2), step)),
        v.sub(v.three(v.sub(d2, d1)), step),
        v.shift(step, 2),
        v.sub(v.sub(d4, d2), twice),
    ]


def weight_transform(v: Lanes, w: Sequence[SSAValue]) -> list[SSAValue]:
    """WEIGHT_TRANSFORMS[3] · w, divided by SCALES."""
    w0, w1, w2 = w
    ends, quarters, twice = v.add(w0, w2), v.add(w0, v.shift(w2, 2)), v.shift(w1, 1)
    return [
        w0,
        v.add(ends, w1),
        v.sub(ends, w1),
        v.add(quarters, twice),
        w2,
        v.sub(quarters, twice),
    ]


#: Rows of weight_transform that have sums in common.
ROW_PAIRS = ((0, 4), (1, 2), (3, 5))


def weight_rows(
    v: Lanes, tap: Callable[[int, int], SSAValue], rows: tuple[int, int]
) -> tuple[list[SSAValue], list[SSAValue]]:
    """Two rows, one of ROW_PAIRS, of what weight_transform makes of the columns of 3×3 taps."""
    first, second = [], []
    for x in range(3):
        if rows == (0, 4):
            first.append(tap(0, x))
            second.append(tap(2, x))
            continue
        w0, w1, w2 = (tap(y, x) for y in range(3))
        if rows == (1, 2):
            outer, middle = v.add(w0, w2), w1
        else:
            outer, middle = v.add(w0, v.shift(w2, 2)), v.shift(w1, 1)
        first.append(v.add(outer, middle))
        second.append(v.sub(outer, middle))
    return first, second


def output_transform(
    v: Lanes, m: Sequence[SSAValue], side: int, scaled: bool = False
) -> list[SSAValue]:
    """OUTPUT_TRANSFORMS[side] · m, of which the last may be missing. `scaled`: multiplied by
    SCALES before, where weights were divided by them."""
    m0, m1, m2, m3, m4, *rest = m
    a, b, c, d = v.add(m1, m2), v.sub(m1, m2), m3, m3
    for m5 in rest:
        c, d = v.add(m3, m5), v.sub(m3, m5)
    if scaled:
        m0, a, b = v.shift(v.three(m0), 1), v.shift(a, 2), v.shift(b, 2)
        m4 = v.shift(v.three(m4), 2)
    results = [
        v.add(v.add(m0, a), c),
        v.add(b, v.shift(d, 1)),
        v.add(a, v.shift(c, 2)),
    ]
    if side == 4:
        results.append(v.add(b, v.shift(d, 3)))
    results[-1] = v.add(results[-1], v.shift(m4, 1))
    return results
