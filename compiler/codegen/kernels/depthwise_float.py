"""Depthwise fp32 convolution: 16 channels in lanes, one multiply-add per tap."""

from __future__ import annotations

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from ...contractions.geometry import Contraction
from ...dialects import graph
from ...dialects.layout import LANES
from ...dialects.loop import vector_of
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo, read_beside, roomy
from .elementwise import pixel_at
from .evaluate import Evaluator, Position, store_lanes


class FloatDepthwiseGenerator:
    def __init__(
        self,
        name: str,
        kernel: graph.KernelOp,
        anchor: SSAValue,
        contraction: Contraction,
        weight: Array,
        bias: Array,
        target: Target,
        halo_codes: Array,
    ):
        self.kernel, self.anchor, self.c, self.target = kernel, anchor, contraction, target
        #: Output pixels whose sums are in registers together.
        self.tile = 2 if target.vector_bytes == 16 else 4
        self.b = KernelBuilder(name, len(kernel.inputs) + 2)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.x, self.base = self.inputs[0], self.b.buffers[-1]
        self.channels = -(-contraction.outputs // LANES) * LANES
        self.parameters = Parameters()
        self.bias = self.parameters.add(bias, self.channels)
        taps = np.zeros((len(contraction.taps), self.channels), np.float32)
        taps[:, : contraction.outputs] = weight.reshape(contraction.outputs, -1).T
        self.weights = self.parameters.add(taps)
        self.halo_codes = halo_codes
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.base, self.channels
        )

    def generate(self, exec_type: str) -> LoweredKernel:
        b, c = self.b, self.c
        fill_halo(b, self.output, self.parameters, self.base, self.halo_codes)
        beside = read_beside(self.anchor, self.kernel, self.inputs)
        whole = self.channels if roomy(beside, self.output) else c.outputs // LANES * LANES
        with b.unit_loop() as unit:
            image, y = b.div(unit, c.rows), b.rem(unit, c.rows)
            with b.loop(0, whole, LANES) as blocks:
                self._row(image, y, blocks.variable, None)
            if whole < c.outputs:
                self._row(image, y, whole, c.outputs - whole)
        units = c.images * c.rows
        return LoweredKernel(b.finish(), b.fingerprint, (self.parameters.blob(),), units, exec_type)

    def _row(self, image: Index, y: Index, channel: Index, count: int | None) -> None:
        whole = self.c.columns // self.tile * self.tile
        with self.b.loop(0, whole, self.tile) as xs:
            self._pixels(image, y, xs.variable, self.tile, channel, count)
        if whole < self.c.columns:
            self._pixels(image, y, whole, self.c.columns - whole, channel, count)

    def _pixels(
        self, image: Index, y: Index, x: Index, pixels: int, channel: Index, count: int | None
    ) -> None:
        b, c, layout, kind = self.b, self.c, self.x.layout, vector_of(f32, LANES)
        (sy, sx), (oy, ox) = c.strides, c.origin
        start = b.mul(image, layout.image_stride)
        start = b.add(start, b.mul(y, sy * layout.row_stride))
        start = b.add(start, b.mul(x, sx * layout.channel_stride))
        start = b.add(b.add(start, channel), layout.offset(0, oy, ox))
        source = b.address(self.x.base, b.mul(start, 4))
        # The weights are more than there are registers: each is read at its use.
        constants = b.address(b.renew(self.base), b.mul(channel, 4))
        sums = [b.load(constants, self.bias, kind)] * pixels
        for number, (dy, dx) in enumerate(c.taps):
            w = b.load(constants, self.weights + number * self.channels * 4, kind)
            for i in range(pixels):
                offset = dy * layout.row_stride + (i * sx + dx) * layout.channel_stride
                sums[i] = self._multiply(b.load(source, 4 * offset, kind), w, sums[i])
        for i in range(pixels):
            place = pixel_at(b, image, y, b.add(x, i))
            at = Position(LANES, channel, place, {self.anchor: sums[i]}, count)
            store_lanes(b, self.output, self.evaluator.value(self.kernel.yielded, at), at)

    def _multiply(self, x: SSAValue, w: SSAValue, total: SSAValue) -> SSAValue:
        if self.target.fma:
            return self.b.fma(x, w, total)
        return self.b.binary(arith.AddfOp, total, self.b.binary(arith.MulfOp, x, w))
