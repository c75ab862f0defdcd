"""Matrix products of two activations where the target has a four-way dot product of bytes.

Four rows of b at a time: L columns of each are one vector of bytes, and a shuffle inside 128-bit
lanes puts the four bytes of a column side by side.

    [r0 | r1 | r2 | r3], L bytes each  ⇒  lane n: b[k, n], b[k + 1, n], b[k + 2, n], b[k + 3, n]

The instruction wants its operands with certain signs. Codes of the other sign are seen through the
flip of their top bit, which moves the zero point by 128 as well; with z' for those,

    Σ (a − za)(b − zb)  =  Σ a'b' − za'·Σ b' − zb'·Σ a' + K·za'·zb'

where all sums wrap in 32 bits, as the result does. A zero point that becomes 0 spares a sum, so the
signs are chosen by what a step then costs (`choose_signs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import Operation, SSAValue

from ...dialects import graph
from ...dialects.loop import Dot4Op, lanes_of, vector_of
from ...dialects.tensors import Array, array_to_numpy
from ..builder import Index, i8
from ..targets import Target
from .batched_matmul import BatchedMatMulGenerator

#: Instructions know u8 × s8 in either order, and equal signs where the target says so.
_MIXED = ("us", "su")
_ONES = 0x01010101
#: Instructions that add up the lanes of a sum of a row.
_ROW_SUM = 10.0


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


def choose_signs(
    left: tuple[np.dtype[np.generic], Array],
    right: tuple[np.dtype[np.generic], Array],
    target: Target,
    rows: int,
    vectors: int,
    depth: int,
) -> tuple[Seen, Seen]:
    """The cheapest for tiles of so many rows of a and vectors of b. Per step each row of a or
    vector of b costs a flip, and each vector of b one more dot product where the zero point of a is
    not 0. Where that of b is not, codes of a are added up, a vector at a time."""
    steps = depth / 4
    row_sum = steps / target.lanes + _ROW_SUM

    def cost(pair: tuple[Seen, Seen]) -> float:
        a, b = pair
        step = rows * a.flipped + vectors * (b.flipped + (not a.centred))
        return steps * step + rows * row_sum * (not b.centred)

    signs = dict.fromkeys((*_MIXED, *target.dot4_signs))
    return min(((Seen.of(*left, s[0]), Seen.of(*right, s[1])) for s in signs), key=cost)


class Dot4MatMulGenerator(BatchedMatMulGenerator):
    """Of codes only."""

    addition: ClassVar[type[Operation]] = arith.AddiOp

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_value: int
    ):
        super().__init__(name, kernel, anchor, target, halo_value)
        # The sums, per vector of b the sum of its columns and its bytes, a, and two temporaries.
        self.tile_rows = min(self.tile_rows, (target.registers - 3) // self.vectors - 2)
        self._prepare_zero_points(-(-self.columns // self.width) * self.width)

    def _prepare_zero_points(self, channels: int) -> None:
        za = np.asarray([self.anchor.a_zero_point.value.data], np.int32)
        zb = np.zeros(channels, np.int32)
        zb[: self.columns] = array_to_numpy(self.anchor.b_zero_point)
        left, right = (self.left.dtype, za), (self.right.dtype, zb[: self.columns])
        rows = min(self.tile_rows, self.rows)
        self.a, self.b_ = choose_signs(left, right, self.target, rows, self.vectors, self.depth)
        # What each column has of all rows of a: K·za'·zb', and −zb' for every Σ a'.
        padded = np.zeros(channels, np.int32)
        padded[: self.columns] = self.b_.zero_points
        self.corrections = self.parameters.add(padded * self.a.zero_points * self.depth)
        self.right_zeros = self.parameters.add(-padded)
        self.left_zero = self.parameters.add(-self.a.zero_points)

    def _products(
        self, rows: list[SSAValue], matrix: SSAValue, column: Index, count: int | None
    ) -> list[SSAValue]:
        b, whole = self.b, self.depth // 4 * 4
        zero = b.constant(0, i32, self.lanes)
        sums = [zero] * (len(rows) * self.vectors)
        columns = [] if self.a.centred else [zero] * self.vectors
        stride = self.right.layout.channel_stride * self.right.item
        with b.loop(0, whole, 4, carried=[*sums, *columns]) as k:
            below, carried = b.address(matrix, b.mul(k.variable, stride)), list(k.carried)
            step = _Step(k.variable, below, 4, count)
            k.next = self._quad(rows, step, carried[: len(sums)], carried[len(sums) :])
        results = list(k.results)
        if whole < self.depth:
            below = b.address(matrix, whole * stride)
            step = _Step(whole, below, self.depth - whole, count)
            results = self._quad(rows, step, results[: len(sums)], results[len(sums) :])
        return self._corrected(rows, results[: len(sums)], results[len(sums) :], column)

    def _quad(
        self, rows: list[SSAValue], step: _Step, sums: list[SSAValue], columns: list[SSAValue]
    ) -> list[SSAValue]:
        """Up to four steps of k for every row; the sums, then those of columns."""
        b, signs = self.b, self.a.sign + self.b_.sign
        vectors = self._vectors_of(step)
        ones = b.constant(_ONES & step.mask, i32, self.lanes)
        totals = list(sums)
        for i, row in enumerate(rows):
            a = self._element_of(row, step)
            for j, vector in enumerate(vectors):
                place = i * self.vectors + j
                totals[place] = b.emit(Dot4Op(totals[place], a, vector, signs))
        mixed = "us" if self.b_.sign == "s" else "su"
        added = [b.emit(Dot4Op(c, ones, v, mixed)) for c, v in zip(columns, vectors, strict=False)]
        return [*totals, *added, *columns[len(added) :]]

    def _vectors_of(self, step: _Step) -> list[SSAValue]:
        """The quads of b, cut into vectors. Rows that do not exist repeat the last one: a is 0."""
        b, lanes = self.b, self.lanes
        stride = self.right.layout.channel_stride
        result = []
        for j in range(self.vectors):
            left = lanes if step.columns is None else min(lanes, step.columns - j * lanes)
            if left <= 0:
                break
            left = lanes if self.right.padded else left
            loaded = [
                b.load_part(step.matrix, j * lanes + t * stride, vector_of(i8, lanes), left)
                for t in range(step.codes)
            ]
            quads = self._interleaved(_padded(loaded))
            if self.b_.flipped:
                flip = b.splat(b.constant(-128, i8), 4 * lanes)
                quads = b.binary(arith.XOrIOp, quads, flip)
            result.append(b.bitcast(quads, i32, lanes))
        return result

    def _interleaved(self, rows: list[SSAValue]) -> SSAValue:
        """Four vectors of L bytes → 4·L bytes: a permutation of words, then one inside lanes."""
        b, lanes = self.b, self.lanes
        low, high = (b.shuffle(x, y, range(2 * lanes)) for x, y in (rows[:2], rows[2:]))
        joined = b.bitcast(b.shuffle(low, high, range(4 * lanes)), i32, lanes)
        # Word w of row t holds columns 4w … 4w + 3: those of all rows go into 128-bit lane w.
        words = [t * lanes // 4 + w for w in range(lanes // 4) for t in range(4)]
        grouped = b.bitcast(b.shuffle(joined, joined, words), i8, 4 * lanes)
        transposed = [4 * t + c for c in range(4) for t in range(4)]
        mask = [16 * w + byte for w in range(lanes // 4) for byte in transposed]
        return b.shuffle(grouped, grouped, mask)

    def _element_of(self, row: SSAValue, step: _Step) -> SSAValue:
        """a[m, k … k + 3] in every lane, 0 where k is past the end."""
        b = self.b
        if step.codes == 4:
            scalar = b.load(row, step.k, i32)
        else:
            few = b.load_part(row, step.k, vector_of(i8, 4), step.codes)
            scalar = b.extract(b.bitcast(few, i32, 1), 0)
        a = b.splat(scalar, self.lanes)
        if self.a.flipped:
            flip = b.constant(_signed(0x80808080 & step.mask), i32, self.lanes)
            a = b.binary(arith.XOrIOp, a, flip)
        return a

    # --- zero points ------------------------------------------------------------------------------

    def _corrected(
        self, rows: list[SSAValue], sums: list[SSAValue], columns: list[SSAValue], column: Index
    ) -> list[SSAValue]:
        """Σ a'b' − za'·Σ b' − zb'·Σ a' + K·za'·zb'."""
        b = self.b
        common: list[SSAValue | None] = [None] * self.vectors
        if not self.a.centred:
            za = b.splat(b.load(self.base, self.left_zero, i32), self.lanes)
            common = [b.binary(arith.MuliOp, c, za) for c in columns]
            if not self.b_.centred:
                place = b.mul(column, 4)
                fixed = [self._per_column(self.corrections, place, j) for j in range(self.vectors)]
                common = [
                    b.binary(arith.AddiOp, c, f) for c, f in zip(common, fixed, strict=True) if c
                ]
        result = []
        for i, row in enumerate(rows):
            own = sums[i * self.vectors : (i + 1) * self.vectors]
            if not self.b_.centred:
                total = b.splat(self._row_sum(row), self.lanes)
                zeros = [
                    self._per_column(self.right_zeros, b.mul(column, 4), j)
                    for j in range(self.vectors)
                ]
                own = [
                    b.binary(arith.AddiOp, s, b.binary(arith.MuliOp, z, total))
                    for s, z in zip(own, zeros, strict=True)
                ]
            result += [
                s if c is None else b.binary(arith.AddiOp, s, c)
                for s, c in zip(own, common, strict=True)
            ]
        return result

    def _per_column(self, table: int, place: Index, j: int) -> SSAValue:
        offset = self.b.add(place, table + j * self.lanes * 4)
        return self.b.load(self.base, offset, vector_of(i32, self.lanes))

    def _row_sum(self, row: SSAValue) -> SSAValue:
        """Σ a' over a row, which lies in one piece: a vector of codes at a time."""
        b, lanes, size = self.b, self.lanes, 4 * self.lanes
        ones, mixed = b.constant(_ONES, i32, lanes), "su" if self.a.sign == "s" else "us"
        flip = b.splat(b.constant(-128, i8), size)

        def added(total: SSAValue, offset: Index, count: int) -> SSAValue:
            codes = b.load_part(row, offset, vector_of(i8, size), count)
            if self.a.flipped:
                codes = b.binary(arith.XOrIOp, codes, flip)
            weights = ones
            if count < size:
                # Codes that are not there would count as −128 or 128.
                there = self.parameters.add(np.arange(size) < count)
                weights = b.load(self.base, there, vector_of(i32, lanes))
            return b.emit(Dot4Op(total, b.bitcast(codes, i32, lanes), weights, mixed))

        whole = self.depth // size * size
        with b.loop(0, whole, size, carried=[b.constant(0, i32, lanes)]) as k:
            k.next = [added(k.carried[0], k.variable, size)]
        total = k.results[0]
        if whole < self.depth:
            total = added(total, whole, self.depth - whole)
        while (lanes := lanes_of(total)) > 1:
            low, high = range(lanes // 2), range(lanes // 2, lanes)
            halves = [b.shuffle(total, total, half) for half in (low, high)]
            total = b.binary(arith.AddiOp, *halves)
        return b.extract(total, 0)


@dataclass(frozen=True)
class _Step:
    """`codes` steps from k on; `matrix`: where row k of b has the tile's first column, of which
    `columns` exist (None: all)."""

    k: Index
    matrix: SSAValue
    codes: int
    columns: int | None

    @property
    def mask(self) -> int:
        """The bytes of a 32-bit lane that exist."""
        return (1 << 8 * self.codes) - 1


def _padded(rows: list[SSAValue]) -> list[SSAValue]:
    return [*rows, *[rows[-1]] * (4 - len(rows))]


def _signed(word: int) -> int:
    """A 32-bit pattern as i32."""
    return word - (1 << 32) if word >> 31 else word
