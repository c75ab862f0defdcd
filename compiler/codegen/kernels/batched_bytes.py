"""Integer matrix products of two activations as bytes, where the target has a four-way dot product
(batched_panels.py).

Four rows of b at a time are interleaved twice, so that the four bytes of a column are side by side.
The instruction wants its operands with certain signs. Codes of the other sign are seen through the
flip of their top bit, which moves the zero point by 128 as well; with z' for those,

    Σ (a − za)(b − zb)  =  Σ a'b' − za'·Σ b' − zb'·Σ a' + K·za'·zb'

where all sums wrap in 32 bits, as the result does. Sums of codes are made when operands are made
ready. A zero point that becomes 0 spares one, so the signs are chosen by what they cost
(`choose_signs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.layout import LANES
from ...dialects.loop import Dot4Op, lanes_of, vector_of
from ...dialects.tensors import Array, array_to_numpy
from ..builder import Index, i8
from ..targets import Target
from .batched_matmul import Columns
from .batched_panels import PanelMatMulGenerator

#: Instructions know u8 × s8 in either order, and equal signs where the target says so.
_MIXED = ("us", "su")
_ONES = 0x01010101
#: Instructions that add up the lanes of a sum of a row.
_ROW_SUM = 10.0
#: Sums of a row's codes that do not wait for one another.
_ROW_SUMS = 4


@dataclass(frozen=True)
class Seen:
    """An operand with the sign "u" or "s": whether its bytes are flipped, and its zero points."""

    sign: str
    flipped: bool
    zero_points: Array

    @staticmethod
    def of(dtype: np.dtype[np.generic], zero_points: Array, sign: str) -> Seen:
        flipped = (dtype == np.int8) != (sign == "s")
        shift = 0 if not flipped else -128 if sign == "s" else 128
        return Seen(sign, flipped, zero_points + shift)

    @property
    def centred(self) -> bool:
        return not self.zero_points.any()

    @property
    def ones(self) -> str:
        """The signs of a product of these bytes and ones."""
        return "us" if self.sign == "u" else "su"


def choose_signs(
    left: tuple[np.dtype[np.generic], Array],
    right: tuple[np.dtype[np.generic], Array],
    target: Target,
    shape: tuple[int, int, int],
) -> tuple[Seen, Seen]:
    """The cheapest for units of (rows, columns, depth). A vector of either operand costs a flip,
    and a dot product where the other's zero point is not 0; a vector of sums then one instruction
    for that of a and two for that of b, and a row what it takes to add up the lanes of its sum."""
    rows, columns, depth = shape
    vectors = columns / target.lanes
    of_a, of_b = rows * depth / (4 * target.lanes), vectors * depth / 4

    def cost(pair: tuple[Seen, Seen]) -> float:
        a, b = pair
        flips = of_a * a.flipped + of_b * b.flipped
        zero_of_a = (of_b + rows * vectors) * (not a.centred)
        zero_of_b = (of_a + rows * (_ROW_SUM + 2 * vectors)) * (not b.centred)
        return flips + zero_of_a + zero_of_b

    signs = dict.fromkeys((*_MIXED, *target.dot4_signs))
    return min(((Seen.of(*left, s[0]), Seen.of(*right, s[1])) for s in signs), key=cost)


class BytesMatMulGenerator(PanelMatMulGenerator):
    group: ClassVar[int] = 4

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_codes: Array
    ):
        super().__init__(name, kernel, anchor, target, halo_codes)
        za = np.asarray([self.anchor.a_zero_point.value.data], np.int32)
        zb = np.zeros(-(-self.columns // self.width) * self.width, np.int32)
        zb[: self.columns] = array_to_numpy(self.anchor.b_zero_point)
        shape = (self.chunk, self.columns, self.depth)
        left, right = (self.left.dtype, za), (self.right.dtype, zb[: self.columns])
        self.a, self.b_ = choose_signs(left, right, target, shape)
        padded = np.zeros_like(zb)
        padded[: self.columns] = self.b_.zero_points
        self.right_zeros = self.parameters.add(-padded)
        self.left_zero = self.parameters.add(-self.a.zero_points)
        if not self.a.centred:
            self.column_terms = self.b.scratch(self.width * 4)
        if not self.b_.centred:
            self.row_sums = self.b.scratch(self.chunk * 4)

    @property
    def codes(self) -> int:
        return 4 * self.lanes

    # --- rows of a --------------------------------------------------------------------------------

    def _prepare_row(self, source: SSAValue, row: Index, depth: int) -> None:
        """The row, and Σ a' where it is needed."""
        b, codes = self.b, self.codes
        target = b.address(self.ready_rows, b.mul(row, self.stride))
        some = _ROW_SUMS * codes
        sums = [] if self.b_.centred else [b.constant(0, i32, self.lanes)] * _ROW_SUMS
        whole = depth // some * some
        with b.loop(0, whole, some, carried=sums) as k:
            to, carried = b.address(target, k.variable), list(k.carried)
            for i in range(_ROW_SUMS):
                vector = self._row_part(b.address(source, k.variable), to, i * codes, codes)
                self._add_codes(carried, i, vector)
            k.next = carried
        sums = list(k.results)
        for i, offset in enumerate(range(whole, depth, codes)):
            vector = self._row_part(source, target, offset, min(codes, depth - offset))
            self._add_codes(sums, i, vector)
        if sums:
            b.store(self._across(sums), self.row_sums, b.mul(row, 4))

    def _row_part(self, source: SSAValue, target: SSAValue, offset: int, count: int) -> SSAValue:
        """`count` codes a', and zeros behind them: copied, and as lanes."""
        b = self.b
        vector = b.load_part(source, offset, vector_of(i8, self.codes), count)
        if self.a.flipped:
            flip = self.parameters.add((np.arange(self.codes) < count) * np.uint8(128))
            flips = b.load(self.base, flip, vector_of(i8, self.codes))
            vector = b.binary(arith.XOrIOp, vector, flips)
        b.store(vector, target, offset)
        return b.bitcast(vector, i32, self.lanes)

    def _add_codes(self, sums: list[SSAValue], place: int, vector: SSAValue) -> None:
        if sums:
            ones = self.b.constant(_ONES, i32, self.lanes)
            sums[place] = self._times_ones(sums[place], vector, ones, self.a)

    def _times_ones(self, total: SSAValue, vector: SSAValue, ones: SSAValue, of: Seen) -> SSAValue:
        return self.b.emit(Dot4Op(total, vector, ones, of.ones))

    def _across(self, sums: Sequence[SSAValue]) -> SSAValue:
        """All lanes of all vectors, added up."""
        b = self.b
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=True)
            sums = [b.binary(arith.AddiOp, *pair) for pair in pairs]
        total = sums[0]
        while (lanes := lanes_of(total)) > 1:
            low, high = range(lanes // 2), range(lanes // 2, lanes)
            halves = [b.shuffle(total, total, half) for half in (low, high)]
            total = b.binary(arith.AddiOp, *halves)
        return b.extract(total, 0)

    # --- panels of b ------------------------------------------------------------------------------

    def _interleave(self, matrix: SSAValue, columns: Columns, depth: int) -> None:
        """The panel, and −za'·(Σ b' − K·zb') where it is needed."""
        b, stride, whole = self.b, self.right.layout.channel_stride, depth // 4 * 4
        sums = [] if self.a.centred else [b.constant(0, i32, self.lanes)] * columns.vectors
        with b.loop(0, whole, 4, carried=sums) as k:
            rows = b.address(matrix, b.mul(k.variable, stride))
            panel = b.address(self.panel, b.mul(k.variable, self.panel_stride // 4))
            k.next = self._quads(rows, 4, panel, columns, k.carried)
        sums = list(k.results)
        if rest := depth - whole:
            rows = b.address(matrix, whole * stride)
            panel = b.address(self.panel, whole * self.panel_stride // 4)
            sums = self._quads(rows, rest, panel, columns, sums)
        for j, total in enumerate(sums):
            if not self.b_.centred:
                zeros = self._right_zeros(columns, j)
                zeros = b.binary(arith.MuliOp, zeros, b.constant(depth, i32, self.lanes))
                total = b.binary(arith.AddiOp, total, zeros)
            za = b.splat(b.load(self.base, self.left_zero, i32), self.lanes)
            b.store(b.binary(arith.MuliOp, total, za), self.column_terms, j * self.lanes * 4)

    def _quads(
        self,
        rows: SSAValue,
        steps: int,
        panel: SSAValue,
        columns: Columns,
        sums: Sequence[SSAValue],
    ) -> list[SSAValue]:
        """Four rows, of which `steps` exist, to the panel; sums of columns with theirs."""
        b, size = self.b, self.lanes * 4
        quads = []
        for begin in range(0, columns.count or self.width, LANES):
            there = self._there(columns, begin, LANES)
            quads += self._quads_of_16(b.address(rows, begin), steps, there)
        result = []
        for j in range(columns.vectors):
            vector = b.joined(quads[j * self.lanes // 4 : (j + 1) * self.lanes // 4])
            if self.b_.flipped:
                flip = b.splat(b.constant(-128, i8), size)
                vector = b.binary(arith.XOrIOp, vector, flip)
            vector = b.bitcast(vector, i32, self.lanes)
            b.store(vector, panel, j * size)
            if sums:
                ones = b.constant(_ONES & (1 << 8 * steps) - 1, i32, self.lanes)
                result.append(self._times_ones(sums[j], vector, ones, self.b_))
        return result

    def _quads_of_16(self, rows: SSAValue, steps: int, there: int) -> list[SSAValue]:
        """Four vectors of four columns each. Rows that do not exist repeat the last: a is 0."""
        b, kind, stride = self.b, vector_of(i8, LANES), self.right.layout.channel_stride
        loaded = [b.load_part(rows, t * stride, kind, there) for t in range(steps)]
        loaded += [loaded[-1]] * (4 - steps)
        pairs = [
            self._interleaved(loaded[t], loaded[t + 1], 1, half) for half in (0, 1) for t in (0, 2)
        ]
        return [
            self._interleaved(pairs[p], pairs[p + 1], 2, half) for p in (0, 2) for half in (0, 1)
        ]

    def _interleaved(self, x: SSAValue, y: SSAValue, size: int, half: int) -> SSAValue:
        """Pieces of `size` bytes of half of x and of y in turn."""
        first = half * LANES // 2
        places = range(first, first + LANES // 2, size)
        mask = [p + t + v * LANES for p in places for v in (0, 1) for t in range(size)]
        return self.b.shuffle(x, y, mask)

    # --- products ---------------------------------------------------------------------------------

    def _dot(self, total: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.emit(Dot4Op(total, a, b, self.a.sign + self.b_.sign))

    def _corrected(
        self, sums: Sequence[SSAValue], columns: Columns, tile: Index, size: int
    ) -> Sequence[SSAValue]:
        """− za'·(Σ b' − K·zb') − zb'·Σ a'."""
        b, kind, result = self.b, vector_of(i32, self.lanes), list(sums)
        for place in range(len(sums)):
            i, j = divmod(place, columns.vectors)
            terms = []
            if not self.a.centred:
                terms.append(b.load(self.column_terms, j * self.lanes * 4, kind))
            if not self.b_.centred:
                total = b.load(self.row_sums, b.mul(b.add(tile, i), 4), i32)
                total = b.splat(total, self.lanes)
                terms.append(b.binary(arith.MuliOp, self._right_zeros(columns, j), total))
            for term in terms:
                result[place] = b.binary(arith.AddiOp, result[place], term)
        return result

    def _right_zeros(self, columns: Columns, j: int) -> SSAValue:
        """−zb' of a vector of columns."""
        offset = self.b.add(self.b.mul(columns.first, 4), self.right_zeros + j * self.lanes * 4)
        return self.b.load(self.base, offset, vector_of(i32, self.lanes))
