"""Integer matrix products of two tensors that are known at run time only (attention: Q·Kᵀ, P·V).

    out[…, m, n] = bias[n] + Σ_k (a[…, m, k] − za)·(b[…, k, n] − zb[n])

Differences from the zero points fit 16 bits, and `dot2` adds two products of them, exactly. Both
operands are widened once, to scratch, before they are multiplied many times:

    for each chunk of rows (a unit):
      left  = rows of a, s16 [row][k], minus za
      for each 16 columns:
        right = rows k and k + 1 of b interleaved, s16 [k / 2][column][2], minus zb
        for each few rows: sums = Σ dot2(broadcast left pair, right vectors); epilogue; store

A long k is cut into parts, for which all this is done in turn; the sums wait in scratch. An odd
last k is paired with a zero of the left side. Leading axes of length one broadcast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
#: Steps of k that are widened at a time, since scratch is on the stack; few products have as many.
_MOST_DEPTH = 2048


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
        self.part = min(self.depth, _MOST_DEPTH)
        self.lanes = min(target.lanes, LANES)
        self.vectors = LANES // self.lanes
        #: Elements of a widened row of a; the zeros behind it make up whole vectors.
        self.stride = -(-self.part // LANES) * LANES
        # Sums, the vectors of b, a pair of a and a product are in registers.
        most = min(_MOST_ROWS, (target.registers - 2) // self.vectors - 1)
        chunk = max(most, _LEFT_BYTES // (2 * self.stride) // most * most)
        self.chunks = even_pieces(self.rows, chunk)
        self.most = most
        channels = -(-self.columns // LANES) * LANES
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.base, channels
        )
        self._prepare_zero_points(channels)
        self.widened = self.b.scratch(self.chunks[0][1] * self.stride * 2)
        self.panel = self.b.scratch(-(-self.part // 2) * LANES * 4)
        if self.in_parts:
            self.totals = self.b.scratch(self.chunks[0][1] * LANES * 4)

    @property
    def in_parts(self) -> bool:
        return self.part < self.depth

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
        if not self.in_parts:
            self._widen_rows(image, y, first, size, 0, self.depth)
        whole = self.columns // LANES * LANES
        with b.loop(0, whole, LANES) as blocks:
            self._columns(image, y, first, size, blocks.variable, None)
        if whole < self.columns:
            self._columns(image, y, first, size, whole, self.columns - whole)

    def _columns(
        self, image: Index, y: Index, first: Index, size: int, column: Index, count: int | None
    ) -> None:
        """`size` rows × 16 columns, of which `count` exist."""
        b = self.b
        if self.in_parts:
            self._add_parts(image, y, first, size, column, count)
        else:
            self._interleave(image, y, column, count, 0, self.depth)
        for tile, rows in self._tiles(size):
            if self.in_parts:
                sums: Sequence[SSAValue] = self._totals(tile, rows)
            else:
                zeros = [b.constant(0, i32, self.lanes)] * (rows * self.vectors)
                sums = self._products(tile, rows, self.depth, zeros)
            self._finish(sums, image, y, b.add(first, tile), rows, column, count)

    def _tiles(self, size: int) -> Iterator[tuple[Index, int]]:
        """(first row in the chunk, rows) of the tiles, inside a loop over those of equal size."""
        b, start = self.b, 0
        for number, rows in even_pieces(size, self.most):
            with b.loop(0, number) as tiles:
                yield b.add(b.mul(tiles.variable, rows), start), rows
            start += number * rows

    # --- a long k ---------------------------------------------------------------------------------

    def _add_parts(
        self, image: Index, y: Index, first: Index, size: int, column: Index, count: int | None
    ) -> None:
        """Totals of `size` rows × 16 columns over all parts of k."""
        b = self.b
        with b.loop(0, size * LANES * 4, self.lanes * 4) as bytes_:
            b.store(b.constant(0, i32, self.lanes), self.totals, bytes_.variable)

        def add(k: Index, depth: int) -> None:
            self._widen_rows(image, y, first, size, k, depth)
            self._interleave(image, y, column, count, k, depth)
            for tile, rows in self._tiles(size):
                sums = self._products(tile, rows, depth, self._totals(tile, rows))
                for i, total in enumerate(sums):
                    b.store(total, self._place(tile), i * self.lanes * 4)

        whole = self.depth // self.part * self.part
        with b.loop(0, whole, self.part) as parts:
            add(parts.variable, self.part)
        if whole < self.depth:
            add(whole, self.depth - whole)

    def _place(self, tile: Index) -> SSAValue:
        return self.b.address(self.totals, self.b.mul(tile, LANES * 4))

    def _totals(self, tile: Index, rows: int) -> list[SSAValue]:
        kind, size, place = vector_of(i32, self.lanes), self.lanes * 4, self._place(tile)
        return [self.b.load(place, i * size, kind, align=16) for i in range(rows * self.vectors)]

    # --- operands ---------------------------------------------------------------------------------

    def _widen_rows(
        self, image: Index, y: Index, first: Index, size: int, k: Index, depth: int
    ) -> None:
        """Steps [k, k + depth) of rows of a as halves."""
        b = self.b
        with b.loop(0, size) as rows:
            pixel = pixel_at(b, image, y, b.add(first, rows.variable))(self.left.layout)
            source = b.address(self.left.base, b.add(pixel, k))
            target = b.address(self.widened, b.mul(rows.variable, self.stride * 2))
            self._widen_row(source, target, depth)

    def _widen_row(self, source: SSAValue, target: SSAValue, depth: int) -> None:
        """Halves, and zeros behind them."""
        b = self.b
        zeros = b.load(self.base, self.left_zeros, vector_of(i16, LANES))
        whole = depth // LANES * LANES
        kind = "zext" if self.left.dtype == np.uint8 else "sext"
        with b.loop(0, whole, LANES) as k:
            codes = b.load(source, k.variable, vector_of(i8, LANES))
            halves = b.binary(arith.SubiOp, b.convert(kind, codes, i16), zeros)
            b.store(halves, target, b.mul(k.variable, 2))
        if rest := depth - whole:
            codes = b.load_part(source, whole, vector_of(i8, LANES), rest)
            halves = b.binary(arith.SubiOp, b.convert(kind, codes, i16), zeros)
            nothing = b.constant(0, i16, LANES)
            mask = [i if i < rest else LANES for i in range(LANES)]
            b.store(b.shuffle(halves, nothing, mask), target, whole * 2)

    def _interleave(
        self, image: Index, y: Index, column: Index, count: int | None, first: Index, depth: int
    ) -> None:
        """16 columns of rows [first, first + depth) of b, two rows at a time, to `panel`."""
        b, layout = self.b, self.right.layout
        stride, whole = layout.channel_stride, depth // 2 * 2
        start = b.add(pixel_at(b, image, y, 0)(layout), b.mul(first, stride))
        matrix = b.address(self.right.base, b.add(start, column))
        place = b.add(b.mul(column, 4), self.right_zeros)
        zeros = b.load(self.base, place, vector_of(i16, 2 * LANES))
        with b.loop(0, whole, 2) as k:
            below = b.address(matrix, b.mul(k.variable, stride))
            pairs = self._pairs(below, stride, count, zeros)
            b.store(pairs, self.panel, b.mul(k.variable, LANES * 2))
        if whole < depth:  # an odd last row pairs with itself; the left side has a zero there
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

    def _products(
        self, first: Index, rows: int, depth: int, sums: Sequence[SSAValue]
    ) -> Sequence[SSAValue]:
        """`sums` and the products of widened rows [first, first + rows) and the panel."""
        b = self.b
        left = b.address(self.widened, b.mul(first, self.stride * 2))
        with b.loop(0, -(-depth // 2), carried=sums) as k:
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

    # --- epilogue ---------------------------------------------------------------------------------

    def _finish(
        self,
        sums: Sequence[SSAValue],
        image: Index,
        y: Index,
        first: Index,
        rows: int,
        column: Index,
        count: int | None,
    ) -> None:
        """Bias, epilogue and store of `rows` rows × 16 columns."""
        b, cache = self.b, dict[object, SSAValue]()
        positions = []
        for i in range(rows):
            pixel = pixel_at(b, image, y, b.add(first, i))
            at = Position(LANES, column, pixel, count=count, cache=cache)
            part = sums[i * self.vectors : (i + 1) * self.vectors]
            at.known[self.anchor.result] = self._with_bias(part, at)
            positions.append(at)
        self.evaluator.store(self.output, self.kernel.yielded, positions)

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
