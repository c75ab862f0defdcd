"""The microkernel family for convolution and matmul: `m` pixels × `n` vectors of channels in registers.

    for each tile of the unit range:
      acc[m][n] = bias[n]
      for run: for k: w[n] = load; for m: a = broadcast(load 4 codes); acc[m][n] = dot4(acc, a, w[n])
      for m: codes = epilogue(acc[m]); store

The inputs of neighbouring pixels lie a fixed stride apart, so one address register serves all rows.
Weights are packed per block of n vectors as [run][k][n][lane][4], the order of their use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.layout import Layout
from ...dialects.loop import Dot4Op, vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder, i8
from ..targets import Target
from .common import LANES, LoweredKernel, Parameters, TensorBuffer, buffers_of, fill_halo
from ...contractions.geometry import Contraction, Runs, block_base, block_inputs, matrix_of, runs_of
from .evaluate import Evaluator, Position, store_lanes
from ...contractions.tile import Tile


@dataclass(frozen=True)
class Grid:
    """The output pixels as rows × columns whose addresses are linear along a row."""

    rows: int
    columns: int
    collapsed: bool  # one row of all pixels: every tensor involved is linear in the pixel number


@dataclass(frozen=True)
class PackedWeights:
    """`data`: panels of the n-blocks in order; `steps` per run; `input_base`: first channel per block."""

    data: Array
    steps: int
    block_bytes: int
    input_base: tuple[int, ...]


def grid_of(c: Contraction, layouts: list[Layout]) -> Grid:
    linear = (
        c.is_pointwise
        and c.strides == (1, 1)
        and all(layout.halo == (0, 0, 0, 0) for layout in layouts)
    )
    if linear:
        return Grid(1, c.images * c.rows * c.columns, True)
    return Grid(c.images * c.rows, c.columns, False)


def k_width(c: Contraction, runs: Runs, tile: Tile) -> int:
    """Elements per run that a block reads (with groups: the union over the block's channels)."""
    if c.groups == 1:
        return runs.length
    starts = range(0, c.outputs, tile.channels)
    return max(high - low for low, high in (block_inputs(c, s, tile.channels) for s in starts))


def pack(c: Contraction, runs: Runs, terms: list[Array], tile: Tile) -> PackedWeights:
    """Weights [O, I/g, kh, kw] (as s8 or f32 terms) in the order in which the microkernel reads them."""
    width = -(-k_width(c, runs, tile) // c.k_step) * c.k_step
    steps = width // c.k_step
    panels, bases = [], []
    vectors = -(-c.outputs // tile.lanes)
    for first_vector in range(0, vectors, tile.n):
        n = min(tile.n, vectors - first_vector)
        first, count = first_vector * tile.lanes, n * tile.lanes
        matrix = np.concatenate(
            [matrix_of(c, runs, term, first, count, width) for term in terms], axis=1
        )
        shaped = matrix.reshape(n, tile.lanes, -1, steps, c.k_step)
        panels.append(np.ascontiguousarray(shaped.transpose(2, 3, 0, 1, 4)).reshape(-1))
        bases.append(block_base(c, first, count, width) if c.groups > 1 else 0)
    data = np.concatenate(panels)
    return PackedWeights(data.view(np.uint8), steps, panels[0].nbytes, tuple(bases))


class GemmGenerator:
    """Generates one contraction kernel; the pieces below share its buffers and constants."""

    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: SSAValue,
        contraction: Contraction,
        weights: PackedWeights,
        bias: Array,
        tile: Tile,
        target: Target,
        pairs_fit: bool,
        halo_value: int,
        terms: int = 1,
    ):
        self.kernel, self.anchor, self.c, self.tile, self.target = (
            kernel, anchor, contraction, tile, target,
        )  # fmt: skip
        self.weights, self.pairs_fit = weights, pairs_fit
        self.b = KernelBuilder(name, len(kernel.inputs) + 3)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.parameter_base, self.weight_base = self.b.buffers[-2:]
        self.x = self.inputs[0]
        self.runs = runs_of(contraction, self.x.layout)
        layouts = [t.layout for t in (*self.inputs, self.output)]
        self.grid = grid_of(contraction, layouts)
        self.parameters = Parameters()
        self.channels = -(-self.c.outputs // LANES) * LANES
        self.channels = max(self.channels, self.blocks * tile.channels)
        self.bias_offset = self.parameters.add(bias, self.channels)
        offsets = [o * self.x.item for o in self.runs.offsets] * terms
        self.run_count = len(offsets)
        self.run_offsets = offsets
        self.run_table = self.parameters.add(np.asarray(offsets, np.int32))
        self.halo_value = self.parameters.add(np.full(16, halo_value & 255, np.uint8))
        self.evaluator = Evaluator(
            self.b, kernel, self.inputs, self.parameters, self.parameter_base, self.channels
        )

    @property
    def vectors(self) -> int:
        return -(-self.c.outputs // self.tile.lanes)

    @property
    def blocks(self) -> int:
        return -(-self.vectors // self.tile.n)

    @property
    def tiles_per_row(self) -> int:
        return -(-self.grid.columns // self.tile.m)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameter_base, self.halo_value)
        tiles = self.grid.rows * self.tiles_per_row
        with b.unit_loop() as unit:
            block, rest = b.div(unit, tiles), b.rem(unit, tiles)
            row, column = b.div(rest, self.tiles_per_row), b.rem(rest, self.tiles_per_row)
            self._ragged_blocks(block, row, column)
        return LoweredKernel(
            b.finish(),
            b.fingerprint,
            (self.parameters.blob(), self.weights.data),
            self.blocks * tiles,
            exec_type,
        )

    # --- which of the (at most four) tile shapes ----------------------------------------------------

    def _ragged_blocks(self, block: Index, row: Index, column: Index) -> None:
        """Whole blocks, and the narrower last one if the channels do not divide."""
        whole, rest = divmod(self.vectors, self.tile.n)
        # The last block also differs where the output has no room for the padding lanes.
        ragged_lanes = not self.output.padded and self.c.outputs % self.tile.channels != 0
        last = rest or self.tile.n
        if not rest and not ragged_lanes:
            self._ragged_columns(block, row, column, self.tile.n, None)
        elif self.blocks == 1:
            self._ragged_columns(block, row, column, last, self.c.outputs)
        else:
            b = self.b
            with b.branch(b.compare("eq", block, self.blocks - 1)) as blocks:
                self._ragged_columns(self.blocks - 1, row, column, last, self.c.outputs)
            with b.otherwise(blocks):
                self._ragged_columns(block, row, column, self.tile.n, None)

    def _ragged_columns(
        self, block: Index, row: Index, column: Index, n: int, channels: int | None
    ) -> None:
        """Whole tiles of m pixels, and the shorter one at the end of a row."""
        b, rest = self.b, self.grid.columns % self.tile.m
        if not rest:
            self._tile(block, row, column, self.tile.m, n, channels)
        elif self.tiles_per_row == 1:
            self._tile(block, row, column, rest, n, channels)
        else:
            with b.branch(b.compare("eq", column, self.tiles_per_row - 1)) as blocks:
                self._tile(block, row, self.tiles_per_row - 1, rest, n, channels)
            with b.otherwise(blocks):
                self._tile(block, row, column, self.tile.m, n, channels)

    # --- one tile -----------------------------------------------------------------------------------

    def _tile(
        self, block: Index, row: Index, column: Index, m: int, n: int, channels: int | None
    ) -> None:
        first = self.b.mul(column, self.tile.m)
        sums = self._accumulate(block, row, first, m, n)
        channel = self.b.mul(block, self.tile.channels)
        cache: dict[object, SSAValue] = {}
        for i in range(m):
            self._finish_pixel(sums[i], block, channel, row, first, i, channels, cache)

    def _input_offset(self, layout: Layout, row: Index, first: Index) -> Index:
        """Elements from the buffer's start to the origin of the tile's first window."""
        b, c = self.b, self.c
        (sy, sx), (oy, ox) = c.strides, c.origin
        if self.grid.collapsed:
            return b.add(b.mul(first, layout.channel_stride), layout.origin)
        origin = layout.offset(0, oy, ox)
        x = b.mul(first, sx * layout.channel_stride)
        image, y = b.div(row, c.rows), b.rem(row, c.rows)
        offset = b.add(b.mul(image, layout.image_stride), b.mul(y, sy * layout.row_stride))
        return b.add(b.add(offset, x), origin)

    def _output_offset(self, layout: Layout, row: Index, first: Index, i: int) -> Index:
        """Elements to pixel `first + i` of output row `row` in any layout of the result's shape."""
        b, c = self.b, self.c
        stride = layout.channel_stride if layout.w > 1 or self.grid.collapsed else 0
        if self.grid.collapsed:
            if layout.n * layout.h * layout.w == 1:
                return 0
            return b.add(b.mul(first, stride), i * stride)
        image, y = b.div(row, c.rows), b.rem(row, c.rows)
        offset = b.mul(image, layout.image_stride if layout.n > 1 else 0)
        offset = b.add(offset, b.mul(y, layout.row_stride if layout.h > 1 else 0))
        offset = b.add(offset, b.mul(first, stride))
        return b.add(offset, layout.origin + i * stride)

    def _accumulate(
        self, block: Index, row: Index, first: Index, m: int, n: int
    ) -> list[list[SSAValue]]:
        """Sums of m pixels × n vectors, bias included."""
        b, c, lanes = self.b, self.c, self.tile.lanes
        kind = vector_of(i32 if c.quantized else f32, lanes)
        bias = b.add(b.mul(block, self.tile.channels * 4), self.bias_offset)
        start = [b.load(self.parameter_base, b.add(bias, j * lanes * 4), kind) for j in range(n)]
        offset = b.mul(self._input_offset(self.x.layout, row, first), self.x.item)
        if c.groups > 1:
            table = self.parameters.add(np.asarray(self.weights.input_base, np.int32) * self.x.item)
            entry = b.load(self.parameter_base, b.add(b.mul(block, 4), table), i32)
            offset = b.add(offset, b.to_index(entry))
        x = b.address(self.x.base, offset)
        panel = b.mul(block, self.weights.block_bytes)
        w = b.address(self.weight_base, panel)
        carried = [start[j] for _ in range(m) for j in range(n)]
        run_bytes = self.weights.steps * n * lanes * 4
        if self.run_count == 1:
            sums = self._run(x, w, self.run_offsets[0], carried, m, n)
        else:
            with b.loop(0, self.run_count, carried=carried) as runs:
                entry_offset = b.add(b.mul(runs.variable, 4), self.run_table)
                jump = b.to_index(b.load(self.parameter_base, entry_offset, i32))
                w_run = b.address(w, b.mul(runs.variable, run_bytes))
                runs.next = self._run(x, w_run, jump, list(runs.carried), m, n)
            sums = list(runs.results)
        return [sums[i * n : (i + 1) * n] for i in range(m)]

    def _run(
        self, x: SSAValue, w: SSAValue, jump: Index, sums: list[SSAValue], m: int, n: int
    ) -> list[SSAValue]:
        """One run: `steps` multiply-accumulate steps over contiguous inputs."""
        b, steps = self.b, self.weights.steps
        x = b.address(x, jump)
        step_bytes = n * self.tile.lanes * 4
        unroll = next(u for u in (4, 2, 1) if steps % u == 0 and (u * m * n <= 64 or u == 1))
        if steps == unroll:
            for u in range(unroll):
                sums = self._step(x, w, 4 * u, step_bytes * u, sums, m, n)
            return sums
        with b.loop(0, steps, unroll, carried=sums) as k:
            x_k = b.address(x, b.mul(k.variable, 4))
            w_k = b.address(w, b.mul(k.variable, step_bytes))
            inner = list(k.carried)
            for u in range(unroll):
                inner = self._step(x_k, w_k, 4 * u, step_bytes * u, inner, m, n)
            k.next = inner
        return list(k.results)

    def _step(
        self,
        x: SSAValue,
        w: SSAValue,
        x_offset: int,
        w_offset: int,
        sums: list[SSAValue],
        m: int,
        n: int,
    ) -> list[SSAValue]:
        b, lanes = self.b, self.tile.lanes
        element = i32 if self.c.quantized else f32
        stride = self.x.layout.channel_stride * self.c.strides[1] * self.x.item
        kind = vector_of(element, lanes)
        weights = [b.load(w, w_offset + j * lanes * 4, kind, align=lanes * 4) for j in range(n)]
        result = []
        for i in range(m):
            a = b.splat(b.load(x, x_offset + i * stride, element), lanes)
            for j in range(n):
                result.append(self._multiply(sums[i * n + j], a, weights[j]))
        return result

    def _multiply(self, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
        if self.c.quantized:
            return self.b.emit(Dot4Op(total, a, w, self.pairs_fit))
        if self.target.fma:
            return self.b.fma(a, w, total)
        return self.b.binary(arith.AddfOp, total, self.b.binary(arith.MulfOp, a, w))

    # --- epilogue -----------------------------------------------------------------------------------

    def _finish_pixel(
        self,
        sums: list[SSAValue],
        block: Index,
        channel: Index,
        row: Index,
        first: Index,
        i: int,
        channels: int | None,
        cache: dict[object, SSAValue],
    ) -> None:
        """Epilogue and store of one pixel, in pieces of up to 16 lanes."""
        b, lanes = self.b, self.tile.lanes
        known_channel = channel if isinstance(channel, int) else 0
        group = max(1, LANES // lanes)
        j = 0
        while j < len(sums):
            size = next(s for s in (4, 2, 1) if s <= group and j + s <= len(sums))
            vector = self._join(sums[j : j + size])
            count = None
            if channels is not None and not self.output.padded:
                count = channels - known_channel - j * lanes
            at = Position(
                lanes * size,
                b.add(channel, j * lanes),
                lambda layout: self._output_offset(layout, row, first, i),
                {self.anchor: vector},
                count if count is None or count < lanes * size else None,
                cache,
            )
            store_lanes(b, self.output, self.evaluator.value(self.kernel.yielded, at), at)
            j += size

    def _join(self, vectors: list[SSAValue]) -> SSAValue:
        while len(vectors) > 1:
            lanes = vectors[0].type.get_shape()[0]  # type: ignore[attr-defined]
            mask = range(2 * lanes)
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self.b.shuffle(a, c, mask) for a, c in pairs]
        return vectors[0]

    def store(self, value: SSAValue, at: Position) -> None:
        store_lanes(self.b, self.output, value, at)
