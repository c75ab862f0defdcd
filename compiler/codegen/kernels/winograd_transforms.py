"""The transforms of contractions/winograd.py as vector code, in one dimension.

Each spells out one of its matrices; common sums are shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

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
        """a · 2^bits"""
        return self.b.binary(arith.ShLIOp, a, self._constant(bits, a))

    def times(self, a: SSAValue, factor: int) -> SSAValue:
        return self.b.binary(arith.MuliOp, a, self._constant(factor, a))

    def _constant(self, value: int, like: SSAValue) -> SSAValue:
        return self.b.constant(value, element_of(like), lanes_of(like))


def input_transform(v: Lanes, d: Sequence[SSAValue]) -> list[SSAValue]:
    """INPUT_TRANSFORM · d"""
    d0, d1, d2, d3, d4, d5 = d
    even, odd = v.sub(d4, v.shift(d2, 2)), v.sub(d3, v.shift(d1, 2))
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
    """WEIGHT_TRANSFORM · w"""
    w0, w1, w2 = w
    ends, quarters, twice = v.add(w0, w2), v.add(w0, v.shift(w2, 2)), v.shift(w1, 1)
    return [
        v.times(w0, 6),
        v.times(v.add(ends, w1), -4),
        v.times(v.sub(ends, w1), -4),
        v.add(quarters, twice),
        v.sub(quarters, twice),
        v.times(w2, 12),
    ]


def weight_row(v: Lanes, tap: Callable[[int, int], SSAValue], row: int) -> list[SSAValue]:
    """Row `row` of WEIGHT_TRANSFORM · w, for the 3×3 taps w."""
    results = []
    for x in range(3):
        if row in (0, 5):
            results.append(v.times(tap(0 if row == 0 else 2, x), 6 if row == 0 else 12))
            continue
        w0, w1, w2 = (tap(y, x) for y in range(3))
        combine = v.add if row in (1, 3) else v.sub
        if row in (1, 2):
            results.append(v.times(combine(v.add(w0, w2), w1), -4))
        else:
            results.append(combine(v.add(w0, v.shift(w2, 2)), v.shift(w1, 1)))
    return results


def output_transform(v: Lanes, m: Sequence[SSAValue]) -> list[SSAValue]:
    """OUTPUT_TRANSFORM · m"""
    m0, m1, m2, m3, m4, m5 = m
    a, b, c, d = v.add(m1, m2), v.sub(m1, m2), v.add(m3, m4), v.sub(m3, m4)
    return [
        v.add(v.add(m0, a), c),
        v.add(b, v.shift(d, 1)),
        v.add(a, v.shift(c, 2)),
        v.add(v.add(b, v.shift(d, 3)), v.shift(m5, 1)),
    ]
