"""Bᵀ d B of every tile of a Winograd convolution: u8 codes to s16 (contractions/winograd.py).

    for each tile: for each vector of channels:
      for 6 columns: t[·][column] = Bᵀ · (6 rows of codes, widened)
      for 6 rows: result[row][·] = Bᵀ · t[row][·]

Rows past the last one are read as the last one, by address. So are columns, in the last tile of a
row, where they are known beforehand.

With stride two, what is called a row or a column here is two of the image, and the channels of 2×2
pixels, up to 16, are one vector.
"""

from __future__ import annotations

from itertools import product

from xdsl.ir import SSAValue

from ...contractions.winograd import INPUTS, Tiling
from ...dialects import graph
from ...dialects.graph import ints
from ...dialects.layout import LANES
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
        self.pads, self.stride = ints(anchor.pads), anchor.pixel_stride
        self.tiling = Tiling(self.x.layout.n, *anchor.output_size, anchor.window_taps)
        depth, widest = self.output.layout.channel_stride, target.vector_bytes // 2
        self.lanes = LANES
        if self.stride == 1:
            self.lanes = next(n for n in (widest, 16, 8) if depth % n == 0)

    def generate(self, exec_type: str) -> LoweredKernel:
        b, t = self.b, self.tiling
        with b.unit_loop() as tile:
            image, rest = (f(tile, t.tile_rows * t.tile_columns) for f in (b.div, b.rem))
            row, column = b.div(rest, t.tile_columns), b.rem(rest, t.tile_columns)
            rows = self._row_addresses(image, row)
            ragged = t.columns % t.side != 0
            if not ragged or t.tile_columns == 1:
                self._tile(rows, tile, b.mul(column, t.side))
            else:
                last = t.tile_columns - 1
                with b.branch(b.compare("eq", column, last)) as blocks:
                    self._tile(rows, tile, last * t.side)
                with b.otherwise(blocks):
                    self._tile(rows, tile, b.mul(column, t.side))
        return LoweredKernel(b.finish(), b.fingerprint, (), t.tiles, exec_type)

    def _row_addresses(self, image: Index, row: Index) -> list[SSAValue]:
        """The six rows of a tile, at pixel 0."""
        b, t, layout, (top, _, bottom, _) = self.b, self.tiling, self.x.layout, self.pads
        last = layout.h + bottom - self.stride
        past = self.stride * (t.tile_rows * t.side + t.taps - 2) - top > last
        start = b.mul(image, layout.image_stride)
        addresses = []
        for i in range(INPUTS):
            y = b.add(b.mul(row, self.stride * t.side), self.stride * i - top)
            if past:
                y = b.minimum(y, last)
            offset = b.add(b.add(start, layout.origin), b.mul(y, layout.row_stride))
            addresses.append(b.address(self.x.base, offset))
        return addresses

    def _tile(self, rows: list[SSAValue], tile: Index, first: Index) -> None:
        b, layout, (_, left, _, right) = self.b, self.x.layout, self.pads
        last = layout.w + right - self.stride
        offsets: list[Index] = []
        for j in range(INPUTS):
            if isinstance(first, int):
                x = min(self.stride * (first + j) - left, last)
                offsets.append(x * layout.channel_stride)
            else:
                offsets.append((self.stride * j - left) * layout.channel_stride)
        if not isinstance(first, int):
            here = b.mul(first, self.stride * layout.channel_stride)
            rows = [b.address(row, here) for row in rows]
        place = b.address(self.output.base, b.mul(tile, self.output.layout.channel_stride * 2))
        with b.loop(0, self.output.layout.channel_stride, self.lanes) as channels:
            self._channels(rows, offsets, place, channels.variable)

    def _channels(
        self, rows: list[SSAValue], offsets: list[Index], place: SSAValue, channel: SSAValue
    ) -> None:
        """One vector of channels."""
        b, v = self.b, Lanes(self.b)
        load = self._load if self.stride == 1 else self._load_pixels
        columns = []
        for offset in offsets:
            codes = [load(row, b.add(channel, offset)) for row in rows]
            columns.append(input_transform(v, [b.convert("zext", code, i16) for code in codes]))
        output = self.output.layout
        for i in range(INPUTS):
            results = input_transform(v, [column[i] for column in columns])
            for j, result in enumerate(results):
                point = (INPUTS * i + j) * output.row_stride
                b.store(result, place, b.mul(b.add(channel, point), 2))

    def _load(self, row: SSAValue, offset: Index) -> SSAValue:
        return self.b.load(row, offset, vector_of(i8, self.lanes))

    def _load_pixels(self, row: SSAValue, offset: Index) -> SSAValue:
        """The channels of 2×2 pixels; what follows them in the vector is of no account."""
        b, layout = self.b, self.x.layout
        # Neighbours in one load, if they lie side by side.
        together = 2 if layout.channel_stride == layout.c else 1
        count = together * layout.c
        kind, result = vector_of(i8, LANES), None
        for number, (y, x) in enumerate(product(range(2), range(0, 2, together))):
            # From so far before them that they need not move to their place in the vector.
            first = number * count
            place = y * layout.row_stride + x * layout.channel_stride - first
            part = b.load(row, b.add(offset, place), kind)
            mask = [lane + LANES * (lane >= first) for lane in range(LANES)]
            result = part if result is None else b.shuffle(result, part, mask)
        assert result is not None
        return result
