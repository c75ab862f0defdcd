"""Products of a Winograd convolution, and what becomes of them (contractions/winograd.py).

One unit is a few tiles × a block of n vectors of channels:

    for 36 points: sums[point][tile][n] = Σ inputs[point] · weights[point]     (dot2, to scratch)
    for each tile: pixels = Aᵀ sums A, divided by 576, + bias                  (to scratch)
                   for the rows and columns that exist: codes = epilogue(pixels); store

Weights are stored as `points`, transformed (winograd_points.py), or, for few tiles, as `taps`
(winograd_taps.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.tile import Tile, even_pieces
from ...contractions.winograd import ODD_INVERSE, SHIFT
from ...contractions.winograd_packing import padded_inputs
from ...contractions.winograd_tiling import INPUTS, Part, Tiling
from ...dialects import graph
from ...dialects.graph.winograd import POINTS
from ...dialects.layout import LANES
from ...dialects.loop import Dot2Op, vector_of
from ...dialects.tensors import Array, shape_of
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position
from .winograd_parts import Place, place_of
from .winograd_transforms import Lanes, output_transform


class WinogradGenerator(ABC):
    #: Whether weights are divided by SCALES (contractions/winograd.py), so that sums are not.
    divided = False

    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: graph.WinogradQConv2dOp,
        tile: Tile,
        weights: Array,
        bias: Array,
        target: Target,
        halo_codes: Array,
    ):
        self.kernel, self.anchor, self.tile, self.weights = kernel, anchor.result, tile, weights
        self.b = KernelBuilder(name, len(kernel.inputs) + 3)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.points = self.inputs[0]
        self.parameter_base, self.weight_base = self.b.buffers[-2:]
        layout = self.output.layout
        self.tiling = Tiling(layout.n, layout.h, layout.w, shape_of(anchor.weight)[-1])
        self.pairs = padded_inputs(self.points.layout.c) // 2
        self.blocks = layout.c // tile.channels
        #: Vectors of weights in registers; the others are operands in memory, as in chains.py.
        self.kept = 1 if target.vector_bytes == 32 and target.dot2 is None else tile.n
        self.parameters = Parameters()
        self.bias = self.parameters.add(bias)
        self.halo_codes = halo_codes
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.parameter_base, layout.c
        )
        self.sums = self.b.scratch(self.sum_bytes)
        self.pixels = self.b.scratch(self.tiling.side**2 * self.pixel_bytes)

    @property
    @abstractmethod
    def tiles(self) -> int:
        """Of a unit, at most."""

    @property
    @abstractmethod
    def units(self) -> int: ...

    @abstractmethod
    def emit_unit(self, unit: SSAValue) -> None: ...

    @property
    def pixel_bytes(self) -> int:
        """Of the sums of one pixel (or point), all channels of a block."""
        return self.tile.channels * 4

    @property
    def sum_bytes(self) -> int:
        """Of all sums of a unit."""
        return POINTS * self.tiles * self.pixel_bytes

    @property
    def panel_bytes(self) -> int:
        """Of the weights of one point."""
        return self.pairs * self.tile.channels * 4

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameters, self.parameter_base, self.halo_codes)
        with b.unit_loop() as unit:
            self.emit_unit(unit)
        constants = (self.parameters.blob(), self.weights)
        return LoweredKernel(b.finish(), b.fingerprint, constants, self.units, exec_type)

    # --- products ---------------------------------------------------------------------------------

    def groups(self, tiles: int) -> Sequence[tuple[int, int]]:
        """(count, size) of the groups in which so many tiles are multiplied."""
        return even_pieces(tiles, self.tile.m)

    def place(self, point: Index, number: Index) -> SSAValue:
        """Where sums[point] of the unit's tile `number` are."""
        b = self.b
        offset = b.add(b.mul(point, self.tiles), number)
        return b.address(self.sums, b.mul(offset, self.pixel_bytes))

    def points_of(self, point: Index, tile: Index) -> SSAValue:
        b, layout = self.b, self.points.layout
        offset = b.add(b.mul(point, layout.row_stride), b.mul(tile, layout.channel_stride))
        return b.address(self.points.base, b.mul(offset, 2))

    def store_sums(self, sums: Sequence[SSAValue], place: SSAValue) -> None:
        for i, total in enumerate(sums):
            self.b.store(total, place, i * self.tile.lanes * 4)

    def products(
        self, x: SSAValue, w: SSAValue, pairs: int, m: int, sums: Sequence[SSAValue]
    ) -> Sequence[SSAValue]:
        """`sums` and the products of so many pairs of input channels of m tiles."""
        b = self.b
        # One pair a turn: LLVM would add up several products first, and run out of registers.
        with b.loop(0, pairs, carried=sums) as k:
            here = b.address(x, b.mul(k.variable, 4))
            panel = b.address(w, b.mul(k.variable, self.pixel_bytes))
            k.next = self._pair(here, panel, m, k.carried)
        return k.results

    def _pair(self, x: SSAValue, w: SSAValue, m: int, sums: Sequence[SSAValue]) -> list[SSAValue]:
        """One pair of input channels of m tiles."""
        b, tile, result = self.b, self.tile, []
        in_registers = self._vectors(w, range(self.kept))
        for i in range(m):
            a = b.splat(b.load(x, i * self.points.layout.channel_stride * 2, i32), tile.lanes)
            again = b.renew(w) if self.kept < tile.n else w
            weights = in_registers + self._vectors(again, range(self.kept, tile.n))
            for j, vector in enumerate(weights):
                result.append(b.emit(Dot2Op(sums[i * tile.n + j], a, vector)))
        return result

    def _vectors(self, w: SSAValue, vectors: range) -> list[SSAValue]:
        """A pair's weights, of some of the tile's vectors of sums."""
        size, kind = self.tile.lanes * 4, vector_of(i32, self.tile.lanes)
        return [self.b.load(w, j * size, kind, align=size) for j in vectors]

    # --- from products to pixels ------------------------------------------------------------------

    def finish(self, part: Part, block: Index, tile: Index, number: SSAValue) -> None:
        """Pixels of tile `tile`, which is `number` in its unit."""
        b, t = self.b, self.tiling
        sums = b.address(self.sums, b.mul(number, self.pixel_bytes))
        channel = b.mul(block, self.tile.channels)
        for j in range(self.tile.n):
            bias = b.load(
                self.parameter_base,
                b.add(b.mul(channel, 4), self.bias + j * self.tile.lanes * 4),
                vector_of(i32, self.tile.lanes),
            )
            self._transform(part, sums, j, bias)
        place = place_of(b, part, tile)
        rows: Index = part.rows.side
        if part.rows.is_ragged:
            rows = b.minimum(rows, b.sub(t.rows, place.y))
        with b.loop(0, rows) as ys:
            pixels = b.address(self.pixels, b.mul(ys.variable, t.side * self.pixel_bytes))
            self._row(part, pixels, replace(place, y=b.add(place.y, ys.variable)), channel)

    def _transform(self, part: Part, sums: SSAValue, j: int, bias: SSAValue) -> None:
        """All pixels of vector `j`, to scratch."""
        b, v, lanes = self.b, Lanes(self.b), self.tile.lanes
        kind, vector = vector_of(i32, lanes), lanes * 4
        step = self.tiles * self.pixel_bytes
        columns = []
        for column in range(part.columns.points):
            loaded = [
                b.load(sums, (INPUTS * i + column) * step + j * vector, kind, align=16)
                for i in range(part.rows.points)
            ]
            columns.append(output_transform(v, loaded, part.rows.side, scaled=self.divided))
        inverse, shift = b.constant(ODD_INVERSE, i32, lanes), b.constant(SHIFT, i32, lanes)
        for i in range(part.rows.side):
            across = [column[i] for column in columns]
            row = output_transform(v, across, part.columns.side, scaled=self.divided)
            for x, total in enumerate(row):
                whole = b.binary(arith.MuliOp, total, inverse)
                exact = v.add(b.binary(arith.ShRSIOp, whole, shift), bias)
                pixel = self.tiling.side * i + x
                b.store(exact, self.pixels, (pixel * self.tile.n + j) * vector)

    def _row(self, part: Part, pixels: SSAValue, place: Place, channel: Index) -> None:
        """The pixels of one row that exist."""
        b, columns, last = self.b, part.columns, part.columns.tiles - 1
        rest = self.tiling.columns - last * columns.side
        if not columns.is_ragged:
            self._store(pixels, place, columns.side, channel)
        elif not last:
            self._store(pixels, place, rest, channel)
        else:
            with b.branch(b.compare("eq", place.column, last)) as blocks:
                self._store(pixels, replace(place, x=last * columns.side), rest, channel)
            with b.otherwise(blocks):
                self._store(pixels, place, columns.side, channel)

    def _store(self, pixels: SSAValue, place: Place, count: int, channel: Index) -> None:
        """The epilogue of `count` pixels, 16 channels at a time."""
        b = self.b
        kind, cache = vector_of(i32, LANES), dict[object, SSAValue]()
        positions = []
        for i in range(count):
            pixel = pixel_at(b, place.image, place.y, b.add(place.x, i))
            for c in range(0, self.tile.channels, LANES):
                total = b.load(pixels, i * self.pixel_bytes + c * 4, kind, align=16)
                at = Position(LANES, b.add(channel, c), pixel, {self.anchor: total}, None, cache)
                positions.append(at)
        self.evaluator.store(self.output, self.kernel.yielded, positions)
