"""Matrix products of two tensors that are known at run time only (attention: Q·Kᵀ, P·V).

    out[…, m, n] = bias[n] + Σ_k (a[…, m, k] − za)·(b[…, k, n] − zb[n])

Rows of b are read as they lie in memory: a few vectors of columns × a few rows of a are in
registers, and each step multiplies a broadcast element of a with the vectors of b. Codes take two
steps of k at a time: rows k and k + 1 of b interleave to pairs of s16, minus the zero point, and a
`dot2` with the pair of a is exact. Leading axes of length one broadcast.
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
        self.right_zeros = self.parameters.add(np.repeat(zero_points, 2))
        left = np.asarray([self.anchor.a_zero_point.value.data], np.int16)
        self.left_zero = self.parameters.add(left)

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
        item = self.left.item
        starts = [
            b.address(
                self.left.base,
                b.mul(pixel_at(b, image, y, b.add(first, i))(layout), item),
            )
            for i in range(rows)
        ]
        right = pixel_at(b, image, y, 0)(self.right.layout)
        right = b.mul(b.add(right, column), self.right.item)
        matrix = b.address(self.right.base, right)
        sums = self._products(starts, matrix, column, count)
        for i in range(rows):
            pixel = pixel_at(b, image, y, b.add(first, i))
            self._finish(sums[i * self.vectors : (i + 1) * self.vectors], pixel, column, count)

    # --- Σ_k --------------------------------------------------------------------------------------

    def _products(
        self, rows: list[SSAValue], matrix: SSAValue, column: Index, count: int | None
    ) -> list[SSAValue]:
        """Sums of every row × vector, without bias."""
        b, element = self.b, i32 if self.quantized else f32
        zero = b.constant(0, element, self.lanes)
        sums = [zero] * (len(rows) * self.vectors)
        step = 2 if self.quantized else 1
        whole = self.depth // step * step
        stride = self.right.layout.channel_stride * self.right.item
        with b.loop(0, whole, step, carried=sums) as k:
            below = b.address(matrix, b.mul(k.variable, stride))
            offset = b.mul(k.variable, self.left.item)
            vectors = self._vectors(below, stride, column, count)
            k.next = self._step(rows, offset, vectors, list(k.carried), step)
        sums = list(k.results)
        if whole < self.depth:  # an odd last row pairs with itself, times zero
            below = b.address(matrix, whole * stride)
            vectors = self._vectors(below, 0, column, count)
            sums = self._step(rows, whole, vectors, sums, 1)
        return sums

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
        place = b.add(b.mul(column, 4), self.right_zeros + j * lanes * 4)
        zeros = b.load(self.base, place, vector_of(i16, 2 * lanes))
        return b.bitcast(b.binary(arith.SubiOp, pairs, zeros), i32, lanes)

    def _step(
        self,
        rows: list[SSAValue],
        offset: Index,
        vectors: list[SSAValue],
        sums: list[SSAValue],
        codes: int,
    ) -> list[SSAValue]:
        """One or two (`codes`) steps of k for every row."""
        result = list(sums)
        for i, row in enumerate(rows):
            a = self._element(row, offset, codes)
            for j, vector in enumerate(vectors):
                place = i * self.vectors + j
                result[place] = self._multiply(result[place], a, vector)
        return result

    def _element(self, row: SSAValue, offset: Index, codes: int) -> SSAValue:
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
