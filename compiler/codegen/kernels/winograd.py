"""Products of a Winograd convolution, and what becomes of them (contractions/winograd.py).

    for each group of m tiles × block of n vectors of channels:
      for 36 points: sums[point][m][n] = Σ inputs[point] · weights[point]     (dot2, to scratch)
      for m: pixels[4×4] = Aᵀ sums A, divided by 576, + bias                  (to scratch)
             for the rows and columns that exist: codes = epilogue(pixels); store

Groups or blocks are outermost, whichever are read again at less cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.tile import Tile, even_pieces
from ...contractions.winograd import INPUTS, ODD_INVERSE, OUTPUTS, POINTS, SHIFT, Tiling
from ...dialects import graph
from ...dialects.layout import LANES
from ...dialects.loop import Dot2Op, vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position
from .winograd_input import Halves


def output_transform(v: Halves, m: Sequence[SSAValue]) -> list[SSAValue]:
    """OUTPUT_TRANSFORM · m"""
    m0, m1, m2, m3, m4, m5 = m
    a, b, c, d = v.add(m1, m2), v.sub(m1, m2), v.add(m3, m4), v.sub(m3, m4)
    return [
        v.add(v.add(m0, a), c),
        v.add(b, v.shift(d, 1)),
        v.add(a, v.shift(c, 2)),
        v.add(v.add(b, v.shift(d, 3)), v.shift(m5, 1)),
    ]


class WinogradGenerator:
    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: graph.WinogradQConv2dOp,
        tile: Tile,
        weights: Array,
        bias: Array,
        target: Target,
        halo_value: int,
    ):
        self.kernel, self.anchor, self.tile, self.weights = kernel, anchor.result, tile, weights
        self.b = KernelBuilder(name, len(kernel.inputs) + 3)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.points = self.inputs[0]
        self.parameter_base, self.weight_base = self.b.buffers[-2:]
        layout = self.output.layout
        self.tiling = Tiling(layout.n, layout.h, layout.w)
        self.depth = self.points.layout.channel_stride
        self.blocks = layout.c // tile.channels
        self.pieces = even_pieces(self.tiling.tiles, tile.m)
        self.parameters = Parameters()
        self.bias = self.parameters.add(bias)
        self.halo = self.parameters.add(np.full(16, halo_value & 255, np.uint8))
        self.evaluator = Evaluator(
            self.b, kernel, self.inputs, self.parameters, self.parameter_base, layout.c
        )
        m = self.pieces[0][1]
        self.sums = self.b.scratch(POINTS * m * tile.channels * 4)
        self.pixels = self.b.scratch(OUTPUTS * OUTPUTS * tile.channels * 4)

    @property
    def groups(self) -> int:
        return sum(count for count, _ in self.pieces)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameter_base, self.halo)
        with b.unit_loop() as unit:
            if self.points.layout.size * 2 > len(self.weights):
                group, block = b.div(unit, self.blocks), b.rem(unit, self.blocks)
            else:
                block, group = b.div(unit, self.groups), b.rem(unit, self.groups)
            (count, m), *shorter = self.pieces
            if not shorter:
                self._group(block, b.mul(group, m), m)
            else:
                with b.branch(b.compare("ult", group, count)) as blocks:
                    self._group(block, b.mul(group, m), m)
                with b.otherwise(blocks):
                    self._group(block, b.add(b.mul(group, m - 1), count), m - 1)
        return LoweredKernel(
            b.finish(),
            b.fingerprint,
            (self.parameters.blob(), self.weights),
            self.groups * self.blocks,
            exec_type,
        )

    def _group(self, block: Index, first: Index, m: int) -> None:
        """Tiles [first, first + m) × one block of channels."""
        b = self.b
        weights = b.address(
            self.weight_base, b.mul(block, POINTS * self.depth * self.tile.channels * 2)
        )
        inputs = b.address(self.points.base, b.mul(first, self.depth * 2))
        with b.loop(0, POINTS) as points:
            self._products(points.variable, inputs, weights, m)
        with b.loop(0, m) as tiles:
            self._finish(block, b.add(first, tiles.variable), tiles.variable, m)

    # --- products ---------------------------------------------------------------------------------

    def _products(self, point: SSAValue, inputs: SSAValue, weights: SSAValue, m: int) -> None:
        """sums[point] of m tiles."""
        b, tile = self.b, self.tile
        x = b.address(inputs, b.mul(point, self.points.layout.row_stride * 2))
        w = b.address(weights, b.mul(point, self.depth * tile.channels * 2))
        zero = b.constant(0, i32, tile.lanes)
        # One pair a turn: LLVM would add up several products first, and run out of registers.
        with b.loop(0, self.depth // 2, carried=[zero] * (m * tile.n)) as k:
            here = b.address(x, b.mul(k.variable, 4))
            panel = b.address(w, b.mul(k.variable, tile.channels * 4))
            k.next = self._pair(here, panel, m, k.carried)
        place = b.address(self.sums, b.mul(point, m * tile.channels * 4))
        for i, total in enumerate(k.results):
            b.store(total, place, i * tile.lanes * 4)

    def _pair(self, x: SSAValue, w: SSAValue, m: int, sums: Sequence[SSAValue]) -> list[SSAValue]:
        """One pair of input channels of m tiles."""
        b, tile = self.b, self.tile
        size = tile.lanes * 4
        kind = vector_of(i32, tile.lanes)
        vectors = [b.load(w, j * size, kind, align=size) for j in range(tile.n)]
        result = []
        for i in range(m):
            a = b.splat(b.load(x, i * self.depth * 2, i32), tile.lanes)
            for j in range(tile.n):
                result.append(b.emit(Dot2Op(sums[i * tile.n + j], a, vectors[j])))
        return result

    # --- from products to pixels ------------------------------------------------------------------

    def _finish(self, block: Index, tile: Index, number: SSAValue, m: int) -> None:
        """Pixels of tile `tile`, which is `number` in its group."""
        b, t = self.b, self.tiling
        sums = b.address(self.sums, b.mul(number, self.tile.channels * 4))
        channel = b.mul(block, self.tile.channels)
        for j in range(self.tile.n):
            bias = b.load(
                self.parameter_base,
                b.add(b.mul(channel, 4), self.bias + j * self.tile.lanes * 4),
                vector_of(i32, self.tile.lanes),
            )
            self._transform(sums, j, bias, m)
        image, rest = (f(tile, t.tile_rows * t.tile_columns) for f in (b.div, b.rem))
        row, column = b.div(rest, t.tile_columns), b.rem(rest, t.tile_columns)
        rows: Index = OUTPUTS
        if t.rows % OUTPUTS:
            rows = b.minimum(OUTPUTS, b.sub(t.rows, b.mul(row, OUTPUTS)))
        with b.loop(0, rows) as ys:
            y = b.add(b.mul(row, OUTPUTS), ys.variable)
            pixels = b.address(self.pixels, b.mul(ys.variable, OUTPUTS * self.tile.channels * 4))
            self._row(pixels, image, y, column, channel)

    def _transform(self, sums: SSAValue, j: int, bias: SSAValue, m: int) -> None:
        """4×4 pixels of vector `j`, to scratch."""
        b, v, lanes = self.b, Halves(self.b), self.tile.lanes
        kind, vector = vector_of(i32, lanes), lanes * 4
        step = m * self.tile.channels * 4
        columns = []
        for column in range(INPUTS):
            loaded = [
                b.load(sums, (INPUTS * i + column) * step + j * vector, kind, align=16)
                for i in range(INPUTS)
            ]
            columns.append(output_transform(v, loaded))
        inverse, shift = b.constant(ODD_INVERSE, i32, lanes), b.constant(SHIFT, i32, lanes)
        for i in range(OUTPUTS):
            for x, total in enumerate(output_transform(v, [c[i] for c in columns])):
                whole = b.binary(arith.MuliOp, total, inverse)
                exact = v.add(b.binary(arith.ShRSIOp, whole, shift), bias)
                b.store(exact, self.pixels, ((OUTPUTS * i + x) * self.tile.n + j) * vector)

    def _row(self, pixels: SSAValue, image: Index, y: Index, column: Index, channel: Index) -> None:
        """The pixels of one row that exist."""
        b, t = self.b, self.tiling
        rest, last = t.columns % OUTPUTS, t.tile_columns - 1
        if not rest:
            self._store(pixels, image, y, b.mul(column, OUTPUTS), OUTPUTS, channel)
        elif not last:
            self._store(pixels, image, y, 0, rest, channel)
        else:
            with b.branch(b.compare("eq", column, last)) as blocks:
                self._store(pixels, image, y, last * OUTPUTS, rest, channel)
            with b.otherwise(blocks):
                self._store(pixels, image, y, b.mul(column, OUTPUTS), OUTPUTS, channel)

    def _store(
        self, pixels: SSAValue, image: Index, y: Index, x: Index, count: int, channel: Index
    ) -> None:
        """The epilogue of `count` pixels, 16 channels at a time."""
        b = self.b
        kind, cache = vector_of(i32, LANES), dict[object, SSAValue]()
        positions = []
        for i in range(count):
            pixel = pixel_at(b, image, y, b.add(x, i))
            for c in range(0, self.tile.channels, LANES):
                total = b.load(pixels, (i * self.tile.channels + c) * 4, kind, align=16)
                at = Position(LANES, b.add(channel, c), pixel, {self.anchor: total}, None, cache)
                positions.append(at)
        self.evaluator.store(self.output, self.kernel.yielded, positions)
