"""Depthwise int8 convolution by products of 16-bit halves, for any weights (no VNNI).

Sixteen channels lie side by side in memory. Interleaving the bytes of two pixels and widening them
gives lanes of two halves, one channel to a lane, in natural order (contractions/depthwise_halves.py
says which pixels):

    for each row of pixels: for each block of 16 channels: for each few output pixels:
      sum[pixel] = bias
      for pairs of input pixels, left to right:
        halves = widen(interleave(pair))
        for the output pixels that they are under: sum[pixel] += dot2(halves, weights)
      codes = epilogue(sum); store
"""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.depthwise_halves import tap_pairs
from ...contractions.geometry import Contraction
from ...contractions.tile import even_pieces
from ...dialects import graph
from ...dialects.layout import LANES
from ...dialects.loop import Dot2Op, vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder, i8, i16
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position

#: More pixels at a time share little more of what is interleaved.
_MOST_PIXELS = 8

#: Byte offsets of the two inputs, and (pixel, group) for each use of them.
Pair = tuple[tuple[int, int], list[tuple[int, int]]]


class DepthwiseHalvesGenerator:
    """One unit is one output row of one image."""

    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: SSAValue,
        contraction: Contraction,
        weights: Array,
        bias: Array,
        target: Target,
        halo_value: int,
    ):
        self.kernel, self.anchor, self.c, self.weights = kernel, anchor, contraction, weights
        self.b = KernelBuilder(name, len(kernel.inputs) + 3)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.x = self.inputs[0]
        self.parameter_base, self.weight_base = self.b.buffers[-2:]
        self.pairs = tap_pairs(contraction)
        self.lanes = min(target.lanes, LANES)
        self.pieces = LANES // self.lanes
        # The sums; one interleaved pair and a product are in registers as well.
        self.tile = min(_MOST_PIXELS, (target.registers - 2) // self.pieces - 1)
        channels = -(-contraction.outputs // LANES) * LANES
        self.parameters = Parameters()
        self.bias = self.parameters.add(bias, channels)
        self.halo = self.parameters.add(np.full(16, halo_value & 255, np.uint8))
        self.evaluator = Evaluator(
            self.b, kernel, self.inputs, self.parameters, self.parameter_base, channels
        )

    def generate(self, exec_type: str) -> LoweredKernel:
        b, c = self.b, self.c
        fill_halo(b, self.output, self.parameter_base, self.halo)
        whole = -(-c.outputs // LANES) if self.output.padded else c.outputs // LANES
        with b.unit_loop() as unit:
            image, y = b.div(unit, c.rows), b.rem(unit, c.rows)
            with b.loop(0, whole) as blocks:
                self._row(image, y, blocks.variable, None)
            if whole * LANES < c.outputs:
                self._row(image, y, whole, c.outputs - whole * LANES)
        constants = (self.parameters.blob(), self.weights)
        units = c.images * c.rows
        return LoweredKernel(b.finish(), b.fingerprint, constants, units, exec_type)

    def _row(self, image: Index, y: Index, block: Index, count: int | None) -> None:
        """All pixels of one output row, for one block of channels."""
        b, start = self.b, 0
        for number, size in even_pieces(self.c.columns, self.tile):
            with b.loop(0, number) as tiles:
                first = b.add(b.mul(tiles.variable, size), start)
                self._pixels(image, y, first, size, block, count)
            start += number * size

    def _pixels(
        self, image: Index, y: Index, x: Index, size: int, block: Index, count: int | None
    ) -> None:
        """`size` neighbouring output pixels."""
        b, c, layout = self.b, self.c, self.x.layout
        (sy, sx), (oy, ox) = c.strides, c.origin
        channel = b.mul(block, LANES)
        start = b.mul(image, layout.image_stride)
        start = b.add(start, b.mul(y, sy * layout.row_stride))
        start = b.add(start, b.mul(x, sx * layout.channel_stride))
        base = b.address(self.x.base, b.add(b.add(start, channel), layout.offset(0, oy, ox)))
        weights = b.address(self.weight_base, b.mul(block, len(self.pairs) * LANES * 4))
        sums = self._sums(base, weights, channel, size)
        cache: dict[object, SSAValue] = {}
        positions = [
            Position(
                LANES,
                channel,
                pixel_at(b, image, y, b.add(x, i)),
                {self.anchor: self._joined(own)},
                count,
                cache,
            )
            for i, own in enumerate(sums)
        ]
        self.evaluator.store(self.output, self.kernel.yielded, positions)

    def _sums(
        self, base: SSAValue, weights: SSAValue, channel: Index, size: int
    ) -> list[list[SSAValue]]:
        """Per pixel: the sums of 16 channels, in pieces of a register."""
        b, lanes = self.b, self.lanes
        kind, bias = vector_of(i32, lanes), b.add(b.mul(channel, 4), self.bias)
        initial = [
            b.load(self.parameter_base, b.add(bias, piece * lanes * 4), kind)
            for piece in range(self.pieces)
        ]
        sums = [list(initial) for _ in range(size)]
        for offsets, uses in self._uses(size):
            halves = self._halves(base, offsets)
            for pixel, group in uses:
                for piece in range(self.pieces):
                    place = (group * LANES + piece * lanes) * 4
                    w = b.load(weights, place, kind, align=4 * lanes)
                    sums[pixel][piece] = b.emit(Dot2Op(sums[pixel][piece], halves[piece], w))
        return sums

    def _uses(self, size: int) -> list[Pair]:
        """What each pair of input pixels is used for, left to right."""
        layout, (_, sx) = self.x.layout, self.c.strides
        uses: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for pixel in range(size):
            for group, (first, second, _) in enumerate(self.pairs):
                (y0, x0), (y1, x1) = (
                    (dy * layout.row_stride, (pixel * sx + dx) * layout.channel_stride)
                    for dy, dx in (first, second)
                )
                uses.setdefault((y0 + x0, y1 + x1), []).append((pixel, group))
        across = layout.row_stride
        return sorted(uses.items(), key=lambda item: (item[0][0] % across, item[0]))

    def _halves(self, base: SSAValue, offsets: tuple[int, int]) -> list[SSAValue]:
        """The codes of two pixels as halves of 16 lanes, in pieces of a register."""
        b, lanes = self.b, self.lanes
        a, c = (b.load(base, offset, vector_of(i8, LANES)) for offset in offsets)
        pieces = []
        for start in range(0, LANES, lanes):
            mask = [i for lane in range(start, start + lanes) for i in (lane, LANES + lane)]
            wide = b.convert("zext", b.shuffle(a, c, mask), i16)
            pieces.append(b.bitcast(wide, i32, lanes))
        return pieces

    def _joined(self, pieces: list[SSAValue]) -> SSAValue:
        lanes = self.lanes
        while len(pieces) > 1:
            pairs = zip(pieces[::2], pieces[1::2], strict=True)
            pieces = [self.b.shuffle(low, high, range(2 * lanes)) for low, high in pairs]
            lanes *= 2
        return pieces[0]
