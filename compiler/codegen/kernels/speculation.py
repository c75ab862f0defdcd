"""Codes of functions that are approximated first (approximations.py), and computed where that is in
doubt: seldom.

Let r be what an approximation makes of the real number that a quantize rounds, and m a bound of how
far that is off. Where r is further than m from the middle between two whole numbers, both round to
the same one. With m around 10⁻⁴, one in a hundred steps of 32 elements has one in doubt: then the
step's elements are computed once more, as they would have been in the first place. So the codes are
those of the interpreter, bit for bit.

Reals that are no numbers, or too large for 32 bits, are in doubt as well. Others that are beyond
the range of the codes may be off by more than m, but not by so much that they would come back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import cast

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...approximations import RELATIVE, Approximation
from ...dialects import graph
from ...dialects.layout import LANES, Layout
from ...dialects.loop import lanes_of, vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder
from .approximated import approximation_of
from .common import TensorBuffer
from .evaluate import Evaluator, Position
from .vector_math import LoopMath

#: Elements of a run whose denominators are kept between the passes.
LONGEST_RUN = 512
#: Inverse scale, product and quotient of r are rounded, as were product and quotient where the
#: bounds were measured, and the division by the scale is.
_ROUNDINGS = 6 * 2.0**-24
#: With more in doubt, more is computed twice than is gained.
_MOST_IN_DOUBT = 2.0**-10
#: More than any code, and so little that a zero point can be added.
_BEYOND_CODES = 2.0**24
#: The sign bit of a float is not among them.
_MAGNITUDE = 0x7FFFFFFF


class _FusedMath(LoopMath):
    """`approximations.FusedMath`"""

    def __init__(self, b: KernelBuilder, lanes: int, fma: bool):
        super().__init__(b, lanes)
        self.fma = fma

    def multiply_add(self, a: SSAValue, b: SSAValue, c: SSAValue) -> SSAValue:
        return self.b.fma(a, b, c) if self.fma else self.add(self.mul(a, b), c)


@dataclass(frozen=True)
class Run:
    """`size` elements of a pixel from `channel` on, in steps of so many lanes."""

    pixel: Callable[[Layout], Index]
    channel: Index
    size: int
    lanes: int

    def steps(self, b: KernelBuilder, body: Callable[[Index, Position], None]) -> None:
        """`body(first element, position)` for all steps; those at the end have `LANES`."""
        whole = self.size // self.lanes * self.lanes
        if whole:
            with b.loop(0, whole, self.lanes) as steps:
                body(steps.variable, self._at(b, steps.variable, self.lanes))
        for begin in range(whole, self.size, LANES):
            body(begin, self._at(b, begin, LANES, self.size - begin))

    def _at(self, b: KernelBuilder, begin: Index, lanes: int, left: int | None = None) -> Position:
        count = left if left is not None and left < lanes else None
        return Position(lanes, b.add(self.channel, begin), self.pixel, count=count)


@dataclass(frozen=True)
class Speculation:
    """A quantize of f(x), for which an approximation stands."""

    op: graph.QuantizeOp
    function: Approximation
    x: SSAValue
    #: m.
    doubt: float

    def writer(self, e: Evaluator, output: TensorBuffer) -> Callable[[Run], None]:
        """Writes the codes of a run of elements to memory; ask for it outside all loops."""
        scratch = e.b.scratch(4 * LONGEST_RUN)
        return lambda run: self._store(e, output, scratch, run)

    def _store(self, e: Evaluator, output: TensorBuffer, scratch: SSAValue, run: Run) -> None:
        """In two passes, because a core looks ahead no further than to a few hundred operations:
        all that one element takes, one after the other, would keep it waiting for the next."""

        def denominators(begin: Index, at: Position) -> None:
            math = _FusedMath(e.b, at.lanes, e.target.fma)
            value = cast(SSAValue, self.function.denominator(math, e.value(self.x, at)))
            e.b.store(value, scratch, e.b.mul(begin, 4))

        def codes(begin: Index, at: Position) -> None:
            kind = vector_of(f32, at.lanes)
            self._store_codes(e, output, e.b.load(scratch, e.b.mul(begin, 4), kind), at)

        for each in (denominators, codes):
            run.steps(e.b, each)

    def _store_codes(
        self, e: Evaluator, output: TensorBuffer, denominator: SSAValue, at: Position
    ) -> None:
        """The codes of a step."""
        # What is known in front of a branch would stay in registers for it.
        again = replace(at, known={}, cache={})
        real = self._real(e, denominator, at)
        code, distance = self._rounded(e, real, at)
        e.store_bytes(output, e.saturated(self.op, [code], at), [at])
        farthest = _farthest(e.b, distance, e.target.lanes)
        limit = int(np.float32(0.5 - self.doubt).view(np.int32))
        bound = e.b.constant(limit, i32, lanes_of(farthest))
        with e.b.branch(e.b.any(e.b.emit(arith.CmpiOp(farthest, bound, "sgt")))):
            e.store(output, self.op.result, [again])

    def _real(self, e: Evaluator, denominator: SSAValue, at: Position) -> SSAValue:
        """r"""
        f, math, inverse = self.function, LoopMath(e.b, at.lanes), _inverse(self.op.scales)
        numerator = e.parameter(inverse * np.float32(f.numerator), self.op, at)
        if f.times_x:
            numerator = math.mul(numerator, e.value(self.x, at))
        real = math.div(numerator, denominator)
        if f.offset:
            real = math.add(real, e.parameter(inverse * np.float32(f.offset), self.op, at))
        if self.op.zero_points.size > 1:
            real = math.minimum(math.constant(_BEYOND_CODES), real)
        return real

    def _rounded(self, e: Evaluator, real: SSAValue, at: Position) -> tuple[SSAValue, SSAValue]:
        """The whole number that r rounds to, and its distance from r as bits of a float."""
        math, code = LoopMath(e.b, at.lanes), e.b.convert("round_to_int", real, i32)
        rest = math.sub(real, e.b.convert("int_to_float", code, f32))
        distance = math.iand(math.bits(rest), math.integer(_MAGNITUDE))
        return e.with_own_zero_points(code, self.op, at), distance


def speculation_of(value: SSAValue) -> Speculation | None:
    """If `value` is a quantize of a function that has an approximation, which is good enough."""
    op = value.owner
    if not isinstance(op, graph.QuantizeOp):
        return None
    if (found := approximation_of(op.input)) is None:
        return None
    doubt = _doubt(op, found[0].absolute)
    return Speculation(op, *found, doubt) if doubt < _MOST_IN_DOUBT else None


def _doubt(op: graph.QuantizeOp, absolute: float) -> float:
    """m, for the worst channel, where r is not more than 1 beyond the codes."""
    ends = op.qmin.value.data - op.zero_points, op.qmax.value.data - op.zero_points
    largest = 1 + max(float(np.abs(end).max()) for end in ends)
    with np.errstate(divide="ignore"):
        absolute_steps = float((absolute / np.abs(op.scales.astype(np.float64))).max())
    return largest * (RELATIVE + _ROUNDINGS) + absolute_steps


def _inverse(scales: Array) -> Array:
    return (1 / scales.astype(np.float64)).astype(np.float32)


def _farthest(b: KernelBuilder, distances: SSAValue, lanes: int) -> SSAValue:
    """The largest of each lane of the registers that hold the distances."""
    starts = range(0, max(lanes, lanes_of(distances)), lanes)
    if len(starts) == 1:
        return distances
    parts = [b.shuffle(distances, distances, range(i, i + lanes)) for i in starts]
    return reduce(lambda a, c: b.binary(arith.MaxSIOp, a, c), parts)
