"""Integer matrix products of two activations (batched_matmul.py).

    out[…, m, n] = bias[n] + Σ_k (a[…, m, k] − za)·(b[…, k, n] − zb[n])

Both operands are made ready once, in scratch, before they are multiplied many times: of each, a
32-bit lane holds as many steps of k as the target's dot product adds up (`group`).

    for each chunk of rows (a unit):
      rows of a, [row][k]
      for each panel of columns:
        as many rows of b as a group has, interleaved, [k / group][column][group]
        tiles

A long k is cut into parts, for which all this is done in turn; the sums wait in scratch. A last
group that is not full has zeros of a. What is in scratch: `batched_halves.py`, `batched_bytes.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.loop import vector_of
from ...dialects.tensors import Array
from ..builder import Index
from ..targets import Target
from .batched_matmul import ELEMENT, BatchedMatMulGenerator, Columns, Rows
from .elementwise import pixel_at

#: Bytes of a unit's rows: beside a panel of columns they fit the first-level cache.
_ROW_BYTES = 16384
#: Steps of k that are made ready at a time, since scratch is on the stack; few products have more.
_MOST_DEPTH = 2048


class PanelMatMulGenerator(BatchedMatMulGenerator):
    #: Steps of k in a 32-bit lane.
    group: ClassVar[int]

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_codes: Array
    ):
        super().__init__(name, kernel, anchor, target, halo_codes)
        self.ready_rows = self.b.scratch(self.chunk * self.stride)
        self.panel = self.b.scratch(self._steps(self.part) * self.panel_stride)
        if self.in_parts:
            self.totals = self.b.scratch(self.chunk * self.panel_stride)

    @property
    def part(self) -> int:
        return min(self.depth, _MOST_DEPTH)

    @property
    def in_parts(self) -> bool:
        return self.part < self.depth

    @property
    @abstractmethod
    def codes(self) -> int:
        """Codes of a row that are made ready at a time."""

    @property
    def stride(self) -> int:
        """Bytes of a row in scratch."""
        return -(-self.part // self.codes) * self.codes * ELEMENT // self.group

    @property
    def panel_stride(self) -> int:
        """Bytes of a step of a panel, and of a row of sums."""
        return self.width * ELEMENT

    def _rows_of_a_unit(self) -> int:
        return _ROW_BYTES // self.stride

    def _steps(self, depth: int) -> int:
        return -(-depth // self.group)

    # --- operands ---------------------------------------------------------------------------------

    def _begin(self, rows: Rows) -> None:
        if not self.in_parts:
            self._prepare_rows(rows, 0, self.depth)

    def _begin_columns(self, rows: Rows, columns: Columns) -> None:
        if self.in_parts:
            self._add_parts(rows, columns)
        else:
            self._prepare_panel(rows, columns, 0, self.depth)

    def _prepare_rows(self, unit: Rows, k: Index, depth: int) -> None:
        """Steps [k, k + depth) of rows of a."""
        b = self.b
        with b.loop(0, unit.size) as rows:
            row = b.add(unit.first, rows.variable)
            pixel = pixel_at(b, unit.image, unit.y, row)(self.left.layout)
            source = b.address(self.left.base, b.add(pixel, k))
            self._prepare_row(source, rows.variable, depth)

    def _prepare_panel(self, rows: Rows, columns: Columns, k: Index, depth: int) -> None:
        """The columns of rows [k, k + depth) of b."""
        b, layout = self.b, self.right.layout
        start = b.add(columns.first, b.mul(k, layout.channel_stride))
        start = b.add(pixel_at(b, rows.image, rows.y, 0)(layout), start)
        self._interleave(b.address(self.right.base, start), columns, depth)

    @abstractmethod
    def _prepare_row(self, source: SSAValue, row: Index, depth: int) -> None:
        """`depth` codes of a at `source`, and zeros behind them, to `row` of scratch."""

    @abstractmethod
    def _interleave(self, matrix: SSAValue, columns: Columns, depth: int) -> None:
        """`depth` rows of b from `matrix` on to the panel."""

    # --- Σ_k --------------------------------------------------------------------------------------

    def _sums(self, rows: Rows, columns: Columns, tile: Index, size: int) -> Sequence[SSAValue]:
        if self.in_parts:
            return self._totals(columns, tile, size)
        zeros = [self.b.constant(0, i32, self.lanes)] * (size * columns.vectors)
        return self._of_part(columns, tile, size, self.depth, zeros)

    def _of_part(
        self, columns: Columns, tile: Index, size: int, depth: int, sums: Sequence[SSAValue]
    ) -> Sequence[SSAValue]:
        """`sums` and the products of rows [tile, tile + size) and the panel."""
        # Renewed, since LLVM would find its place on the stack in every step of a single tile.
        left = self.b.renew(self.b.address(self.ready_rows, self.b.mul(tile, self.stride)))
        right = (self.panel, self.panel_stride)
        sums = self._products((left, self.stride), right, self._steps(depth), columns, sums)
        return self._corrected(sums, columns, tile, size)

    def _corrected(
        self, sums: Sequence[SSAValue], columns: Columns, tile: Index, size: int
    ) -> Sequence[SSAValue]:
        """With what the products of operands as they are in scratch leave to add."""
        return sums

    def _vectors(self, right: SSAValue, columns: Columns) -> list[SSAValue]:
        b, size, kind = self.b, self.lanes * ELEMENT, vector_of(i32, self.lanes)
        return [b.load(right, j * size, kind, align=size) for j in range(columns.vectors)]

    # --- a long k ---------------------------------------------------------------------------------

    def _add_parts(self, rows: Rows, columns: Columns) -> None:
        """Totals over all parts of k."""
        b = self.b
        with b.loop(0, rows.size * self.panel_stride, self.lanes * ELEMENT) as bytes_:
            b.store(b.constant(0, i32, self.lanes), self.totals, bytes_.variable)

        def add(k: Index, depth: int) -> None:
            self._prepare_rows(rows, k, depth)
            self._prepare_panel(rows, columns, k, depth)
            for tile, size in self._tiles(rows.size, columns.vectors):
                sums = self._totals(columns, tile, size)
                sums = self._of_part(columns, tile, size, depth, sums)
                places = self._places(columns, tile, size)
                for (base, offset), total in zip(places, sums, strict=True):
                    b.store(total, base, offset)

        whole = self.depth // self.part * self.part
        with b.loop(0, whole, self.part) as parts:
            add(parts.variable, self.part)
        if whole < self.depth:
            add(whole, self.depth - whole)

    def _totals(self, columns: Columns, tile: Index, size: int) -> Sequence[SSAValue]:
        kind = vector_of(i32, self.lanes)
        places = self._places(columns, tile, size)
        return [self.b.load(base, offset, kind, align=16) for base, offset in places]

    def _places(self, columns: Columns, tile: Index, size: int) -> list[tuple[SSAValue, int]]:
        base = self.b.address(self.totals, self.b.mul(tile, self.panel_stride))
        vectors = [j * self.lanes * ELEMENT for j in range(columns.vectors)]
        return [(base, i * self.panel_stride + offset) for i in range(size) for offset in vectors]
