"""Integer matrix products of two tensors that are known at run time only (attention: Q·Kᵀ, P·V).

    out[…, m, n] = bias[n] + Σ_k (a[…, m, k] − za)·(b[…, k, n] − zb[n])

Differences from the zero points fit 16 bits, and `dot2` adds two products of them, exactly. Both
operands are widened once, to scratch, before they are multiplied many times:

    for each chunk of rows (a unit):
      left  = rows of a, s16 [row][k], minus za
      for each 16 columns:
        right = rows k and k + 1 of b interleaved, s16 [k / 2][column][2], minus zb
        for each few rows: sums = Σ dot2(broadcast left pair, right vectors); epilogue; store

An odd last k is paired with a zero of the left side. Leading axes of length one broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.tile import even_pieces
from ...dialects import graph
from ...dialects.layout import LANES, as_nhwc
from ...dialects.loop import Dot2Op, vector_of
from ...dialects.tensors import array_to_numpy, shape_of
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position

#: Bytes of widened rows of a unit: beside a panel of columns they fit the first-level cache.
_LEFT_BYTES = 16384
#: More rows at a time do not pay for the shorter rest.
_MOST_ROWS = 12


class BatchedQMatMulGenerator:
    """One unit is a chunk of rows of one matrix of the result."""

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_value: int
    ):
        self.kernel, self.anchor = kernel, anchor
        self.b = KernelBuilder(name, len(kernel.inputs) + 2)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.parameters, self.base = Parameters(), self.b.buffers[-1]
        self.halo = self.parameters.add(np.full(16, halo_value & 255, np.uint8))
        tensors = dict(zip(kernel.block.args, self.inputs, strict=True))
        self.left, self.right = tensors[anchor.a], tensors[anchor.b]
        self.images, self.matrices, self.rows, self.columns = as_nhwc(shape_of(anchor.result))
        self.depth = shape_of(anchor.a)[-1]
        self.lanes = min(target.lanes, LANES)
        self.vectors = LANES // self.lanes
        #: Elements of a widened row of a; the zeros behind it make up whole vectors.
        self.stride = -(-self.depth // LANES) * LANES
        # Sums, the vectors of b, a pair of a and a product are in registers.
        most = min(_MOST_ROWS, (target.registers - 2) // self.vectors - 1)
        chunk = max(most, _LEFT_BYTES // (2 * self.stride) // most * most)
        self.chunks = even_pieces(self.rows, chunk)
        self.most = most
        channels = -(-self.columns // LANES) * LANES
        self.evaluator = Evaluator(
            self.b, kernel, self.inputs, self.parameters, self.base, channels
        )
        self._prepare_zero_points(channels)
        self.widened = self.b.scratch(self.chunks[0][1] * self.stride * 2)
        self.panel = self.b.scratch(-(-self.depth // 2) * LANES * 4)

    def _prepare_zero_points(self, channels: int) -> None:
        """zb twice per 32-bit lane, and za in every half of a vector."""
        zero_points = np.zeros(channels, np.int16)
        zero_points[: self.columns] = array_to_numpy(self.anchor.b_zero_point)
        self.right_zeros = self.parameters.add(np.repeat(zero_points, 2))
        left = np.full(LANES, self.anchor.a_zero_point.value.data, np.int16)
        self.left_zeros = self.parameters.add(left)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.base, self.halo)
        count = sum(number for number, _ in self.chunks)
        with b.unit_loop() as unit:
            matrix, chunk = b.div(unit, count), b.rem(unit, count)
            image, y = b.div(matrix, self.matrices), b.rem(matrix, self.matrices)
            (number, size), *shorter = self.chunks
            if not shorter:
                self._chunk(image, y, b.mul(chunk, size), size)
            else:
                with b.branch(b.compare("ult", chunk, number)) as blocks:
                    self._chunk(image, y, b.mul(chunk, size), size)
                with b.otherwise(blocks):
                    first = b.add(b.mul(chunk, size - 1), number)
                    self._chunk(image, y, first, size - 1)
        units = self.images * self.matrices * count
        return LoweredKernel(b.finish(), b.fingerprint, (self.parameters.blob(),), units, exec_type)

    def _chunk(self, image: Index, y: Index, first: Index, size: int) -> None:
        """Rows [first, first + size) of one matrix, all columns."""
        b = self.b
        with b.loop(0, size) as rows:
            self._widen_row(image, y, b.add(first, rows.variable), rows.variable)
        whole = self.columns // LANES * LANES
        with b.loop(0, whole, LANES) as blocks:
            self._columns(image, y, first, size, blocks.variable, None)
        if whole < self.columns:
            self._columns(image, y, first, size, whole, self.columns - whole)

    # --- operands ---------------------------------------------------------------------------------

    def _widen_row(self, image: Index, y: Index, row: Index, number: SSAValue) -> None:
        """A row of a as halves, with zeros behind it."""
        b = self.b
        source = b.address(self.left.base, pixel_at(b, image, y, row)(self.left.layout))
        target = b.address(self.widened, b.mul(number, self.stride * 2))
        zeros = b.load(self.base, self.left_zeros, vector_of(i16, LANES))
        whole = self.depth // LANES * LANES
        kind = "zext" if self.left.dtype == np.uint8 else "sext"
        with b.loop(0, whole, LANES) as k:
            codes = b.load(source, k.variable, vector_of(i8, LANES))
            halves = b.binary(arith.SubiOp, b.convert(kind, codes, i16), zeros)
            b.store(halves, target, b.mul(k.variable, 2))
        if rest := self.depth - whole:
            codes = b.load_part(source, whole, vector_of(i8, LANES), rest)
            halves = b.binary(arith.SubiOp, b.convert(kind, codes, i16), zeros)
            nothing = b.constant(0, i16, LANES)
            mask = [i if i < rest else LANES for i in range(LANES)]
            b.store(b.shuffle(halves, nothing, mask), target, whole * 2)

    def _columns(
        self, image: Index, y: Index, first: Index, size: int, column: Index, count: int | None
    ) -> None:
        """`size` rows × 16 columns, of which `count` exist."""
        b = self.b
        self._interleave(image, y, column, count)
        start = 0
        for number, rows in even_pieces(size, self.most):
            with b.loop(0, number) as tiles:
                own = b.add(b.mul(tiles.variable, rows), start)
                sums = self._products(own, rows)
                cache: dict[object, SSAValue] = {}
                positions = []
                for i in range(rows):
                    pixel = pixel_at(b, image, y, b.add(b.add(first, own), i))
                    at = Position(LANES, column, pixel, count=count, cache=cache)
                    part = sums[i * self.vectors : (i + 1) * self.vectors]
                    at.known[self.anchor.result] = self._with_bias(part, at)
                    positions.append(at)
                self.evaluator.store(self.output, self.kernel.yielded, positions)
            start += number * rows

    def _interleave(self, image: Index, y: Index, column: Index, count: int | None) -> None:
        """16 columns of b, two rows at a time, to `panel`."""
        b, layout = self.b, self.right.layout
        matrix = b.address(self.right.base, b.add(pixel_at(b, image, y, 0)(layout), column))
        place = b.add(b.mul(column, 4), self.right_zeros)
        zeros = b.load(self.base, place, vector_of(i16, 2 * LANES))
        stride, whole = layout.channel_stride, self.depth // 2 * 2
        with b.loop(0, whole, 2) as k:
            below = b.address(matrix, b.mul(k.variable, stride))
            pairs = self._pairs(below, stride, count, zeros)
            b.store(pairs, self.panel, b.mul(k.variable, LANES * 2))
        if whole < self.depth:  # an odd last row pairs with itself; the left side has a zero there
            below = b.address(matrix, whole * stride)
            b.store(self._pairs(below, 0, count, zeros), self.panel, whole * LANES * 2)

    def _pairs(self, rows: SSAValue, stride: int, count: int | None, zeros: SSAValue) -> SSAValue:
        """(b[k, n] − zb[n], b[k + 1, n] − zb[n]) of 16 columns."""
        b, kind = self.b, vector_of(i8, LANES)
        there = LANES if count is None or self.right.padded else count
        low, high = (b.load_part(rows, offset, kind, there) for offset in (0, stride))
        mask = [lane + part * LANES for lane in range(LANES) for part in range(2)]
        extend = "zext" if self.right.dtype == np.uint8 else "sext"
        wide = b.convert(extend, b.shuffle(low, high, mask), i16)
        return b.binary(arith.SubiOp, wide, zeros)

    # --- Σ_k --------------------------------------------------------------------------------------

    def _products(self, first: Index, rows: int) -> Sequence[SSAValue]:
        """Sums of widened rows [first, first + rows) × the panel, without bias."""
        b = self.b
        left = b.address(self.widened, b.mul(first, self.stride * 2))
        sums = [b.constant(0, i32, self.lanes)] * (rows * self.vectors)
        with b.loop(0, -(-self.depth // 2), carried=sums) as k:
            a = b.address(left, b.mul(k.variable, 4))
            panel = b.address(self.panel, b.mul(k.variable, LANES * 4))
            k.next = self._pair(a, panel, rows, k.carried)
        return k.results

    def _pair(
        self, a: SSAValue, panel: SSAValue, rows: int, sums: Sequence[SSAValue]
    ) -> list[SSAValue]:
        """One pair of k for every row."""
        b, size, kind = self.b, self.lanes * 4, vector_of(i32, self.lanes)
        vectors = [b.load(panel, j * size, kind, align=size) for j in range(self.vectors)]
        result = []
        for i in range(rows):
            pair = b.splat(b.load(a, i * self.stride * 2, i32), self.lanes)
            for j, vector in enumerate(vectors):
                result.append(b.emit(Dot2Op(sums[i * self.vectors + j], pair, vector)))
        return result

    def _with_bias(self, sums: Sequence[SSAValue], at: Position) -> SSAValue:
        """The sums of 16 columns."""
        b, lanes = self.b, self.lanes
        while lanes < LANES:
            pairs = zip(sums[::2], sums[1::2], strict=True)
            sums = [b.shuffle(low, high, range(2 * lanes)) for low, high in pairs]
            lanes *= 2
        if self.anchor.bias is None:
            return sums[0]
        return b.binary(arith.AddiOp, sums[0], self.evaluator.value(self.anchor.bias, at))
