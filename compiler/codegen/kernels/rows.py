"""Kernels that need a whole row of the last axis: softmax, layer normalization, reductions.

Sums and maxima run in the canonical order of numerics.py: lane j takes elements j, j + 16, …, then
the lanes are combined in a tree, so that the bits do not depend on the target.
"""

from __future__ import annotations

from collections.abc import Callable
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


#: Bytes of a row's exponentials that are kept from the sum to the division; those of longer rows
#: are computed twice.
_MOST_KEPT = 32 << 10


def _is_near(value: SSAValue) -> bool:
    """Whether no two elements of a softmax's input are further apart than `near_exp` allows."""
    op = value.owner
    if not isinstance(op, graph.DequantizeOp) or not is_code(op.input):
        return False
    return float(np.max(op.scales)) * 256 < -NEAR


class RowGenerator:
    """One unit is one row: a pixel of the input seen as [N, H, W, C]."""

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
        self.row: SSAValue | None = None
        if isinstance(anchor, graph.SoftmaxOp) and 4 * self.channels <= _MOST_KEPT:
            self.row = self.b.scratch(4 * self.channels)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameters, self.base, self.halo_codes)
        with b.unit_loop() as unit:
            image, rest = b.div(unit, self.h * self.w), b.rem(unit, self.h * self.w)
            y, x = b.div(rest, self.w), b.rem(rest, self.w)
            if isinstance(self.anchor, graph.SoftmaxOp):
                self._softmax(image, y, x)
            elif isinstance(self.anchor, graph.LayerNormOp):
                self._layer_norm(image, y, x)
            else:
                self._reduce(unit, image, y, x)
        units = self.n * self.h * self.w
        return LoweredKernel(b.finish(), b.fingerprint, (self.parameters.blob(),), units, exec_type)

    # --- walking a row ----------------------------------------------------------------------------

    def _position(
        self, image: Index, y: Index, x: Index, channel: Index, count: int | None
    ) -> Position:
        return Position(LANES, channel, pixel_at(self.b, image, y, x), count=count)

    def _fold(
        self, row: tuple[Index, Index, Index], value_at: ValueAt, combine: Combine, identity: float
    ) -> SSAValue:
        """The canonical reduction of `value_at` over the row, in every lane."""
        b, start = self.b, self.math.constant(identity)
        whole = self.c // LANES * LANES
        with b.loop(0, whole, LANES, carried=[start]) as blocks:
            value = value_at(self._position(*row, blocks.variable, None))
            blocks.next = [combine(blocks.carried[0], value)]
        total = blocks.results[0]
        if whole < self.c:
            value = value_at(self._position(*row, whole, self.c - whole))
            numbers = b.load(self.base, self.lane_numbers, vector_of(i32, LANES))
            count = self.math.integer(self.c - whole)
            inside = b.emit(arith.CmpiOp(numbers, count, "slt"))
            total = combine(total, b.emit(SelectOp(inside, value, start)))
        return self._tree(total, combine)

    def _tree(self, lanes: SSAValue, combine: Combine) -> SSAValue:
        """[0:8] ∘ [8:16], [0:4] ∘ [4:8], [0:2] ∘ [2:4], [0] ∘ [1]."""
        b, size = self.b, LANES
        while size > 1:
            size //= 2
            low = b.shuffle(lanes, lanes, range(size))
            high = b.shuffle(lanes, lanes, range(size, 2 * size))
            lanes = combine(low, high)
        return b.splat(b.extract(lanes, 0), LANES)

    def _each(self, row: tuple[Index, Index, Index], value_at: ValueAt) -> None:
        """Epilogue and store of every block, `value_at` being the anchor's result."""
        b = self.b
        whole = self.c // LANES * LANES

        def block(channel: Index, count: int | None) -> None:
            at = self._position(*row, channel, count)
            at.known[self.anchor.result] = value_at(at)
            store_lanes(b, self.output, self.evaluator.value(self.kernel.yielded, at), at)

        with b.loop(0, whole, LANES) as blocks:
            block(blocks.variable, None)
        if whole < self.c:
            block(whole, self.c - whole)

    def _input(self, at: Position) -> SSAValue:
        return self.evaluator.value(self.anchor.operands[0], at)

    # --- the row functions ------------------------------------------------------------------------

    def _softmax(self, *row: Index) -> None:
        m, place = self.math, (row[0], row[1], row[2])
        largest = self._fold(place, self._input, m.maximum, float("-inf"))
        own_exp = near_exp if _is_near(self.anchor.operands[0]) else exp

        def exponential(at: Position) -> SSAValue:
            return own_exp(m, m.sub(self._input(at), largest))

        first, again = self._kept(exponential)
        total = self._fold(place, first, m.add, 0.0)
        self._each(place, lambda at: m.div(again(at), total))

    def _kept(self, value_at: ValueAt) -> tuple[ValueAt, ValueAt]:
        """`value_at` for two walks along a row: computed and kept, and what was kept; or computed
        twice, if rows are too long."""
        b, row = self.b, self.row
        if row is None:
            return value_at, value_at

        def first(at: Position) -> SSAValue:
            value = value_at(at)
            b.store(value, row, b.mul(at.channel, 4))
            return value

        def again(at: Position) -> SSAValue:
            return b.load(row, b.mul(at.channel, 4), vector_of(f32, LANES))

        return first, again

    def _layer_norm(self, *row: Index) -> None:
        m, place = self.math, (row[0], row[1], row[2])
        count = m.constant(float(self.c))
        mean = m.div(self._fold(place, self._input, m.add, 0.0), count)

        def centred(at: Position) -> SSAValue:
            return m.sub(self._input(at), mean)

        def squared(at: Position) -> SSAValue:
            difference = centred(at)
            return m.mul(difference, difference)

        variance = m.div(self._fold(place, squared, m.add, 0.0), count)
        epsilon = m.constant(float(self.anchor.epsilon.value.data))
        deviation = m.sqrt(m.add(variance, epsilon))

        def normalized(at: Position) -> SSAValue:
            scaled = m.div(centred(at), deviation)
            weighted = m.mul(scaled, self.evaluator.value(self.anchor.weight, at))
            return m.add(weighted, self.evaluator.value(self.anchor.bias, at))

        self._each(place, normalized)

    def _reduce(self, unit: SSAValue, *row: Index) -> None:
        b, m, place = self.b, self.math, (row[0], row[1], row[2])
        kind = self.anchor.kind.data
        combine, identity = {
            "sum": (m.add, 0.0),
            "mean": (m.add, 0.0),
            "max": (m.maximum, float("-inf")),
            "min": (m.minimum, float("inf")),
        }[kind]
        value = self._fold(place, self._input, combine, identity)
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
