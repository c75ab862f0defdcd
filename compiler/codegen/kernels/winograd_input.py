"""Bᵀ d B of every tile of a Winograd convolution: u8 codes to s16 (contractions/winograd.py).

    for each tile: for each vector of channels:
      for 6 columns: t[·][column] = Bᵀ · (6 rows of codes, widened)
      for 6 rows: result[row][·] = Bᵀ · t[row][·]

Short tiles have 5 rows or columns of codes, and zeros for the points that they do not have. Rows
past the last one are read as the last one, by address. So are columns, in the last tile of a row,
where they are known beforehand.

With stride two, what is called a row or a column here is two of the image, and the channels of 2×2
pixels, up to 16, are one vector.
"""

from __future__ import annotations

from itertools import product

from xdsl.ir import SSAValue

from ...contractions.winograd_tiling import INPUTS, Part, Span, Tiling
from ...dialects import graph
from ...dialects.graph import ints
from ...dialects.layout import LANES
from ...dialects.loop import vector_of
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import LoweredKernel, buffers_of
from .winograd_parts import Place, by_part, place_of
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
        b, parts = self.b, self.tiling.parts
        with b.unit_loop() as tile:
            ends = [part.end for part in parts]
            by_part(b, tile, ends, parts, lambda part: self._tile_of(part, tile))
        return LoweredKernel(b.finish(), b.fingerprint, (), self.tiling.tiles, exec_type)

    def _tile_of(self, part: Part, tile: Index) -> None:
        b, place = self.b, place_of(self.b, part, tile)
        rows, last = self._row_addresses(part.rows, place), part.columns.tiles - 1
        if not part.columns.is_ragged or not last:
            self._tile(rows, tile, part.columns, place.x)
            return
        with b.branch(b.compare("eq", place.column, last)) as blocks:
            self._tile(rows, tile, part.columns, last * part.columns.side)
        with b.otherwise(blocks):
            self._tile(rows, tile, part.columns, place.x)

    def _row_addresses(self, rows: Span, place: Place) -> list[SSAValue]:
        """The rows of a tile's inputs, at pixel 0."""
        b, layout, (top, _, bottom, _) = self.b, self.x.layout, self.pads
        start = b.mul(place.image, layout.image_stride)
        addresses = []
        for i in range(rows.points):
            y = b.add(b.mul(place.y, self.stride), self.stride * i - top)
            if rows.is_ragged:
                y = b.minimum(y, layout.h + bottom - self.stride)
            offset = b.add(b.add(start, layout.origin), b.mul(y, layout.row_stride))
            addresses.append(b.address(self.x.base, offset))
        return addresses

    def _tile(self, rows: list[SSAValue], tile: Index, columns: Span, first: Index) -> None:
        b, layout, (_, left, _, right) = self.b, self.x.layout, self.pads
        last = layout.w + right - self.stride
        offsets: list[Index] = []
        for j in range(columns.points):
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
        output, zero = self.output.layout, b.constant(0, i16, self.lanes)
        for i in range(INPUTS):
            results = []
            if i < len(rows):
                results = input_transform(v, [column[i] for column in columns])
            for j in range(INPUTS):
                point = (INPUTS * i + j) * output.row_stride
                result = results[j] if j < len(results) else zero
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
