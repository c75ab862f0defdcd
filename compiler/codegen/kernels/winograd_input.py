"""Bᵀ d B of every tile of a Winograd convolution: u8 codes to s16 (contractions/winograd.py).

    for each tile: for each vector of channels:
      for 6 columns: t[·][column] = Bᵀ · (6 rows of codes, widened)
      for 6 rows: result[row][·] = Bᵀ · t[row][·]

Rows past the last one are read as the last one, by address. So are columns, in the last tile of a
row, where they are known beforehand.
"""

from __future__ import annotations

from xdsl.ir import SSAValue

from ...contractions.winograd import INPUTS, OUTPUTS, Tiling
from ...dialects import graph
from ...dialects.graph import ints
from ...dialects.loop import vector_of
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import LoweredKernel, buffers_of
from .winograd_transforms import Lanes, input_transform


class WinogradInputGenerator:
    """One unit is one tile."""

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: graph.WinogradInputOp, target: Target
    ):
        self.b = KernelBuilder(name, len(kernel.inputs) + 1)
        (self.x,), self.output = buffers_of(kernel, self.b)
        self.pads = ints(anchor.pads)
        self.tiling = Tiling(self.x.layout.n, *anchor.output_size)
        depth = self.output.layout.channel_stride
        self.lanes = next(n for n in (target.vector_bytes // 2, 16, 8) if depth % n == 0)

    def generate(self, exec_type: str) -> LoweredKernel:
        b, t = self.b, self.tiling
        with b.unit_loop() as tile:
            image, rest = (f(tile, t.tile_rows * t.tile_columns) for f in (b.div, b.rem))
            row, column = b.div(rest, t.tile_columns), b.rem(rest, t.tile_columns)
            rows = self._row_addresses(image, row)
            ragged = t.columns % OUTPUTS != 0
            if not ragged or t.tile_columns == 1:
                self._tile(rows, tile, b.mul(column, OUTPUTS), range(INPUTS))
            else:
                last = t.tile_columns - 1
                with b.branch(b.compare("eq", column, last)) as blocks:
                    self._tile(rows, tile, last * OUTPUTS, range(INPUTS))
                with b.otherwise(blocks):
                    self._tile(rows, tile, b.mul(column, OUTPUTS), range(INPUTS))
        return LoweredKernel(b.finish(), b.fingerprint, (), t.tiles, exec_type)

    def _row_addresses(self, image: Index, row: Index) -> list[SSAValue]:
        """The six rows of a tile, at pixel 0."""
        b, layout, (top, _, bottom, _) = self.b, self.x.layout, self.pads
        last = layout.h + bottom - 1
        past = self.tiling.tile_rows * OUTPUTS + 1 - top > last
        start = b.mul(image, layout.image_stride)
        addresses = []
        for i in range(INPUTS):
            y = b.add(b.mul(row, OUTPUTS), i - top)
            if past:
                y = b.minimum(y, last)
            offset = b.add(b.add(start, layout.origin), b.mul(y, layout.row_stride))
            addresses.append(b.address(self.x.base, offset))
        return addresses

    def _tile(self, rows: list[SSAValue], tile: Index, first: Index, columns: range) -> None:
        b, layout, (_, left, _, right) = self.b, self.x.layout, self.pads
        last = layout.w + right - 1
        offsets: list[Index] = []
        for j in columns:
            x = b.add(first, j - left)
            if isinstance(x, int):
                x = min(x, last)
                offsets.append(x * layout.channel_stride)
            else:
                offsets.append((j - left) * layout.channel_stride)
        if not isinstance(first, int):
            rows = [b.address(row, b.mul(first, layout.channel_stride)) for row in rows]
        place = b.address(self.output.base, b.mul(tile, self.output.layout.channel_stride * 2))
        with b.loop(0, self.output.layout.channel_stride, self.lanes) as channels:
            self._channels(rows, offsets, place, channels.variable)

    def _channels(
        self, rows: list[SSAValue], offsets: list[Index], place: SSAValue, channel: SSAValue
    ) -> None:
        """One vector of channels."""
        b, v = self.b, Lanes(self.b)
        columns = []
        for offset in offsets:
            codes = [b.load(row, b.add(channel, offset), vector_of(i8, self.lanes)) for row in rows]
            columns.append(input_transform(v, [b.convert("zext", code, i16) for code in codes]))
        output = self.output.layout
        for i in range(INPUTS):
            results = input_transform(v, [column[i] for column in columns])
            for j, result in enumerate(results):
                point = (INPUTS * i + j) * output.row_stride
                b.store(result, place, b.mul(b.add(channel, point), 2))
