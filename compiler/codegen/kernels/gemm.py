"""Contraction kernels: tiles of `m` pixels × `n` vectors of channels, kept in registers to the end.

    for each m pixels of the unit range:
      widen their inputs, if weights are halves
      for each block of channels:
        sum[m][n] = bias[n]
        accumulate all steps of the block (accumulate.py, chains.py)
        for m: codes = epilogue(sum[m]); store

Tiles of the same pixels follow one another, for a group of blocks whose weights stay in the
second-level cache: inputs come from the first-level one, weights are read in the order of memory,
as prefetchers like it, and outputs are neighbours. Where a group is a single block, the tiles of a
row follow one another. What differs in shape is cut off at the ends of loops (tile_shapes.py), so
that a tile works out no more than what is its own.

The inputs of neighbouring pixels lie a fixed stride apart, so one address register serves all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...contractions.geometry import Contraction, grid_of, runs_of
from ...contractions.packing import PackedGemm, blocks_of, input_bases
from ...contractions.tile import LINE, even_pieces
from ...dialects import graph
from ...dialects.layout import LANES, Layout
from ...dialects.loop import vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder, Units
from ..targets import Target
from .accumulate import (
    Accumulator,
    Ahead,
    HalvesAccumulator,
    NaturalAccumulator,
    Panel,
    Work,
)
from .chains import WindowsAccumulator
from .common import LoweredKernel, Parameters, buffers_of, fill_halo, read_beside, roomy
from .evaluate import Evaluator, Position
from .tile_shapes import TileShapes

#: Bytes of the next panel per step below which many tiles share one, and waiting for it is cheap.
_LEAST_AHEAD = 2
#: Weights of a group of blocks: half of a usual second-level cache.
_GROUP_BYTES = 256 << 10


@dataclass(frozen=True)
class Block:
    """What all tiles of a block of n vectors want to know of it: the address of its panel's
    weights, its part of them, the bytes of a step from there to its own, and what sums begin with.

    `channels`: of the layer, if it may have fewer than the block has room for."""

    number: Index
    channels: int | None
    panel: Panel
    base: SSAValue
    part: Index
    within: Index
    bias: Sequence[SSAValue]

    @property
    def n(self) -> int:
        return len(self.bias)


class GemmGenerator:
    """Generates one contraction kernel; the pieces below share its buffers and constants."""

    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: SSAValue,
        contraction: Contraction,
        packed: PackedGemm,
        bias: Array,
        target: Target,
        halo_codes: Array,
    ):
        self.kernel, self.anchor, self.c = kernel, anchor, contraction
        self.packed, self.tile, self.bias = packed, packed.block, bias
        ordered = packed.orders is not None
        self.b = KernelBuilder(name, len(kernel.inputs) + 3 + ordered)
        self.inputs, self.output = buffers_of(kernel, self.b)
        constants = self.b.buffers[len(kernel.inputs) + 1 :]
        self.parameter_base, self.weight_base = constants[:2]
        self.x = self.inputs[0]
        self.roomy = roomy(read_beside(anchor, kernel, self.inputs), self.output)
        runs = runs_of(contraction, self.x.layout)
        self.grid = grid_of(contraction, [t.layout for t in (*self.inputs, self.output)])
        self.parameters = Parameters()
        self.channels = -(-self.c.outputs // LANES) * LANES
        self.channels = max(self.channels, self.blocks * self.tile.channels)
        self.bias_offset = self.parameters.add(self.first_sums, self.channels)
        self.halo_codes = halo_codes
        self.input_base = input_bases(contraction, runs, self.tile)
        #: In a blob of their own if they differ in size between layers of one shape.
        self.tables = Parameters() if ordered else self.parameters
        table_base = constants[-1] if ordered else self.parameter_base
        self.accumulator = self.accumulator_kind(
            self.b, contraction, runs, packed, self.x, self.tables, table_base, target
        )
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.parameter_base, self.channels
        )

    @property
    def first_sums(self) -> Array:
        """What sums begin with, per channel."""
        return self.bias

    @property
    def accumulator_kind(self) -> type[Accumulator]:
        if self.packed.in_halves:
            return HalvesAccumulator
        return NaturalAccumulator if self.packed.orders is None else WindowsAccumulator

    @property
    def vectors(self) -> int:
        return -(-self.c.outputs // self.tile.lanes)

    @property
    def blocks(self) -> int:
        return -(-self.vectors // self.tile.n)

    @cached_property
    def blocks_of_group(self) -> int:
        """A divisor of their number, so that groups are alike."""
        most = max(1, _GROUP_BYTES // self._block_bytes)
        sizes = [size for size in range(1, self.blocks + 1) if self.blocks % size == 0]
        sizes = [size for size in sizes if size % self.least_group == 0] or [self.blocks]
        return max((size for size in sizes if size <= most), default=sizes[0])

    @property
    def least_group(self) -> int:
        """What the blocks of a group are a multiple of, where that is possible."""
        return 1

    @cached_property
    def shapes(self) -> TileShapes:
        rest, channels = self.vectors % self.tile.n, self.c.outputs
        # The last block also differs where a tensor has no room for the padding lanes.
        is_whole = not rest and (self.roomy or channels % self.tile.channels == 0)
        last = None if is_whole else (rest or self.tile.n, channels)
        return TileShapes(self.b, self.blocks, self.tile.n, last, tuple(self.row_tiles))

    @property
    def tiles_per_row(self) -> int:
        return sum(count for count, _ in self.row_tiles)

    @property
    def row_tiles(self) -> list[tuple[int, int]]:
        """(count, pixels) of a row's tiles: the larger ones, then those a pixel shorter."""
        return even_pieces(self.grid.columns, self.tile.m)

    def generate(self, exec_type: str) -> LoweredKernel:
        b = self.b
        fill_halo(b, self.output, self.parameters, self.parameter_base, self.halo_codes)
        units = self.emit_units()
        constants = [self.parameters.blob(), self.packed.data]
        if self.tables is not self.parameters:
            constants.append(self.tables.blob())
        return LoweredKernel(b.finish(), b.fingerprint, tuple(constants), units, exec_type)

    def emit_units(self) -> int:
        """The loops over units: how many there are."""
        rows, columns, size = self.grid.rows, self.tiles_per_row, self.blocks_of_group
        groups = self.blocks // size
        if size == 1:
            self._emit_rows(groups, rows, columns)
        else:
            with self.b.nested_unit_loop(groups, rows, columns, size) as units:
                group, row, column = units.places
                self._emit_blocks(units, self.b.mul(group, size), row, column)
        return self.blocks * rows * columns

    def _emit_rows(self, groups: int, rows: int, columns: int) -> None:
        """Each block by itself: the tiles of a row are neighbours."""
        with self.b.nested_unit_loop(groups, rows, columns) as units:
            number, row = units.places

            def emit(number: Index, n: int, channels: int | None) -> None:
                block = self.open_block(number, n, channels)

                def tile(_: Index, first: Index, m: int) -> None:
                    self._begin_pixels(row, first, m)
                    self.emit_tile(block, row, first, m)

                self.shapes.each_of_row(units.low, units.high, 0, tile)

            self.shapes.by_width(number, emit)

    def _emit_blocks(self, units: Units, before: Index, row: Index, column: Index) -> None:
        """Some blocks, so many of which are in the groups before, for one tile of a row."""

        def emit(first: Index, m: int) -> None:
            self._begin_pixels(row, first, m)

            def tile(number: Index, n: int, channels: int | None) -> None:
                self.emit_tile(self.open_block(number, n, channels), row, first, m)

            self.shapes.each_block(units.low, units.high, before, tile)

        self.shapes.by_pixels(column, emit)

    def _begin_pixels(self, row: Index, first: Index, m: int) -> None:
        """What all blocks want to be done for m pixels."""
        if isinstance(self.accumulator, HalvesAccumulator):
            self.accumulator.widen(self.window(row, first), m)

    # --- one tile ---------------------------------------------------------------------------------

    def open_block(self, number: Index, n: int, channels: int | None) -> Block:
        """Reads and works out what its tiles have in common, outside of their loop."""
        b, share, size = self.b, self.packed.share, self.tile.lanes * 4
        kind = vector_of(i32 if self.c.quantized else f32, self.tile.lanes)
        start = b.add(b.mul(number, self.tile.channels * 4), self.bias_offset)
        bias = [b.load(self.parameter_base, b.add(start, j * size), kind) for j in range(n)]
        panel, part = self.accumulator.open_panel(b.div(number, share)), b.rem(number, share)
        base = b.address(self.weight_base, self.accumulator.panel_start(panel, self._panel_step))
        return Block(number, channels, panel, base, part, b.mul(part, n * size), bias)

    def emit_tile(self, block: Block, row: Index, first: Index, m: int) -> None:
        """Pixels [first, first + m) of a row × one block."""
        sums = self._accumulate(block, row, first, m)
        channel = self.b.mul(block.number, self.tile.channels)
        cache: dict[object, SSAValue] = {}
        size = self._vectors_at_once(block.n)
        positions = [
            at
            for i in range(m)
            for at in self._positions(sums[i], size, channel, row, first, i, block.channels, cache)
        ]
        self.evaluator.store(self.output, self.kernel.yielded, positions)

    def _input_offset(self, layout: Layout, row: Index, first: Index) -> Index:
        """Elements from the buffer's start to the origin of the tile's first window."""
        b, c = self.b, self.c
        (sy, sx), (oy, ox) = c.strides, c.origin
        if self.grid.collapsed:
            return b.add(b.mul(first, layout.channel_stride), layout.origin)
        origin = layout.offset(0, oy, ox)
        x = b.mul(first, sx * layout.channel_stride)
        image, y = self._image_and_row(row)
        offset = b.add(b.mul(image, layout.image_stride), b.mul(y, sy * layout.row_stride))
        return b.add(b.add(offset, x), origin)

    def _output_offset(self, layout: Layout, row: Index, first: Index, i: int) -> Index:
        """Elements to pixel `first + i` of output row `row` in any layout of the result's shape."""
        b, stride = self.b, layout.channel_stride
        if self.grid.collapsed:
            if layout.n * layout.h * layout.w == 1:
                return 0
            return b.add(b.mul(first, stride), i * stride)
        return self._pixel_offset(layout, row, first, i)

    def _pixel_offset(self, layout: Layout, row: Index, first: Index, i: int) -> Index:
        """The same where rows are apart: `row` counts those of all images."""
        b = self.b
        stride = layout.channel_stride if layout.w > 1 else 0
        image, y = self._image_and_row(row)
        offset = b.mul(image, layout.image_stride if layout.n > 1 else 0)
        offset = b.add(offset, b.mul(y, layout.row_stride if layout.h > 1 else 0))
        offset = b.add(offset, b.mul(first, stride))
        return b.add(offset, layout.origin + i * stride)

    def _image_and_row(self, row: Index) -> tuple[Index, Index]:
        """Of a row among those of all images."""
        if self.c.images == 1:
            return 0, row
        return self.b.div(row, self.c.rows), self.b.rem(row, self.c.rows)

    def _accumulate(self, block: Block, row: Index, first: Index, m: int) -> list[list[SSAValue]]:
        """Sums of m pixels × the block's vectors, bias included."""
        b, n, lanes = self.b, block.n, self.tile.lanes
        x = self.tile_inputs(block.number, row, first, m)
        w = b.address(block.base, block.within)
        ahead = self._ahead(block, row, first)
        stride = self.packed.share * n * lanes * 4
        work = Work(x, w, block.panel, m, n, stride, block.within, ahead)
        sums = self.accumulator.run(work, [*block.bias] * m)
        return [sums[i * n : (i + 1) * n] for i in range(m)]

    def tile_inputs(self, block: Index, row: Index, first: Index, m: int) -> SSAValue:
        """Where the accumulator finds the inputs of the tile."""
        b = self.b
        if isinstance(self.accumulator, HalvesAccumulator):
            # Else LLVM keeps codes in registers that it does not have, and shuffles them.
            return b.renew(self.accumulator.widened)
        x = self.window(row, first)
        if self.c.groups > 1:
            table = self.parameters.add(np.asarray(self.input_base, np.int32) * self.x.item)
            entry = b.load(self.parameter_base, b.add(b.mul(block, 4), table), i32)
            x = b.address(x, b.to_index(entry))
        return x

    def window(self, row: Index, pixel: Index) -> SSAValue:
        """The address of a pixel's window."""
        offset = self.b.mul(self._input_offset(self.x.layout, row, pixel), self.x.item)
        return self.b.address(self.x.base, offset)

    @property
    def _panel_step(self) -> int:
        """Bytes of a step of a whole panel (the last may be smaller, if blocks do not share it)."""
        _, n = blocks_of(self.c, self.packed.tile)[0]
        return n * self.tile.lanes * 4

    @property
    def _block_bytes(self) -> int:
        """A block's share of a panel."""
        return self.packed.typical_steps * self._panel_step // self.packed.share

    @property
    def _group_bytes(self) -> int:
        """From a panel to the one in its place in the next group, roughly."""
        return self.blocks_of_group * self._block_bytes

    def _ahead(self, block: Block, row: Index, first: Index) -> Ahead | None:
        """The tile's share of the weights after the group's, in proportion to its pixels: of the
        block in the place of its own.

        Behind the last panel lies, as a rule, what the next kernel reads. One pixel reads its
        weights as fast as they come."""
        b, pixels = self.b, self.grid.rows * self.grid.columns
        if pixels == 1:
            return None
        per_step = -(-self.tile.channels * 4 * self.tile.m // pixels)
        if not _LEAST_AHEAD <= per_step <= LINE:
            return None
        per_pixel = -(-self._block_bytes // pixels)
        pixel = b.add(b.mul(row, self.grid.columns), first)
        start = b.add(b.mul(pixel, per_pixel), b.mul(block.part, self._block_bytes))
        start = b.add(start, self._group_bytes)
        return Ahead(b.address(block.base, start), per_step)

    # --- epilogue ---------------------------------------------------------------------------------

    def _vectors_at_once(self, n: int) -> int:
        """Vectors of a pixel that the epilogue joins: up to 16 lanes, and all pixels alike."""
        group = max(1, LANES // self.tile.lanes)
        return next(size for size in (4, 2, 1) if size <= group and n % size == 0)

    def _positions(
        self,
        sums: list[SSAValue],
        size: int,
        channel: Index,
        row: Index,
        first: Index,
        i: int,
        channels: int | None,
        cache: dict[object, SSAValue],
    ) -> list[Position]:
        """Where the sums of one pixel belong, `size` vectors at a time."""
        b, lanes = self.b, self.tile.lanes
        known_channel = channel if isinstance(channel, int) else 0
        positions = []
        for j in range(0, len(sums), size):
            count = None
            if channels is not None and not self.roomy:
                count = channels - known_channel - j * lanes
            positions.append(
                Position(
                    lanes * size,
                    b.add(channel, j * lanes),
                    lambda layout: self._output_offset(layout, row, first, i),
                    {self.anchor: b.joined(sums[j : j + size])},
                    count if count is None or count < lanes * size else None,
                    cache,
                )
            )
        return positions
