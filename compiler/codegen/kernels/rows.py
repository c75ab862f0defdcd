"""Kernels that need a whole row of the last axis: softmax, layer normalization, reductions.

Sums and maxima run in the canonical order of numerics.py: lane j takes elements j, j + 16, …, then
the lanes are combined in a tree, so that the bits do not depend on the target. A few rows are
worked on in turn, so that none waits for its own sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.layout import LANES, as_nhwc
from ...dialects.loop import SelectOp, vector_of
from ...dialects.tensors import Array, is_code, shape_of
from ...functions import NEAR, exp, near_exp
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position, store_lanes
from .vector_math import LoopMath

Combine = Callable[[SSAValue, SSAValue], SSAValue]
ValueAt = Callable[[Position], SSAValue]
#: Image, y and x of a row.
Place = tuple[Index, Index, Index]

#: Rows that are worked on in turn, if their number is a multiple of it, and they are not long.
_TOGETHER = 2
#: Bytes of exponentials that are kept from the sum to the division; those of longer rows are
#: computed twice.
_MOST_KEPT = 32 << 10


def _is_near(value: SSAValue) -> bool:
    """Whether no two elements of a softmax's input are further apart than `near_exp` allows."""
    op = value.owner
    if not isinstance(op, graph.DequantizeOp) or not is_code(op.input):
        return False
    return float(np.max(op.scales)) * 256 < -NEAR


class RowGenerator:
    """One unit is a row or a few: pixels of the input seen as [N, H, W, C]."""

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_codes: Array
    ):
        self.kernel, self.anchor = kernel, anchor
        self.b = KernelBuilder(name, len(kernel.inputs) + 2)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.parameters, self.base = Parameters(), self.b.buffers[-1]
        self.halo_codes = halo_codes
        self.lane_numbers = self.parameters.add(np.arange(LANES, dtype=np.int32))
        self.n, self.h, self.w, self.c = as_nhwc(shape_of(anchor.operands[0]))
        self.channels = -(-self.c // LANES) * LANES
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.base, self.channels
        )
        self.math = LoopMath(self.b, LANES)
        self.rows, self.row_bytes = self.n * self.h * self.w, 4 * self.channels
        alone = isinstance(anchor, graph.ReduceOp) or self.rows % _TOGETHER
        self.together = 1 if alone or _TOGETHER * self.row_bytes > _MOST_KEPT else _TOGETHER
        self.kept: SSAValue | None = None
        if isinstance(anchor, graph.SoftmaxOp) and self.row_bytes <= _MOST_KEPT:
            self.kept = self.b.scratch(self.together * self.row_bytes)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameters, self.base, self.halo_codes)
        with b.unit_loop() as unit:
            places = [
                self._place(b.add(b.mul(unit, self.together), i)) for i in range(self.together)
            ]
            if isinstance(self.anchor, graph.SoftmaxOp):
                self._softmax(places)
            elif isinstance(self.anchor, graph.LayerNormOp):
                self._layer_norm(places)
            else:
                self._reduce(unit, places)
        units, constants = self.rows // self.together, (self.parameters.blob(),)
        return LoweredKernel(b.finish(), b.fingerprint, constants, units, exec_type)

    # --- walking along rows -----------------------------------------------------------------------

    def _place(self, row: Index) -> Place:
        b = self.b
        image, rest = b.div(row, self.h * self.w), b.rem(row, self.h * self.w)
        return image, b.div(rest, self.w), b.rem(rest, self.w)

    def _position(self, place: Place, channel: Index, count: int | None) -> Position:
        return Position(LANES, channel, pixel_at(self.b, *place), count=count)

    def _fold(
        self,
        places: Sequence[Place],
        values: Sequence[ValueAt],
        combine: Combine,
        identity: float,
    ) -> list[SSAValue]:
        """The canonical reduction of each row's value, in every lane."""
        b, start = self.b, self.math.constant(identity)
        whole, rows = self.c // LANES * LANES, [*zip(places, values, strict=True)]
        with b.loop(0, whole, LANES, carried=[start] * len(rows)) as blocks:
            at = blocks.variable
            new = [value_at(self._position(place, at, None)) for place, value_at in rows]
            blocks.next = [combine(*pair) for pair in zip(blocks.carried, new, strict=True)]
        totals = list(blocks.results)
        if whole < self.c:
            numbers = b.load(self.base, self.lane_numbers, vector_of(i32, LANES))
            count = self.math.integer(self.c - whole)
            inside = b.emit(arith.CmpiOp(numbers, count, "slt"))
            for i, (place, value_at) in enumerate(rows):
                value = value_at(self._position(place, whole, self.c - whole))
                totals[i] = combine(totals[i], b.emit(SelectOp(inside, value, start)))
        return [self._tree(total, combine) for total in totals]

    def _tree(self, lanes: SSAValue, combine: Combine) -> SSAValue:
        """[0:8] ∘ [8:16], [0:4] ∘ [4:8], [0:2] ∘ [2:4], [0] ∘ [1]."""
        b, size = self.b, LANES
        while size > 1:
            size //= 2
            low = b.shuffle(lanes, lanes, range(size))
            high = b.shuffle(lanes, lanes, range(size, 2 * size))
            lanes = combine(low, high)
        return b.splat(b.extract(lanes, 0), LANES)

    def _each(self, places: Sequence[Place], values: Sequence[ValueAt]) -> None:
        """Epilogue and store of every block, the values being the anchor's results."""
        b = self.b
        whole = self.c // LANES * LANES

        def blocks_at(channel: Index, count: int | None) -> None:
            for place, value_at in zip(places, values, strict=True):
                at = self._position(place, channel, count)
                at.known[self.anchor.result] = value_at(at)
                store_lanes(b, self.output, self.evaluator.value(self.kernel.yielded, at), at)

        with b.loop(0, whole, LANES) as blocks:
            blocks_at(blocks.variable, None)
        if whole < self.c:
            blocks_at(whole, self.c - whole)

    def _input(self, at: Position) -> SSAValue:
        return self.evaluator.value(self.anchor.operands[0], at)

    # --- the row functions ------------------------------------------------------------------------

    def _softmax(self, places: Sequence[Place]) -> None:
        m, inputs = self.math, [self._input] * len(places)
        largest = self._fold(places, inputs, m.maximum, float("-inf"))
        own_exp = near_exp if _is_near(self.anchor.operands[0]) else exp

        def exponential(most: SSAValue, at: Position) -> SSAValue:
            return own_exp(m, m.sub(self._input(at), most))

        walks = [self._kept(i, partial(exponential, most)) for i, most in enumerate(largest)]
        totals = self._fold(places, [first for first, _ in walks], m.add, 0.0)

        def share(again: ValueAt, total: SSAValue, at: Position) -> SSAValue:
            return m.div(again(at), total)

        shares = zip(walks, totals, strict=True)
        self._each(places, [partial(share, again, total) for (_, again), total in shares])

    def _kept(self, row: int, value_at: ValueAt) -> tuple[ValueAt, ValueAt]:
        """`value_at` for two walks along a row: computed and kept, and what was kept; or computed
        twice, if rows are too long."""
        b, kept = self.b, self.kept
        if kept is None:
            return value_at, value_at

        def offset(at: Position) -> Index:
            return b.add(b.mul(at.channel, 4), row * self.row_bytes)

        def first(at: Position) -> SSAValue:
            value = value_at(at)
            b.store(value, kept, offset(at))
            return value

        def again(at: Position) -> SSAValue:
            return b.load(kept, offset(at), vector_of(f32, LANES))

        return first, again

    def _layer_norm(self, places: Sequence[Place]) -> None:
        m = self.math
        count = m.constant(float(self.c))
        sums = self._fold(places, [self._input] * len(places), m.add, 0.0)
        means = [m.div(total, count) for total in sums]

        def centred(mean: SSAValue, at: Position) -> SSAValue:
            return m.sub(self._input(at), mean)

        def squared(mean: SSAValue, at: Position) -> SSAValue:
            difference = centred(mean, at)
            return m.mul(difference, difference)

        squares = self._fold(places, [partial(squared, mean) for mean in means], m.add, 0.0)
        epsilon = m.constant(float(self.anchor.epsilon.value.data))
        deviations = [m.sqrt(m.add(m.div(total, count), epsilon)) for total in squares]

        def normalized(mean: SSAValue, deviation: SSAValue, at: Position) -> SSAValue:
            scaled = m.div(centred(mean, at), deviation)
            weighted = m.mul(scaled, self.evaluator.value(self.anchor.weight, at))
            return m.add(weighted, self.evaluator.value(self.anchor.bias, at))

        rows = zip(means, deviations, strict=True)
        self._each(places, [partial(normalized, *row) for row in rows])

    def _reduce(self, unit: SSAValue, places: Sequence[Place]) -> None:
        b, m = self.b, self.math
        kind = self.anchor.kind.data
        combine, identity = {
            "sum": (m.add, 0.0),
            "mean": (m.add, 0.0),
            "max": (m.maximum, float("-inf")),
            "min": (m.minimum, float("inf")),
        }[kind]
        (value,) = self._fold(places, [self._input], combine, identity)
        if kind == "mean":
            value = m.div(value, m.constant(float(self.c)))
        # Row `unit` of the input is element `unit` of the (dense or padded) result.
        layout = self.output.layout
        pixel, channel = b.div(unit, layout.c), b.rem(unit, layout.c)
        rest, x = b.div(pixel, layout.w), b.rem(pixel, layout.w)
        image, y = b.div(rest, layout.h), b.rem(rest, layout.h)
        at = Position(LANES, channel, pixel_at(b, image, y, x), {self.anchor.result: value}, 1)
        result = self.evaluator.value(self.kernel.yielded, at)
        offset = b.mul(b.add(at.pixel(layout), channel), 4)
        b.store(b.extract(result, 0), self.output.base, offset)
