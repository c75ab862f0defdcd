"""Matrix products of two tensors that are known at run time only (attention: Q·Kᵀ, P·V).

    out[…, m, n] = bias[n] + Σ_k (a[…, m, k] − za)·(b[…, k, n] − zb[n])

Rows of b are read as they lie in memory: a few vectors of columns × a few rows of a are in
registers, and each step multiplies a broadcast element of a with the vectors of b. Leading axes of
length one broadcast.

Codes are multiplied as pairs of s16, minus the zero points: a `dot2` of two such pairs is exact.
Four steps of k share one broadcast of four codes of a, whose even and odd bytes are pairs without
any shuffle: a[k], a[k + 2] and a[k + 1], a[k + 3]. The rows of b interleave to match. With 16
registers and a zero point to subtract there is no room for that: two steps of neighbours then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.layout import LANES, as_nhwc
from ...dialects.loop import Dot2Op, vector_of
from ...dialects.tensors import array_to_numpy, shape_of
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position, store_lanes

#: More rows do not pay for the longer tail.
_MOST_ROWS = 8


class BatchedMatMulGenerator:
    """One unit is up to `tile_rows` rows of one matrix of the result."""

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_value: int
    ):
        self.kernel, self.anchor, self.target = kernel, anchor, target
        self.quantized = isinstance(anchor, graph.QMatMulOp)
        self.b = KernelBuilder(name, len(kernel.inputs) + 2)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.parameters, self.base = Parameters(), self.b.buffers[-1]
        self.constants: SSAValue = self.base
        self.fours = False
        self.halo = self.parameters.add(np.full(16, halo_value & 255, np.uint8))
        tensors = dict(zip(kernel.block.args, self.inputs, strict=True))
        self.left, self.right = tensors[anchor.a], tensors[anchor.b]
        self.images, self.matrices, self.rows, self.columns = as_nhwc(shape_of(anchor.result))
        self.depth = shape_of(anchor.a)[-1]
        self.lanes = target.lanes
        self.vectors = max(2, LANES // self.lanes)
        self.width = self.lanes * self.vectors
        # The sums, the vectors of b, an element of a and a temporary are in registers.
        self.tile_rows = min(_MOST_ROWS, (target.registers - 2) // self.vectors - 1)
        channels = -(-self.columns // self.width) * self.width
        self.evaluator = Evaluator(
            self.b, kernel, self.inputs, self.parameters, self.base, channels
        )
        if self.quantized:
            self._prepare_zero_points(channels)

    def _prepare_zero_points(self, channels: int) -> None:
        """zb twice per 32-bit lane, and za."""
        zero_points = np.zeros(channels, np.int16)
        zero_points[: self.columns] = array_to_numpy(self.anchor.b_zero_point)
        self.has_right_zeros = bool(zero_points.any())
        self.right_zeros = self.parameters.add(np.repeat(zero_points, 2))
        zero = self.anchor.a_zero_point.value.data
        self.left_zero = self.parameters.add(np.asarray([zero], np.int16))
        # Signed codes become unsigned ones by their top bit.
        signed = self.left.dtype == np.int8
        self.unsigned_zero = zero + 128 * signed
        self.fours = self.target.registers > 16 or self.unsigned_zero == 0
        zeros = np.full(2 * self.lanes, self.unsigned_zero, np.int16)
        self.left_zeros = self.parameters.add(zeros)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.base, self.halo)
        size = self.tile_rows
        blocks = -(-self.rows // size)
        with b.unit_loop() as unit:
            matrix, block = b.div(unit, blocks), b.rem(unit, blocks)
            rest = self.rows % size
            if not rest:
                self._rows(matrix, b.mul(block, size), size)
            elif blocks == 1:
                self._rows(matrix, 0, rest)
            else:
                with b.branch(b.compare("eq", block, blocks - 1)) as branches:
                    self._rows(matrix, self.rows - rest, rest)
                with b.otherwise(branches):
                    self._rows(matrix, b.mul(block, size), size)
        units = self.images * self.matrices * blocks
        return LoweredKernel(b.finish(), b.fingerprint, (self.parameters.blob(),), units, exec_type)

    def _rows(self, matrix: Index, first: Index, count: int) -> None:
        """`count` rows, all columns."""
        b = self.b
        image, y = b.div(matrix, self.matrices), b.rem(matrix, self.matrices)
        whole = self.columns // self.width * self.width
        with b.loop(0, whole, self.width) as blocks:
            self._tile(image, y, first, count, blocks.variable, None)
        if whole < self.columns:
            self._tile(image, y, first, count, whole, self.columns - whole)

    def _tile(
        self, image: Index, y: Index, first: Index, rows: int, column: Index, count: int | None
    ) -> None:
        """`rows` rows × `width` columns, of which `count` exist."""
        b, layout = self.b, self.left.layout
        start = b.mul(pixel_at(b, image, y, first)(layout), self.left.item)
        left = b.address(self.left.base, start)
        right = pixel_at(b, image, y, 0)(self.right.layout)
        right = b.mul(b.add(right, column), self.right.item)
        matrix = b.address(self.right.base, right)
        sums = self._products(left, rows, matrix, column, count)
        for i in range(rows):
            pixel = pixel_at(b, image, y, b.add(first, i))
            self._finish(sums[i * self.vectors : (i + 1) * self.vectors], pixel, column, count)

    # --- Σ_k --------------------------------------------------------------------------------------

    def _products(
        self, left: SSAValue, rows: int, matrix: SSAValue, column: Index, count: int | None
    ) -> list[SSAValue]:
        """Sums of every row × vector, without bias."""
        b, element = self.b, i32 if self.quantized else f32
        zero = b.constant(0, element, self.lanes)
        sums = [zero] * (rows * self.vectors)
        step = (4 if self.fours else 2) if self.quantized else 1
        whole = self.depth // step * step
        stride = self.right.layout.channel_stride * self.right.item
        with b.loop(0, whole, step, carried=sums) as k:
            own = b.address(left, b.mul(k.variable, self.left.item))
            below = b.address(matrix, b.mul(k.variable, stride))
            inner = list(k.carried)
            for first in range(max(1, step // 2)):
                x, w = self._fresh(own, below, bool(first))
                apart = stride * max(1, step // 2)
                vectors = self._vectors(b.address(w, first * stride), apart, column, count)
                inner = self._step(x, rows, vectors, inner, step, first)
            k.next = inner
        self.constants = self.base
        sums = list(k.results)
        for first in range(whole, self.depth, 2):
            codes = min(2, self.depth - first)
            below = b.address(matrix, first * stride)
            # An odd last row pairs with itself, times zero.
            vectors = self._vectors(below, stride * (codes - 1), column, count)
            own = b.address(left, first * self.left.item)
            sums = self._step(own, rows, vectors, sums, codes)
        return sums

    def _fresh(self, x: SSAValue, w: SSAValue, second: bool) -> tuple[SSAValue, SSAValue]:
        """16 registers have no room for zero points, nor for what both halves of a step read: all
        of it is read where it is used."""
        if not self.fours or self.target.registers > 16:
            return x, w
        self.constants = self.b.renew(self.base)
        return (self.b.renew(x), self.b.renew(w)) if second else (x, w)

    def _vectors(
        self, matrix: SSAValue, stride: int, column: Index, count: int | None
    ) -> list[SSAValue]:
        """Row(s) of b, cut into vectors."""
        result = []
        for j in range(self.vectors):
            left = self.lanes if count is None else min(self.lanes, count - j * self.lanes)
            if left <= 0:
                break
            if self.right.padded:
                left = self.lanes
            if self.quantized:
                result.append(self._pairs(matrix, stride, j, column, left))
            else:
                kind = vector_of(f32, self.lanes)
                result.append(self.b.load_part(matrix, j * self.lanes * 4, kind, left))
        return result

    def _pairs(self, matrix: SSAValue, stride: int, j: int, column: Index, left: int) -> SSAValue:
        """(b[k, n] − zb[n], b[k + 1, n] − zb[n]) as s16 in lane n."""
        b, lanes, kind = self.b, self.lanes, vector_of(i8, self.lanes)
        rows = [b.load_part(matrix, j * lanes + offset, kind, left) for offset in (0, stride)]
        mask = [lane + part * lanes for lane in range(lanes) for part in range(2)]
        extend = "zext" if self.right.dtype == np.uint8 else "sext"
        pairs = b.convert(extend, b.shuffle(rows[0], rows[1], mask), i16)
        if not self.has_right_zeros:
            return b.bitcast(pairs, i32, lanes)
        place = b.add(b.mul(column, 4), self.right_zeros + j * lanes * 4)
        zeros = b.load(self.constants, place, vector_of(i16, 2 * lanes), align=16)
        return b.bitcast(b.binary(arith.SubiOp, pairs, zeros), i32, lanes)

    def _step(
        self,
        left: SSAValue,
        rows: int,
        vectors: list[SSAValue],
        sums: list[SSAValue],
        codes: int,
        first: int = 0,
    ) -> list[SSAValue]:
        """One or two (`codes`) steps of k for every row, or of four those from `first` by twos."""
        layout, result = self.left.layout, list(sums)
        stride = layout.channel_stride * self.left.item if layout.w > 1 else 0
        for i in range(rows):
            if codes == 4:
                a = self._half(left, i * stride, first)
            else:
                a = self._element(left, i * stride, codes)
            for j, vector in enumerate(vectors):
                place = i * self.vectors + j
                result[place] = self._multiply(result[place], a, vector)
        return result

    def _half(self, row: SSAValue, offset: int, first: int) -> SSAValue:
        """The pair a[m, k + first], a[m, k + first + 2] minus the zero point, in every lane."""
        b, halves = self.b, 2 * self.lanes
        four = b.splat(b.load(row, offset, i32), self.lanes)
        if self.left.dtype == np.int8:
            four = b.binary(arith.XOrIOp, four, b.constant(-0x7F7F7F80, i32, self.lanes))
        pair = b.bitcast(four, i16, halves)
        if first:
            pair = b.binary(arith.ShRUIOp, pair, b.constant(8, i16, halves))
        else:
            pair = b.binary(arith.AndIOp, pair, b.constant(0xFF, i16, halves))
        if self.unsigned_zero:
            zeros = b.load(self.constants, self.left_zeros, vector_of(i16, halves), align=16)
            pair = b.binary(arith.SubiOp, pair, zeros)
        return b.bitcast(pair, i32, self.lanes)

    def _element(self, row: SSAValue, offset: int, codes: int) -> SSAValue:
        """a[m, k], or the pair a[m, k], a[m, k + 1] minus the zero point, in every lane."""
        b = self.b
        if not self.quantized:
            return b.splat(b.load(row, offset, f32), self.lanes)
        if codes == 2:
            pair = b.splat(b.load(row, offset, i16), self.lanes)
            pairs = b.bitcast(pair, i8, 2 * self.lanes)
        else:
            pairs = b.splat(b.load(row, offset, i8), 2 * self.lanes)
        wide = b.convert("zext" if self.left.dtype == np.uint8 else "sext", pairs, i16)
        zero = b.splat(b.load(self.base, self.left_zero, i16), 2 * self.lanes)
        centred = b.bitcast(b.binary(arith.SubiOp, wide, zero), i32, self.lanes)
        if codes == 2:
            return centred
        return b.binary(arith.AndIOp, centred, b.constant(0xFFFF, i32, self.lanes))

    def _multiply(self, total: SSAValue, a: SSAValue, vector: SSAValue) -> SSAValue:
        b = self.b
        if self.quantized:
            return b.emit(Dot2Op(total, a, vector))
        if self.target.fma:
            return b.fma(a, vector, total)
        return b.binary(arith.AddfOp, total, b.binary(arith.MulfOp, a, vector))

    # --- epilogue ---------------------------------------------------------------------------------

    def _finish(self, sums: list[SSAValue], pixel: Any, column: Index, count: int | None) -> None:
        """Bias, epilogue and store, 16 columns at a time."""
        b, lanes = self.b, self.lanes
        while lanes < LANES:
            pairs = zip(sums[::2], sums[1::2], strict=True)
            sums = [b.shuffle(low, high, range(2 * lanes)) for low, high in pairs]
            lanes *= 2
        for j, total in enumerate(sums):
            left = None if count is None else count - j * lanes
            if left is not None and left <= 0:
                return
            partial = left if left is not None and left < lanes else None
            at = Position(lanes, b.add(column, j * lanes), pixel, count=partial)
            at.known[self.anchor.result] = self._with_bias(total, at)
            store_lanes(b, self.output, self.evaluator.value(self.kernel.yielded, at), at)

    def _with_bias(self, total: SSAValue, at: Position) -> SSAValue:
        if self.anchor.bias is None:
            return total
        bias = self.evaluator.value(self.anchor.bias, at)
        return self.b.binary(arith.AddiOp if self.quantized else arith.AddfOp, total, bias)
