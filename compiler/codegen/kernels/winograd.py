"""Products of a Winograd convolution, and what becomes of them (contractions/winograd.py).

One unit is a few tiles × a block of n vectors of channels:

    for 36 points: sums[point][tile][n] = Σ inputs[point] · weights[point]     (dot2, to scratch)
    for each tile: pixels = Aᵀ sums A, divided by 576, + bias                  (to scratch)
                   for the rows and columns that exist: codes = epilogue(pixels); store

Weights are stored as `points`, transformed, and a unit has as many tiles of one part as registers
have room for. Or, for few tiles, as `taps`: then a unit has all tiles, and transforms the weights
of its block before it uses them, two rows of points at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.tile import LINE, Tile, even_pieces
from ...contractions.winograd import ODD_INVERSE, SHIFT
from ...contractions.winograd_packing import padded_inputs
from ...contractions.winograd_tiling import INPUTS, Part, Tiling
from ...dialects import graph
from ...dialects.graph.winograd import POINTS
from ...dialects.layout import LANES
from ...dialects.loop import Dot2Op, vector_of
from ...dialects.tensors import Array, shape_of
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position
from .winograd_parts import Place, by_part, place_of
from .winograd_transforms import (
    ROW_PAIRS,
    Lanes,
    output_transform,
    weight_rows,
    weight_transform,
)

#: Transformed weights of a chunk: more chunks load and store sums more often, more stack is rude.
_TRANSFORMED_BYTES = 49152
#: The same where sums are so few that both stay in the first-level cache.
_TRANSFORMED_BYTES_NEAR, _FEW_BYTES_OF_SUMS = 24576, 16384


class WinogradGenerator:
    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: graph.WinogradQConv2dOp,
        tile: Tile,
        weights: Array,
        bias: Array,
        form: str,
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
        self.as_taps = form == "taps"
        #: Tiles of a unit, at most.
        most = max(part.tiles for part in self.tiling.parts)
        self.tiles = self.tiling.tiles if self.as_taps else min(tile.m, most)
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
        if self.as_taps:
            #: Pairs of input channels whose weights are transformed at a time.
            self.chunk = self._chunk()
            # A line more than their size apart, since they are written in turn.
            self.panel_stride = self.chunk * self.pixel_bytes + LINE
            self.panels = self.b.scratch(2 * INPUTS * self.panel_stride)

    @property
    def pixel_bytes(self) -> int:
        """Of the sums of one pixel (or point), all channels of a block."""
        return self.tile.channels * 4

    @property
    def sum_bytes(self) -> int:
        """Of all sums of a unit."""
        return POINTS * self.tiles * self.pixel_bytes

    def _chunk(self) -> int:
        """The largest part of the pairs whose transformed weights find room."""
        few = self.sum_bytes <= _FEW_BYTES_OF_SUMS
        most = _TRANSFORMED_BYTES_NEAR if few else _TRANSFORMED_BYTES
        return next(
            size
            for size in range(self.pairs, 0, -1)
            if self.pairs % size == 0 and 2 * INPUTS * size * self.pixel_bytes <= most
        )

    @property
    def pair_bytes(self) -> int:
        """Of the taps of a pair of input channels."""
        return 9 * 2 * self.tile.channels

    @property
    def panel_bytes(self) -> int:
        """Of the weights of one point."""
        return self.pairs * self.tile.channels * 4

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameters, self.parameter_base, self.halo_codes)
        with b.unit_loop() as unit:
            if self.as_taps:
                self._unit_of_taps(unit)
            else:
                self._unit_of_points(unit)
        constants = (self.parameters.blob(), self.weights)
        units = self.blocks * (1 if self.as_taps else self._ends_of_groups()[-1])
        return LoweredKernel(b.finish(), b.fingerprint, constants, units, exec_type)

    # --- units ------------------------------------------------------------------------------------

    def _groups(self, tiles: int) -> Sequence[tuple[int, int]]:
        """(count, size) of the groups in which so many tiles are multiplied."""
        return even_pieces(tiles, self.tile.m)

    def _ends_of_groups(self) -> list[int]:
        """How many groups the parts have up to and with each."""
        return list(
            accumulate(
                sum(count for count, _ in self._groups(part.tiles)) for part in self.tiling.parts
            )
        )

    def _unit_of_points(self, unit: Index) -> None:
        """One group of tiles; groups or blocks go outside, whichever are dearer to read again."""
        b, ends = self.b, self._ends_of_groups()
        if self.points.layout.size * 2 > len(self.weights):
            group, block = b.div(unit, self.blocks), b.rem(unit, self.blocks)
        else:
            block, group = b.div(unit, ends[-1]), b.rem(unit, ends[-1])
        before = dict(zip(self.tiling.parts, [0, *ends], strict=False))
        by_part(
            b,
            group,
            ends,
            self.tiling.parts,
            lambda part: self._group_of_points(part, b.sub(group, before[part]), block),
        )

    def _group_of_points(self, part: Part, group: Index, block: Index) -> None:
        """A part's group of tiles × one block of channels."""
        b = self.b
        (count, m), *shorter = self._groups(part.tiles)
        # Those behind the first `count` are one tile shorter.
        past = b.maximum(b.sub(group, count), 0) if shorter else 0
        first, size = b.sub(b.add(b.mul(group, m), part.first), past), b.sub(m, b.minimum(past, 1))
        if not shorter:
            self._multiply_points(part, block, first, m)
        else:
            with b.branch(b.compare("ult", group, count)) as blocks:
                self._multiply_points(part, block, first, m)
            with b.otherwise(blocks):
                self._multiply_points(part, block, first, m - 1)
        with b.loop(0, size) as tiles:
            self._finish(part, block, b.add(first, tiles.variable), tiles.variable)

    def _multiply_points(self, part: Part, block: Index, first: Index, m: int) -> None:
        """Tiles [first, first + m), of one part, × one block of channels."""
        b = self.b
        weights = b.address(self.weight_base, b.mul(block, POINTS * self.panel_bytes))
        zero = b.constant(0, i32, self.tile.lanes)
        with self._points_of_part(part) as point:
            w = b.address(weights, b.mul(point, self.panel_bytes))
            x = self._points_of(point, first)
            sums = self._products(x, w, self.pairs, m, [zero] * (m * self.tile.n))
            self._store_sums(sums, self._place(point, 0))

    @contextmanager
    def _points_of_part(self, part: Part) -> Iterator[Index]:
        """A loop over the points that its tiles have."""
        b, rows, columns = self.b, part.rows.points, part.columns.points
        if columns == INPUTS:
            with b.loop(0, rows * columns) as points:
                yield points.variable
        else:
            with b.loop(0, rows) as ys, b.loop(0, columns) as xs:
                yield b.add(b.mul(ys.variable, INPUTS), xs.variable)

    def _unit_of_taps(self, block: Index) -> None:
        """All tiles × one block of channels."""
        b = self.b
        taps = b.address(self.weight_base, b.mul(block, 9 * self.panel_bytes // 2))
        with b.loop(0, POINTS * self.tiles * self.pixel_bytes, self.tile.lanes * 4) as bytes_:
            b.store(b.constant(0, i32, self.tile.lanes), self.sums, bytes_.variable)
        with b.loop(0, self.pairs, self.chunk) as chunks:
            for rows in ROW_PAIRS:
                self._transform_weights(taps, chunks.variable, rows)
                for number, row in enumerate(rows):
                    self._multiply_row(taps, chunks.variable, number, row)
        for part in self.tiling.parts:
            with b.loop(part.first, part.end) as tiles:
                self._finish(part, block, tiles.variable, tiles.variable)

    def _multiply_row(self, taps: SSAValue, pair: SSAValue, number: int, row: int) -> None:
        """Adds the products of the chunk from `pair` on, for the points of a row, which is the
        `number`th of those transformed, and all tiles that have them.

        Meanwhile the next chunk of `taps` comes from memory; behind the last one lies, as a rule,
        what the next kernel reads."""
        b, last = self.b, INPUTS - 1
        next_chunk = b.address(taps, b.mul(b.add(pair, self.chunk), self.pair_bytes))
        share = -(-self.chunk * self.pair_bytes // POINTS // LINE) * LINE
        most, few = self.tiling.having(row, 0), self.tiling.having(row, last)
        ranges = [(0, INPUTS, most)] if most == few else [(0, last, most), (last, INPUTS, few)]
        for low, high, tiles in ranges:
            if not tiles:
                continue
            with b.loop(low, high) as columns:
                point = b.add(columns.variable, row * INPUTS)
                lines = b.address(next_chunk, b.mul(point, share))
                for line in range(0, share, LINE):
                    b.prefetch(lines, line)
                panel = b.mul(b.add(columns.variable, number * INPUTS), self.panel_stride)
                w = b.address(self.panels, panel)
                self._multiply_point(point, tiles, pair, w)

    def _multiply_point(self, point: Index, tiles: range, pair: SSAValue, w: SSAValue) -> None:
        """The same for one point and its tiles."""
        b, start = self.b, tiles.start
        for count, m in self._groups(len(tiles)):
            with b.loop(0, count) as groups:
                first = b.add(b.mul(groups.variable, m), start)
                self._add_products(point, first, pair, w, m)
            start += count * m

    # --- products ---------------------------------------------------------------------------------

    def _transform_weights(self, taps: SSAValue, first: SSAValue, rows: tuple[int, int]) -> None:
        """Weights of two rows of points, of the chunk from pair `first` on, to `panels`."""
        b, v, tile = self.b, Lanes(self.b), self.tile
        halves = 2 * tile.lanes
        with b.loop(0, self.chunk) as pairs:
            pair = b.add(first, pairs.variable)
            here = b.address(taps, b.mul(pair, self.pair_bytes))
            there = b.address(self.panels, b.mul(pairs.variable, tile.n * halves * 2))
            for j in range(tile.n):

                def tap(y: int, x: int, j: int = j) -> SSAValue:
                    place = ((3 * y + x) * tile.n + j) * halves
                    return b.convert("sext", b.load(here, place, vector_of(i8, halves)), i16)

                for row, weights in enumerate(weight_rows(v, tap, rows)):
                    for column, result in enumerate(weight_transform(v, weights)):
                        panel = (INPUTS * row + column) * self.panel_stride
                        b.store(result, there, panel + j * halves * 2)

    def _add_products(self, point: Index, first: Index, pair: Index, w: SSAValue, m: int) -> None:
        """Adds a chunk's products to sums[point] of tiles [first, first + m) of all."""
        b, tile = self.b, self.tile
        place = self._place(point, first)
        kind, vector = vector_of(i32, tile.lanes), tile.lanes * 4
        before = [b.load(place, i * vector, kind, align=16) for i in range(m * tile.n)]
        x = b.address(self._points_of(point, first), b.mul(pair, 4))
        self._store_sums(self._products(x, w, self.chunk, m, before), place)

    def _place(self, point: Index, number: Index) -> SSAValue:
        """Where sums[point] of the unit's tile `number` are."""
        b = self.b
        offset = b.add(b.mul(point, self.tiles), number)
        return b.address(self.sums, b.mul(offset, self.pixel_bytes))

    def _points_of(self, point: Index, tile: Index) -> SSAValue:
        b, layout = self.b, self.points.layout
        offset = b.add(b.mul(point, layout.row_stride), b.mul(tile, layout.channel_stride))
        return b.address(self.points.base, b.mul(offset, 2))

    def _store_sums(self, sums: Sequence[SSAValue], place: SSAValue) -> None:
        for i, total in enumerate(sums):
            self.b.store(total, place, i * self.tile.lanes * 4)

    def _products(
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

    def _finish(self, part: Part, block: Index, tile: Index, number: SSAValue) -> None:
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
            columns.append(output_transform(v, loaded, part.rows.side, scaled=self.as_taps))
        inverse, shift = b.constant(ODD_INVERSE, i32, lanes), b.constant(SHIFT, i32, lanes)
        for i in range(part.rows.side):
            across = [column[i] for column in columns]
            row = output_transform(v, across, part.columns.side, scaled=self.as_taps)
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
