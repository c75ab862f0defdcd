"""Depthwise int8 convolution: channels in lanes, four taps per dot product.

A dot product wants the four taps of a channel side by side, memory has the channels of a tap side
by side. Two rounds of byte interleaving inside 128-bit lanes transpose 4 taps × 4·L channels into
four vectors v0…v3 of L lanes; lane 4g + e of v_i then holds channel 16g + 4i + e. Constants are
packed in that order, and one byte shuffle at the end restores the natural one.

Taps are grouped by kernel column, so that the interleaved column serves every output pixel of the
tile that it is a tap of; kernels of one or two rows are grouped along the row instead.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.depthwise import Blocks, tap_groups
from ...contractions.geometry import Contraction
from ...dialects import graph
from ...dialects.layout import Layout
from ...dialects.loop import Dot4Op, DotChainOp, vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder, i8
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position


class DepthwiseGenerator:
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
        self.kernel, self.anchor, self.c = kernel, anchor, contraction
        self.weights, self.target = weights, target
        self.b = KernelBuilder(name, len(kernel.inputs) + 3)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.x = self.inputs[0]
        self.parameter_base, self.weight_base = self.b.buffers[-2:]
        self.blocks = Blocks.of(contraction.outputs, target.lanes)
        self.groups = tap_groups(contraction)
        self.tile = 4 if target.registers == 32 else 2
        order = self.blocks.order()
        self.parameters = Parameters()
        padded = np.zeros(len(order), np.int32)
        padded[: len(bias)] = bias
        self.bias = self.parameters.add(padded[order])
        self.halo = self.parameters.add(np.full(16, halo_value & 255, np.uint8))
        self.evaluator = Evaluator(
            self.b, kernel, self.inputs, self.parameters, self.parameter_base, len(order), order
        )

    def generate(self, exec_type: str) -> LoweredKernel:
        b, c = self.b, self.c
        fill_halo(b, self.output, self.parameter_base, self.halo)
        with b.unit_loop() as unit:
            image, y = b.div(unit, c.rows), b.rem(unit, c.rows)
            offset = 0
            for first, lanes, count in self.blocks.pieces:
                block_bytes = len(self.groups) * 16 * lanes
                with b.loop(0, count) as blocks:
                    channel = b.add(b.mul(blocks.variable, 4 * lanes), first)
                    panel = b.add(b.mul(blocks.variable, block_bytes), offset)
                    self._row(image, y, channel, b.address(self.weight_base, panel), lanes, first)
                offset += count * block_bytes
        return LoweredKernel(
            b.finish(),
            b.fingerprint,
            (self.parameters.blob(), self.weights),
            c.images * c.rows,
            exec_type,
        )

    def _row(
        self, image: Index, y: Index, channel: Index, weights: SSAValue, lanes: int, first: int
    ) -> None:
        """All pixels of one output row, for one block of channels."""
        b, tile = self.b, self.tile
        whole = self.c.columns // tile * tile
        if whole:
            with b.loop(0, whole, tile) as xs:
                self._pixels(image, y, xs.variable, tile, channel, weights, lanes, first)
        if self.c.columns > whole:
            rest = self.c.columns - whole
            self._pixels(image, y, whole, rest, channel, weights, lanes, first)

    def _pixels(
        self,
        image: Index,
        y: Index,
        x: Index,
        count: int,
        channel: Index,
        weights: SSAValue,
        lanes: int,
        first: int,
    ) -> None:
        """`count` neighbouring output pixels: 4·count accumulators."""
        b, c, layout = self.b, self.c, self.x.layout
        (sy, sx), (oy, ox) = c.strides, c.origin
        start = b.mul(image, layout.image_stride)
        start = b.add(start, b.mul(y, sy * layout.row_stride))
        start = b.add(start, b.mul(x, sx * layout.channel_stride))
        start = b.add(b.add(start, channel), layout.offset(0, oy, ox))
        base = b.address(self.x.base, start)
        kind = vector_of(i32, lanes)
        bias = b.add(b.mul(channel, 4), self.bias)
        # The constants of a block are more than there are registers: each is read at its use.
        constants = self._fresh(self.parameter_base)
        initial = [b.load(constants, b.add(bias, 4 * lanes * i), kind) for i in range(4)]
        sums = [list(initial) for _ in range(count)]
        for taps, uses in self._uses(count):
            columns = self._interleave(base, taps, lanes)
            panel = self._fresh(weights)
            for pixel, group in uses:
                for i in range(4):
                    offset = (group * 4 + i) * lanes * 4
                    w = b.load(panel, offset, kind, align=16)
                    sums[pixel][i] = self._multiply(sums[pixel][i], columns[i], w)
        pixels = [pixel_at(b, image, y, b.add(x, pixel)) for pixel in range(count)]
        self._finish(sums, pixels, channel, lanes, first)

    def _fresh(self, base: SSAValue) -> SSAValue:
        """Where constants are read from, here and not before. SSE, whose instructions overwrite an
        operand, needs fewer copies if all comes from the stack."""
        return base if self.target.vector_bytes == 16 else self.b.renew(base)

    def _multiply(self, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
        if self.target.dot4 is not None:
            return self.b.emit(Dot4Op(total, a, w))
        return self.b.emit(DotChainOp(total, [a], [w]))

    def _uses(self, count: int) -> list[tuple[tuple[int, ...], list[tuple[int, int]]]]:
        """Byte offsets of four taps → the (pixel, group)s that they serve, left to right."""
        layout, (_, sx) = self.x.layout, self.c.strides
        uses: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for pixel in range(count):
            for number, group in enumerate(self.groups):
                offsets = [
                    dy * layout.row_stride + (pixel * sx + dx) * layout.channel_stride
                    for dy, dx in group
                ]
                # Missing taps weigh zero, so any byte will do.
                offsets += [offsets[-1]] * (4 - len(offsets))
                uses.setdefault(tuple(offsets), []).append((pixel, number))
        return sorted(uses.items())

    def _interleave(self, base: SSAValue, taps: tuple[int, ...], lanes: int) -> list[SSAValue]:
        """Four taps of 4·lanes channels → four vectors with the taps of a channel in one lane."""
        b, size = self.b, 4 * lanes
        loaded: dict[int, SSAValue] = {}
        for tap in taps:
            if tap not in loaded:
                loaded[tap] = b.load(base, tap, vector_of(i8, size))
        t = [loaded[tap] for tap in taps]
        low = [_unpack(size, 1, high=False), _unpack(size, 1, high=True)]
        pairs = [b.shuffle(t[0], t[1], m) for m in low], [b.shuffle(t[2], t[3], m) for m in low]
        result = []
        for a, c in zip(*pairs, strict=True):
            for high in (False, True):
                merged = b.shuffle(a, c, _unpack(size, 2, high=high))
                result.append(b.bitcast(merged, i32, lanes))
        return result

    def _finish(
        self,
        sums: list[list[SSAValue]],
        pixels: list[Callable[[Layout], Index]],
        channel: Index,
        lanes: int,
        first: int,
    ) -> None:
        """Epilogue of all pixels, and back to the natural channel order."""
        places = [self.b.add(channel, i * lanes) for i in range(4)]
        positions = [
            [
                Position(lanes, place, pixel, {self.anchor: total})
                for place, total in zip(places, own, strict=True)
            ]
            for pixel, own in zip(pixels, sums, strict=True)
        ]
        room = None if self.output.padded else self.c.outputs - first
        if self.output.item != 1:
            for wide in positions:
                self._store_wide(wide, channel, room)
            return
        for some in self.evaluator.together(positions):
            self.evaluator.parameter_base = self._fresh(self.parameter_base)
            codes = self.evaluator.codes(self.kernel.yielded, some)
            for own, group in zip(codes, some, strict=True):
                natural = self.b.shuffle(own, own, _natural_order(lanes))
                offset = self.b.add(group[0].pixel(self.output.layout), channel)
                self.b.store(natural, self.output.base, offset, self._count(room, 4 * lanes))

    def _store_wide(self, positions: list[Position], channel: Index, room: int | None) -> None:
        """Elements of four bytes: four channels are together."""
        b, lanes = self.b, positions[0].lanes
        values = [self.evaluator.value(self.kernel.yielded, at) for at in positions]
        pixel = positions[0].pixel(self.output.layout)
        offset = b.mul(b.add(pixel, channel), self.output.item)
        for number in range(lanes // 4):
            for i, value in enumerate(values):
                four = b.shuffle(value, value, range(4 * number, 4 * number + 4))
                place = 16 * number + 4 * i
                left = None if room is None else max(0, min(4, room - place))
                if left != 0:
                    b.store(four, self.output.base, b.add(offset, 4 * place), left)

    @staticmethod
    def _count(room: int | None, size: int) -> int | None:
        return None if room is None or room >= size else room


def _natural_order(lanes: int) -> list[int]:
    """Where channel 16g + 4i + e is among four vectors in a row: lane 4g + e of vector i."""
    groups = range(lanes // 4)
    return [i * lanes + 4 * g + e for g in groups for i in range(4) for e in range(4)]


def _unpack(size: int, width: int, high: bool) -> list[int]:
    """Mask of punpckl/h: interleave `width`-byte elements of one half of each 16 bytes."""
    mask = []
    for lane in range(0, size, 16):
        for element in range(8 // width):
            start = lane + (8 if high else 0) + element * width
            mask += [start + i for i in range(width)]
            mask += [size + start + i for i in range(width)]
    return mask
