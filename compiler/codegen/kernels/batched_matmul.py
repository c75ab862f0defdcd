"""fp32 matrix products of two tensors that are known at run time only (int8: batched_qmatmul.py).

    out[…, m, n] = bias[n] + Σ_k a[…, m, k]·b[…, k, n]

Rows of b are read as they lie in memory: a few vectors of columns × a few rows of a are in
registers, and each step multiplies a broadcast element of a with the vectors of b. Leading axes of
length one broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32
from xdsl.ir import Operation, SSAValue

from ...dialects import graph
from ...dialects.layout import LANES, as_nhwc
from ...dialects.loop import vector_of
from ...dialects.tensors import shape_of
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position, store_lanes

#: More rows do not pay for the longer tail.
_MOST_ROWS = 8


class BatchedMatMulGenerator:
    """One unit is up to `tile_rows` rows of one matrix of the result."""

    addition: ClassVar[type[Operation]] = arith.AddfOp

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_value: int
    ):
        self.kernel, self.anchor, self.target = kernel, anchor, target
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
            self.b, target, kernel, self.inputs, self.parameters, self.base, channels
        )

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
    ) -> Sequence[SSAValue]:
        """Sums of every row × vector from column `column` on, without bias."""
        b = self.b
        sums = [b.constant(0, f32, self.lanes)] * (len(rows) * self.vectors)
        stride = self.right.layout.channel_stride * self.right.item
        with b.loop(0, self.depth, carried=sums) as k:
            below = b.address(matrix, b.mul(k.variable, stride))
            offset = b.mul(k.variable, self.left.item)
            k.next = self._step(rows, offset, self._vectors(below, count), k.carried)
        return k.results

    def _vectors(self, matrix: SSAValue, count: int | None) -> list[SSAValue]:
        """A row of b, cut into vectors."""
        result = []
        for j in range(self.vectors):
            left = self.lanes if count is None else min(self.lanes, count - j * self.lanes)
            if left <= 0:
                break
            if self.right.padded:
                left = self.lanes
            kind = vector_of(f32, self.lanes)
            result.append(self.b.load_part(matrix, j * self.lanes * 4, kind, left))
        return result

    def _step(
        self,
        rows: list[SSAValue],
        offset: Index,
        vectors: list[SSAValue],
        sums: Sequence[SSAValue],
    ) -> list[SSAValue]:
        """One step of k for every row."""
        result = list(sums)
        for i, row in enumerate(rows):
            a = self.b.splat(self.b.load(row, offset, f32), self.lanes)
            for j, vector in enumerate(vectors):
                place = i * self.vectors + j
                result[place] = self._multiply(result[place], a, vector)
        return result

    def _multiply(self, total: SSAValue, a: SSAValue, vector: SSAValue) -> SSAValue:
        b = self.b
        if self.target.fma:
            return b.fma(a, vector, total)
        return b.binary(arith.AddfOp, total, b.binary(arith.MulfOp, a, vector))

    # --- epilogue ---------------------------------------------------------------------------------

    def _finish(
        self, sums: Sequence[SSAValue], pixel: Any, column: Index, count: int | None
    ) -> None:
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
        return self.b.binary(self.addition, total, bias)
