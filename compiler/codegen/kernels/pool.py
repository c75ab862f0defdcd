"""Pooling: a window of taps per output pixel, channels in lanes; taps past the border are skipped.

Order (numerics.py): taps row by row, from the first one inside. A sum may start from −0.0, to which
the first tap adds unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import BlockArgument, SSAValue

from ...dialects import graph
from ...dialects.graph import ints
from ...dialects.layout import LANES, Layout
from ...dialects.loop import lanes_of, vector_of
from ...dialects.tensors import Array, is_code, shape_of
from ..builder import Index, KernelBuilder, i8
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position, store_codes
from .vector_math import LoopMath


@dataclass(frozen=True)
class Window:
    """Taps of one axis: input = output·stride − before + tap, for taps in [low, high)."""

    kernel: int
    stride: int
    before: int
    dilation: int
    size: int
    outputs: int

    def bounds(self, b: KernelBuilder, position: Index) -> tuple[Index, Index, Index]:
        """(first input coordinate, low tap, high tap); taps outside [0, size) are cut off."""
        start = b.sub(b.mul(position, self.stride), self.before)
        if self.before == 0 and self._always_inside:
            return start, 0, self.kernel
        # low = ceil(max(0, −start) / dilation), high = ceil(min(kernel·d, size − start) / d)
        d = self.dilation
        low = b.div(b.add(b.maximum(b.sub(0, start), 0), d - 1), d)
        room = b.maximum(b.add(b.sub(self.size, start), d - 1), 0)
        return start, low, b.minimum(b.div(room, d), self.kernel)

    @property
    def _always_inside(self) -> bool:
        last = (self.outputs - 1) * self.stride - self.before + (self.kernel - 1) * self.dilation
        return last < self.size


class PoolGenerator:
    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: graph.PoolOp,
        target: Target,
        halo_codes: Array,
    ):
        self.kernel, self.anchor = kernel, anchor
        self.b = KernelBuilder(name, len(kernel.inputs) + 2)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.parameters, self.base = Parameters(), self.b.buffers[-1]
        self.halo_codes = halo_codes
        layout = self.output.layout
        self.channels = -(-layout.c // LANES) * LANES
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.base, self.channels
        )
        source = Layout.dense(shape_of(anchor.input))
        (kh, kw), (sy, sx) = ints(anchor.kernel), ints(anchor.strides)
        (dy, dx), pads = ints(anchor.dilations), ints(anchor.pads)
        self.rows = Window(kh, sy, pads[0], dy, source.h, layout.h)
        self.columns = Window(kw, sx, pads[1], dx, source.w, layout.w)

    def generate(self, exec_type: str) -> LoweredKernel:
        b, layout = self.b, self.output.layout
        fill_halo(b, self.output, self.parameters, self.base, self.halo_codes)
        roomy = all(t.padded for t in (*self.inputs, self.output))
        whole = self.channels if roomy else layout.c // LANES * LANES
        with b.unit_loop() as unit:
            image, y = b.div(unit, layout.h), b.rem(unit, layout.h)
            with b.loop(0, layout.w) as xs:
                start = 0
                for lanes in sorted({self.block, LANES}, reverse=True):
                    end = start + (whole - start) // lanes * lanes
                    if end > start:
                        with b.loop(start, end, lanes) as blocks:
                            self._pixel(image, y, xs.variable, blocks.variable, lanes, None)
                    start = end
                if whole < layout.c:
                    self._pixel(image, y, xs.variable, whole, LANES, layout.c - whole)
        units = layout.n * layout.h
        return LoweredKernel(b.finish(), b.fingerprint, (self.parameters.blob(),), units, exec_type)

    @property
    def block(self) -> int:
        """Channels whose taps are reduced together: what loops and addresses cost is shared."""
        if not self._codes_in_memory:
            return LANES
        return 4 * LANES if isinstance(self.anchor, graph.MaxPoolOp) else 2 * LANES

    def _pixel(
        self, image: Index, y: Index, x: Index, channel: Index, lanes: int, count: int | None
    ) -> None:
        """One output pixel, one block of channels."""
        b = self.b
        rows, columns = self.rows.bounds(b, y), self.columns.bounds(b, x)

        def tap(ky: Index, kx: Index) -> Position:
            source_y = b.add(rows[0], b.mul(ky, self.rows.dilation))
            source_x = b.add(columns[0], b.mul(kx, self.columns.dilation))
            return Position(lanes, channel, pixel_at(b, image, source_y, source_x), count=count)

        start, combine = self._reduction(lanes)
        with b.loop(rows[1], rows[2], carried=[start]) as kys:
            with b.loop(columns[1], columns[2], carried=list(kys.carried)) as kxs:
                kxs.next = [combine(kxs.carried[0], tap(kys.variable, kxs.variable))]
            kys.next = list(kxs.results)
        at = Position(lanes, channel, pixel_at(b, image, y, x), count=count)
        if self._codes_are_maxima and self.kernel.yielded is self.anchor.result:
            store_codes(b, self.output, kys.results[0], at)
            return
        at.known[self.anchor.result] = self._finish(kys.results[0], rows, columns)
        self.evaluator.store(self.output, self.kernel.yielded, [at])

    # --- the three reductions ---------------------------------------------------------------------

    def _reduction(self, lanes: int) -> tuple[SSAValue, Callable[[SSAValue, Position], SSAValue]]:
        b, math, e = self.b, LoopMath(self.b, lanes), self.evaluator
        if isinstance(self.anchor, graph.QSumPoolOp):
            return math.integer(0), lambda t, at: math.iadd(t, e.value(self.anchor.input, at))
        if isinstance(self.anchor, graph.AvgPoolOp):
            return math.constant(-0.0), lambda t, at: math.add(t, e.value(self.anchor.input, at))
        if self._codes_are_maxima:
            return b.constant(self._lowest_code, i8, lanes), self._max_codes
        if self._on_codes:
            return math.integer(-128), lambda t, at: b.binary(
                arith.MaxSIOp, t, e.value(self.anchor.input, at)
            )
        lowest = math.constant(float("-inf"))
        return lowest, lambda t, at: math.maximum(t, e.value(self.anchor.input, at))

    @property
    def _on_codes(self) -> bool:
        return is_code(self.anchor.input)

    @property
    def _codes_in_memory(self) -> bool:
        return isinstance(self.anchor.input, BlockArgument) and self._on_codes

    @property
    def _codes_are_maxima(self) -> bool:
        """Whether taps and their maxima are bytes."""
        return isinstance(self.anchor, graph.MaxPoolOp) and self._codes_in_memory

    @property
    def _lowest_code(self) -> int:
        return 0 if self.inputs[0].dtype == np.uint8 else -128

    def _max_codes(self, largest: SSAValue, at: Position) -> SSAValue:
        """Codes compare as bytes; nothing needs widening."""
        source = self.inputs[0]
        offset = self.b.add(at.pixel(source.layout), at.channel)
        kind = vector_of(i8, at.lanes)
        count = at.lanes if source.padded or at.count is None else at.count
        codes = self.b.load_part(source.base, offset, kind, count)
        unsigned = source.dtype == np.uint8
        return self.b.binary(arith.MaxUIOp if unsigned else arith.MaxSIOp, largest, codes)

    def _finish(
        self,
        total: SSAValue,
        rows: tuple[Index, Index, Index],
        columns: tuple[Index, Index, Index],
    ) -> SSAValue:
        """The anchor's result from the reduced taps."""
        b, lanes = self.b, lanes_of(total)
        math = LoopMath(b, lanes)
        if isinstance(self.anchor, graph.QSumPoolOp):
            # Σ (a − z) = Σ a − n·z: one product a pixel, and no difference a tap.
            zero_point = np.asarray([self.anchor.input_zero_point.value.data], np.int32)
            if not zero_point.any():
                return total
            z = b.to_index(b.load(self.base, self.parameters.add(zero_point), i32))
            surplus = b.from_index(b.mul(_taps_inside(b, rows, columns), z))
            return math.isub(total, b.splat(surplus, lanes))
        if isinstance(self.anchor, graph.AvgPoolOp):
            count: Index = self.rows.kernel * self.columns.kernel
            if not self.anchor.count_include_pad.value.data:
                count = _taps_inside(b, rows, columns)
            number = b.convert("int_to_float", b.from_index(count), f32)
            return math.div(total, b.splat(number, lanes))
        if self._codes_are_maxima:
            unsigned = self.inputs[0].dtype == np.uint8
            return b.convert("zext" if unsigned else "sext", total, i32)
        return total


def _taps_inside(
    b: KernelBuilder, rows: tuple[Index, Index, Index], columns: tuple[Index, Index, Index]
) -> Index:
    """How many taps of a window are pixels; windows may lie outside altogether."""
    return b.mul(b.maximum(b.sub(rows[2], rows[1]), 0), b.maximum(b.sub(columns[2], columns[1]), 0))
