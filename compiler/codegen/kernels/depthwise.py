"""Depthwise int8 convolution: channels in lanes, four taps per dot product.

A dot product wants the four taps of a channel side by side, memory has the channels of a tap side
by side. Two rounds of byte interleaving inside 128-bit lanes transpose 4 taps × 4·L channels into
four vectors v0…v3 of L lanes; lane 4g + e of v_i then holds channel 16g + 4i + e. Constants are
packed in that order, and byte shuffles at the end restore the natural one.

Taps are grouped by kernel column, so that the interleaved column serves every output pixel of the
tile that it is a tap of; kernels of one or two rows are grouped along the row instead.

    for each row of pixels: for each block of 4·L channels: for each few output pixels:
      for each share of v0…v3, so many that the sums of all pixels are in registers:
        sum[pixel] = bias
        for groups of taps, left to right:
          v = interleave(taps)
          for the output pixels that they are under: sum[pixel] += dot(v, weights)
        codes = epilogue(sum)
      store the codes of all shares in natural order
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.depthwise import Blocks, Tap, tap_groups
from ...contractions.geometry import Contraction
from ...contractions.tile import pieces
from ...dialects import graph
from ...dialects.layout import Layout
from ...dialects.loop import Dot4Op, DotChainOp, vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder, i8
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo, unpack_mask
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
        halo_codes: Array,
    ):
        self.kernel, self.anchor, self.c = kernel, anchor, contraction
        self.weights, self.target = weights, target
        self.b = KernelBuilder(name, len(kernel.inputs) + 3)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.x = self.inputs[0]
        self.parameter_base, self.weight_base = self.b.buffers[-2:]
        self.blocks = Blocks.of(contraction.outputs, target.lanes)
        self.groups = self.groups_of(contraction)
        #: Vectors of a block whose sums are in registers together, and of how many pixels.
        self.share = 4 if target.registers == 32 else 2
        self.tile = 4
        #: How many columns are interleaved before they are needed, where there are registers.
        self.ahead = int(target.registers == 32 and target.dot4 is None)
        order = self.blocks.order()
        self.parameters = Parameters()
        padded = np.zeros(len(order), np.int32)
        padded[: len(bias)] = bias
        self.bias = self.parameters.add(padded[order])
        self.halo_codes = halo_codes
        self.evaluator = Evaluator(
            self.b,
            target,
            kernel,
            self.inputs,
            self.parameters,
            self.parameter_base,
            len(order),
            order,
        )

    @staticmethod
    def groups_of(c: Contraction) -> tuple[tuple[Tap, ...], ...]:
        return tap_groups(c)

    def generate(self, exec_type: str) -> LoweredKernel:
        b, c = self.b, self.c
        fill_halo(b, self.output, self.parameters, self.parameter_base, self.halo_codes)
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
        b, start = self.b, 0
        for number, size in pieces(self.c.columns, self.tile):
            with b.loop(0, number) as tiles:
                x = b.add(b.mul(tiles.variable, size), start)
                self._pixels(image, y, x, size, channel, weights, lanes, first)
            start += number * size

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
        """`count` neighbouring output pixels, a share of the vectors at a time."""
        b, c, layout = self.b, self.c, self.x.layout
        (sy, sx), (oy, ox) = c.strides, c.origin
        start = b.mul(image, layout.image_stride)
        start = b.add(start, b.mul(y, sy * layout.row_stride))
        start = b.add(start, b.mul(x, sx * layout.channel_stride))
        start = b.add(b.add(start, channel), layout.offset(0, oy, ox))
        base = b.address(self.x.base, start)
        pixels = [pixel_at(b, image, y, b.add(x, pixel)) for pixel in range(count)]
        room = None if self.output.padded else c.outputs - first
        codes = []
        for i in range(0, 4, self.share):
            vectors = range(i, i + self.share)
            # LLVM would keep the inputs of the first share for the next, on the stack.
            own = b.renew(base) if i else base
            sums = self._sums(own, weights, count, channel, lanes, vectors)
            positions = self._positions(sums, pixels, channel, lanes, vectors)
            if self.output.item == 1:
                codes.append(self._codes(positions, lanes))
            else:
                self._store_wide(positions, channel, vectors, room)
        if codes:
            self._store(codes, pixels, channel, lanes, room)

    def _sums(
        self,
        base: SSAValue,
        weights: SSAValue,
        count: int,
        channel: Index,
        lanes: int,
        vectors: range,
    ) -> list[list[SSAValue]]:
        """Per pixel: the sums of a share of the vectors."""
        b, kind = self.b, vector_of(i32, lanes)
        bias = b.add(b.mul(channel, 4), self.bias)
        # The constants of a block are more than there are registers: each is read at its use.
        constants = b.renew(self.parameter_base)
        initial = [b.load(constants, b.add(bias, 4 * lanes * i), kind) for i in vectors]
        sums = [list(initial) for _ in range(count)]
        steps = self._uses(count)
        columns: list[list[SSAValue]] = []
        for number, (_, uses) in enumerate(steps):
            for taps, _ in steps[len(columns) : number + 1 + self.ahead]:
                columns.append(self._columns(base, taps, lanes, vectors))
            panel = b.renew(weights)
            for pixel, group in uses:
                for n, i in enumerate(vectors):
                    w = b.load(panel, (group * 4 + i) * lanes * 4, kind, align=16)
                    sums[pixel][n] = self._multiply(sums[pixel][n], columns[number][n], w)
        return sums

    def _columns(
        self, base: SSAValue, taps: tuple[int, ...], lanes: int, vectors: range
    ) -> list[SSAValue]:
        """Taps as dot products want them; if they are ahead of their use, they shall stay there."""
        interleaved = self._interleave(base, taps, lanes, vectors)
        return [self.b.pin(v) for v in interleaved] if self.ahead else interleaved

    def _multiply(self, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
        if self.target.dot4 is not None:
            return self.b.emit(Dot4Op(total, a, w))
        return self.b.pin(self.b.emit(DotChainOp(total, [a], [w])))

    def _uses(self, count: int) -> list[tuple[tuple[int, ...], list[tuple[int, int]]]]:
        """Byte offsets of a group's taps → the (pixel, group)s that they serve, left to right."""
        layout, (_, sx) = self.x.layout, self.c.strides
        uses: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for pixel in range(count):
            for number, group in enumerate(self.groups):
                offsets = tuple(
                    dy * layout.row_stride + (pixel * sx + dx) * layout.channel_stride
                    for dy, dx in group
                )
                uses.setdefault(offsets, []).append((pixel, number))
        return sorted(uses.items(), key=lambda item: (item[0][0] % layout.row_stride, item[0]))

    def _interleave(
        self, base: SSAValue, taps: tuple[int, ...], lanes: int, vectors: range
    ) -> list[SSAValue]:
        """Four taps of 4·lanes channels → vectors with the taps of a channel in one lane."""
        b, size = self.b, 4 * lanes
        kind = vector_of(i8, size)
        loaded = {tap: b.load(base, tap, kind) for tap in taps}
        # Missing taps weigh zero, so any byte will do.
        t = [loaded[tap] for tap in (*taps, *taps[-1:] * 4)[:4]]
        result = []
        for i in vectors:
            mask = unpack_mask(size, 1, high=i >= 2)
            upper, lower = b.shuffle(t[0], t[1], mask), b.shuffle(t[2], t[3], mask)
            merged = b.shuffle(upper, lower, unpack_mask(size, 2, high=i % 2 > 0))
            result.append(b.bitcast(merged, i32, lanes))
        return result

    def _positions(
        self,
        sums: list[list[SSAValue]],
        pixels: list[Callable[[Layout], Index]],
        channel: Index,
        lanes: int,
        vectors: range,
    ) -> list[list[Position]]:
        """Where the sums of each pixel belong."""
        return [
            [
                Position(lanes, self.b.add(channel, i * lanes), pixel, {self.anchor: total})
                for i, total in zip(vectors, own, strict=True)
            ]
            for pixel, own in zip(pixels, sums, strict=True)
        ]

    def _codes(self, positions: list[list[Position]], lanes: int) -> list[SSAValue]:
        """Epilogue of a share of the vectors; so many pixels fill a register with codes."""
        b, size = self.b, 4 // self.share
        # A last pixel without a neighbour is its own.
        whole = positions + positions[-1:] * (-len(positions) % size)
        groups = [
            [at for own in whole[i : i + size] for at in own] for i in range(0, len(whole), size)
        ]
        codes = []
        for some in self.evaluator.together(groups):
            self.evaluator.parameter_base = b.renew(self.parameter_base)
            for own in self.evaluator.codes(self.kernel.yielded, some):
                packed = b.shuffle(own, own, _natural_order(lanes))
                # LLVM would rather pack the shares together, and keep 16-bit halves until then.
                codes.append(packed if self.share == 4 else b.pin(packed))
        return codes

    def _store(
        self,
        codes: list[list[SSAValue]],
        pixels: list[Callable[[Layout], Index]],
        channel: Index,
        lanes: int,
        room: int | None,
    ) -> None:
        """The codes of all shares in natural channel order."""
        b, size = self.b, 4 // self.share
        for number, pixel in enumerate(pixels):
            natural, *others = (share[number // size] for share in codes)
            for other in others:
                natural = b.shuffle(natural, other, _eights(4 * lanes, number % size))
            offset = b.add(pixel(self.output.layout), channel)
            b.store(natural, self.output.base, offset, self._count(room, 4 * lanes))

    def _store_wide(
        self, positions: list[list[Position]], channel: Index, vectors: range, room: int | None
    ) -> None:
        """Elements of four bytes: four channels are together."""
        b, base, item = self.b, self.output.base, self.output.item
        for own in positions:
            values = [self.evaluator.value(self.kernel.yielded, at) for at in own]
            offset = b.mul(b.add(own[0].pixel(self.output.layout), channel), item)
            for number in range(own[0].lanes // 4):
                for i, value in zip(vectors, values, strict=True):
                    four = b.shuffle(value, value, range(4 * number, 4 * number + 4))
                    place = 16 * number + 4 * i
                    left = None if room is None else max(0, min(4, room - place))
                    if left != 0:
                        b.store(four, base, b.add(offset, 4 * place), left)

    @staticmethod
    def _count(room: int | None, size: int) -> int | None:
        return None if room is None or room >= size else room


def _natural_order(lanes: int) -> list[int]:
    """Where channel 16g + 4i + e is among four vectors in a row: lane 4g + e of vector i."""
    groups = range(lanes // 4)
    return [i * lanes + 4 * g + e for g in groups for i in range(4) for e in range(4)]


def _eights(size: int, half: int) -> list[int]:
    """Mask of punpckl/hqdq: from each 16 bytes of two registers the same eight."""
    groups = range(8 * half, size, 16)
    return [place + i for g in groups for place in (g, size + g) for i in range(8)]
