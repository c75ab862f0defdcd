"""Matrix products of two tensors that are known at run time only (attention: Q·Kᵀ, P·V).

    out[…, m, n] = bias[n] + Σ_k a[…, m, k]·b[…, k, n]

    for each chunk of rows (a unit):
      for each block of columns, two vectors or more:
        for each few rows: sums = Σ dot(broadcast element of a, vectors of b); epilogue; store

Leading axes of length one broadcast. Subclasses tell what is multiplied: floats as they lie in
memory (`batched_float.py`), or codes that are made ready first (`batched_panels.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import Attribute, Operation, SSAValue

from ...contractions.tile import even_pieces
from ...dialects import graph
from ...dialects.layout import LANES, as_nhwc
from ...dialects.tensors import Array, shape_of
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position

#: More rows at a time do not pay for the shorter rest.
_MOST_ROWS = 12
#: Bytes of an element of a that is broadcast.
ELEMENT = 4


@dataclass(frozen=True)
class Rows:
    """Rows [first, first + size) of matrix (image, y): a unit."""

    image: Index
    y: Index
    first: Index
    size: int


@dataclass(frozen=True)
class Columns:
    """A block of columns from `first` on, of which `count` exist (None: all), in `vectors`."""

    first: Index
    count: int | None
    vectors: int


class BatchedMatMulGenerator(ABC):
    """One unit is a chunk of rows of one matrix of the result."""

    element: ClassVar[Attribute] = i32
    addition: ClassVar[type[Operation]] = arith.AddiOp

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_codes: Array
    ):
        self.kernel, self.anchor, self.target = kernel, anchor, target
        self.b = KernelBuilder(name, len(kernel.inputs) + 2)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.parameters, self.base = Parameters(), self.b.buffers[-1]
        self.halo_codes = halo_codes
        tensors = dict(zip(kernel.block.args, self.inputs, strict=True))
        self.left, self.right = tensors[anchor.a], tensors[anchor.b]
        self.images, self.matrices, self.rows, self.columns = as_nhwc(shape_of(anchor.result))
        self.depth = shape_of(anchor.a)[-1]
        self.lanes = target.lanes
        self.width = max(LANES, 2 * self.lanes)
        most = self._most_rows(self.width // self.lanes)
        self.chunks = even_pieces(self.rows, max(most, self._rows_of_a_unit() // most * most))
        channels = -(-self.columns // LANES) * LANES
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.base, channels
        )

    @property
    def chunk(self) -> int:
        """Rows of the largest unit."""
        return self.chunks[0][1]

    def _most_rows(self, vectors: int) -> int:
        """Sums, the vectors of b, an element of a and a product are in registers."""
        return min(_MOST_ROWS, (self.target.registers - 2) // vectors - 1)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameters, self.base, self.halo_codes)
        count = sum(number for number, _ in self.chunks)
        with b.unit_loop() as unit:
            matrix, chunk = b.div(unit, count), b.rem(unit, count)
            image, y = b.div(matrix, self.matrices), b.rem(matrix, self.matrices)
            (number, size), *shorter = self.chunks
            if not shorter:
                self._unit(Rows(image, y, b.mul(chunk, size), size))
            else:
                with b.branch(b.compare("ult", chunk, number)) as blocks:
                    self._unit(Rows(image, y, b.mul(chunk, size), size))
                with b.otherwise(blocks):
                    first = b.add(b.mul(chunk, size - 1), number)
                    self._unit(Rows(image, y, first, size - 1))
        units = self.images * self.matrices * count
        return LoweredKernel(b.finish(), b.fingerprint, (self.parameters.blob(),), units, exec_type)

    def _unit(self, rows: Rows) -> None:
        self._begin(rows)
        whole, vectors = self.columns // self.width * self.width, self.width // self.lanes
        with self.b.loop(0, whole, self.width) as blocks:
            self._block(rows, Columns(blocks.variable, None, vectors))
        if rest := self.columns - whole:
            self._block(rows, Columns(whole, rest, -(-rest // self.lanes)))

    def _block(self, rows: Rows, columns: Columns) -> None:
        self._begin_columns(rows, columns)
        for tile, size in self._tiles(rows.size, columns.vectors):
            self._finish(self._sums(rows, columns, tile, size), rows, columns, tile, size)

    def _tiles(self, size: int, vectors: int) -> Iterator[tuple[Index, int]]:
        """(first row in the unit, rows) of the tiles, inside a loop over those of equal size."""
        b, start = self.b, 0
        for number, rows in even_pieces(size, self._most_rows(vectors)):
            with b.loop(0, number) as tiles:
                yield b.add(b.mul(tiles.variable, rows), start), rows
            start += number * rows

    # --- Σ_k --------------------------------------------------------------------------------------

    @abstractmethod
    def _rows_of_a_unit(self) -> int: ...

    @abstractmethod
    def _begin(self, rows: Rows) -> None:
        """Ahead of all columns of a unit."""

    @abstractmethod
    def _begin_columns(self, rows: Rows, columns: Columns) -> None:
        """Ahead of all tiles of a block of columns."""

    @abstractmethod
    def _sums(self, rows: Rows, columns: Columns, tile: Index, size: int) -> Sequence[SSAValue]:
        """Without bias: row after row, its vectors."""

    @abstractmethod
    def _dot(self, total: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue:
        """`total` and the products of an element of a and a vector of b."""

    def _products(
        self,
        left: tuple[SSAValue, int],
        right: tuple[SSAValue, int],
        steps: int,
        columns: Columns,
        sums: Sequence[SSAValue],
    ) -> Sequence[SSAValue]:
        """`sums` and the products. `left`: the first row, and bytes from one to the next; `right`:
        the first vector, and bytes from one step to the next."""
        b = self.b
        with b.loop(0, steps, carried=sums) as k:
            below = b.address(right[0], b.mul(k.variable, right[1]))
            vectors = self._vectors(below, columns)
            row, result = b.address(left[0], b.mul(k.variable, ELEMENT)), list(k.carried)
            for i in range(len(sums) // len(vectors)):
                a = b.splat(b.load(row, i * left[1], self.element), self.lanes)
                for j, vector in enumerate(vectors, i * len(vectors)):
                    result[j] = self._dot(result[j], a, vector)
            k.next = result
        return k.results

    @abstractmethod
    def _vectors(self, right: SSAValue, columns: Columns) -> list[SSAValue]:
        """Those of one step."""

    def _there(self, columns: Columns, begin: int, lanes: int) -> int:
        """How many of the `lanes` elements of a row of b from column `begin` on may be read."""
        if columns.count is None or self.right.padded:
            return lanes
        return min(lanes, columns.count - begin)

    # --- epilogue ---------------------------------------------------------------------------------

    def _finish(
        self, sums: Sequence[SSAValue], rows: Rows, columns: Columns, tile: Index, size: int
    ) -> None:
        """Bias, epilogue and store of the `size` rows of a tile, 16 columns at a time."""
        b, vectors, step = self.b, columns.vectors, max(1, LANES // self.lanes)
        first = b.add(rows.first, tile)
        for j in range(0, vectors, step):
            begin, positions, cache = j * self.lanes, [], dict[object, SSAValue]()
            left = None if columns.count is None else columns.count - begin
            partial = left if left is not None and left < LANES else None
            for i in range(size):
                pixel = pixel_at(b, rows.image, rows.y, b.add(first, i))
                channel = b.add(columns.first, begin)
                at = Position(LANES, channel, pixel, count=partial, cache=cache)
                own = sums[i * vectors + j : i * vectors + min(j + step, vectors)]
                at.known[self.anchor.result] = self._with_bias(own, at)
                positions.append(at)
            self.evaluator.store(self.output, self.kernel.yielded, positions)

    def _with_bias(self, sums: Sequence[SSAValue], at: Position) -> SSAValue:
        """The sums of 16 columns; those that do not exist repeat others."""
        b = self.b
        absent = LANES // self.lanes - len(sums)
        total = b.joined([*sums, *[sums[-1]] * absent])
        if self.anchor.bias is None:
            return total
        return b.binary(self.addition, total, self.evaluator.value(self.anchor.bias, at))
