"""fp32 matrix products of two activations (batched_matmul.py), which are read as they lie in
memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects import arith
from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.loop import vector_of
from ..builder import Index
from .batched_matmul import BatchedMatMulGenerator, Columns, Rows
from .elementwise import pixel_at

#: Few enough to share out many, enough for tiles of a last block of columns, which are taller.
_ROWS = 48


class FloatMatMulGenerator(BatchedMatMulGenerator):
    element: ClassVar[Attribute] = f32
    addition: ClassVar[type[Operation]] = arith.AddfOp

    def _rows_of_a_unit(self) -> int:
        return _ROWS

    def _begin(self, rows: Rows) -> None:
        """Nothing is made ready."""

    def _begin_columns(self, rows: Rows, columns: Columns) -> None:
        """Nothing is made ready."""

    def _sums(self, rows: Rows, columns: Columns, tile: Index, size: int) -> Sequence[SSAValue]:
        b, a, matrix = self.b, self.left, self.right
        row = pixel_at(b, rows.image, rows.y, b.add(rows.first, tile))(a.layout)
        left = b.address(a.base, b.mul(row, a.item))
        column = b.add(pixel_at(b, rows.image, rows.y, 0)(matrix.layout), columns.first)
        right = b.address(matrix.base, b.mul(column, matrix.item))
        strides = [t.layout.channel_stride * t.item for t in (a, matrix)]
        zeros = [b.constant(0, f32, self.lanes)] * (size * columns.vectors)
        return self._products((left, strides[0]), (right, strides[1]), self.depth, columns, zeros)

    def _vectors(self, right: SSAValue, columns: Columns) -> list[SSAValue]:
        kind = vector_of(f32, self.lanes)
        return [
            self.b.load_part(right, first * 4, kind, self._there(columns, first, self.lanes))
            for first in range(0, columns.vectors * self.lanes, self.lanes)
        ]

    def _dot(self, total: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue:
        if self.target.fma:
            return self.b.fma(a, b, total)
        return self.b.binary(arith.AddfOp, total, self.b.binary(arith.MulfOp, a, b))
