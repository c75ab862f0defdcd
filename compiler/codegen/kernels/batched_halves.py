"""Integer matrix products of two activations, in 16-bit halves (batched_panels.py).

Differences from the zero points fit 16 bits, and `dot2` adds two products of them, exactly. So rows
of a are widened, minus za, and two rows of b at a time, minus zb.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.layout import LANES
from ...dialects.loop import Dot2Op, vector_of
from ...dialects.tensors import Array, array_to_numpy
from ..builder import Index, i8, i16
from ..targets import Target
from .batched_matmul import Columns
from .batched_panels import PanelMatMulGenerator


class HalvesMatMulGenerator(PanelMatMulGenerator):
    group: ClassVar[int] = 2

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_codes: Array
    ):
        super().__init__(name, kernel, anchor, target, halo_codes)
        # zb twice per 32-bit lane, and za in every half of a vector.
        zero_points = np.zeros(-(-self.columns // self.width) * self.width, np.int16)
        zero_points[: self.columns] = array_to_numpy(self.anchor.b_zero_point)
        self.right_zeros = self.parameters.add(np.repeat(zero_points, 2))
        left = np.full(LANES, self.anchor.a_zero_point.value.data, np.int16)
        self.left_zeros = self.parameters.add(left)

    @property
    def codes(self) -> int:
        return LANES

    def _prepare_row(self, source: SSAValue, row: Index, depth: int) -> None:
        b = self.b
        target = b.address(self.ready_rows, b.mul(row, self.stride))
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

    def _interleave(self, matrix: SSAValue, columns: Columns, depth: int) -> None:
        b, whole, stride = self.b, depth // 2 * 2, self.right.layout.channel_stride
        for begin in range(0, columns.count or self.width, LANES):
            start, panel = b.address(matrix, begin), b.address(self.panel, begin * 4)
            place = b.add(b.mul(b.add(columns.first, begin), 4), self.right_zeros)
            zeros = b.load(self.base, place, vector_of(i16, 2 * LANES))
            there = self._there(columns, begin, LANES)
            with b.loop(0, whole, 2) as k:
                below = b.address(start, b.mul(k.variable, stride))
                pairs = self._pairs(below, stride, there, zeros)
                b.store(pairs, panel, b.mul(k.variable, self.panel_stride // 2))
            if whole < depth:  # an odd last row pairs with itself; the left side has a zero there
                below = b.address(start, whole * stride)
                pairs = self._pairs(below, 0, there, zeros)
                b.store(pairs, panel, whole * self.panel_stride // 2)

    def _pairs(self, rows: SSAValue, stride: int, there: int, zeros: SSAValue) -> SSAValue:
        """(b[k, n] − zb[n], b[k + 1, n] − zb[n]) of 16 columns."""
        b, kind = self.b, vector_of(i8, LANES)
        low, high = (b.load_part(rows, offset, kind, there) for offset in (0, stride))
        mask = [lane + part * LANES for lane in range(LANES) for part in range(2)]
        extend = "zext" if self.right.dtype == np.uint8 else "sext"
        wide = b.convert(extend, b.shuffle(low, high, mask), i16)
        return b.binary(arith.SubiOp, wide, zeros)

    def _dot(self, total: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.emit(Dot2Op(total, a, b))
