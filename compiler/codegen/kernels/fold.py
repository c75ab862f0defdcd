"""Reductions and softmax along other axes than the last alone: one sum per result, in order.

    reduce    total = x[first]; total = total ∘ x for the other elements, row by row
    softmax   along axis a: the largest, then Σ exp(x − largest), then exp(x − largest) / Σ

This is the canonical order of numerics.py. Where the last axis is kept, its elements are lanes, and
16 results advance together; where it is reduced with others, one lane walks through all elements.
Folds start from an identity (−0.0, −∞, +∞) that the first element replaces unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.layout import LANES
from ...dialects.tensors import Array, shape_of
from ...functions import exp
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, buffers_of, fill_halo
from .elementwise import pixel_at
from .evaluate import Evaluator, Position, store_lanes
from .movement import coordinates
from .vector_math import LoopMath

Combine = Callable[[SSAValue, SSAValue], SSAValue]
ValueAt = Callable[[Position], SSAValue]


class FoldGenerator:
    """One unit is one place on the kept axes but the last."""

    def __init__(
        self, name: str, kernel: graph.KernelOp, anchor: Any, target: Target, halo_codes: Array
    ):
        self.kernel, self.anchor = kernel, anchor
        self.b = KernelBuilder(name, len(kernel.inputs) + 2)
        self.inputs, self.output = buffers_of(kernel, self.b)
        self.parameters, self.base = Parameters(), self.b.buffers[-1]
        self.halo_codes = halo_codes
        self.shape = shape_of(anchor.operands[0])
        self.last = len(self.shape) - 1
        if isinstance(anchor, graph.SoftmaxOp):
            self.reduced: tuple[int, ...] = (anchor.axis.value.data,)
        else:
            self.reduced = tuple(sorted(graph.ints(anchor.axes)))
        self.kept = [i for i in range(self.last) if i not in self.reduced]
        channels = -(-self.shape[-1] // LANES) * LANES
        self.evaluator = Evaluator(
            self.b, target, kernel, self.inputs, self.parameters, self.base, channels
        )

    def generate(self, exec_type: str) -> LoweredKernel:
        b, c = self.b, self.shape[-1]
        fill_halo(b, self.output, self.parameters, self.base, self.halo_codes)
        sizes = [self.shape[i] for i in self.kept]
        with b.unit_loop() as unit:
            place: list[Index] = [0] * len(self.shape)
            for axis, coordinate in zip(self.kept, coordinates(b, unit, sizes), strict=True):
                place[axis] = coordinate
            if self.last in self.reduced:
                self._single(unit, place)
            else:
                whole = c // LANES * LANES
                with b.loop(0, whole, LANES) as blocks:
                    self._block(unit, [*place[:-1], blocks.variable], None)
                if whole < c:
                    self._block(unit, [*place[:-1], whole], c - whole)
        return LoweredKernel(
            b.finish(), b.fingerprint, (self.parameters.blob(),), prod(sizes), exec_type
        )

    def _block(self, unit: SSAValue, place: list[Index], count: int | None) -> None:
        """16 neighbours of the last axis."""
        if isinstance(self.anchor, graph.SoftmaxOp):
            self._softmax(place, count)
            return
        value = self._reduce(place, LANES, count)
        layout = self.output.layout
        rest, x = self.b.div(unit, layout.w), self.b.rem(unit, layout.w)
        image, y = self.b.div(rest, layout.h), self.b.rem(rest, layout.h)
        pixel = pixel_at(self.b, image, y, x)
        at = Position(LANES, place[-1], pixel, {self.anchor.result: value}, count)
        store_lanes(self.b, self.output, self.evaluator.value(self.kernel.yielded, at), at)

    def _single(self, unit: SSAValue, place: list[Index]) -> None:
        """One result, element `unit` of the output."""
        b, layout = self.b, self.output.layout
        value = b.splat(b.extract(self._reduce(place, 1, None), 0), LANES)
        position = coordinates(b, unit, (layout.n, layout.h, layout.w, layout.c))
        pixel = pixel_at(b, position[0], position[1], position[2])
        at = Position(LANES, position[3], pixel, {self.anchor.result: value}, 1)
        result = self.evaluator.value(self.kernel.yielded, at)
        offset = b.mul(b.add(pixel(layout), position[3]), self.output.item)
        b.store(b.extract(result, 0), self.output.base, offset)

    # --- folds ------------------------------------------------------------------------------------

    def _position(
        self, place: Sequence[Index], lanes: int = LANES, count: int | None = None
    ) -> Position:
        """`place` on all axes; leading axes fold into the image number."""
        b, outer = self.b, [*([0] * (4 - len(place))), *place[:-1]]
        image, sizes = outer[0], [*([1] * (4 - len(place))), *self.shape[:-1]]
        for coordinate, size in zip(outer[1:-2], sizes[1:-2], strict=True):
            image = b.add(b.mul(image, size), coordinate)
        return Position(lanes, place[-1], pixel_at(b, image, outer[-2], outer[-1]), count=count)

    def _fold(
        self,
        axes: tuple[int, ...],
        place: list[Index],
        total: SSAValue,
        step: Callable[[SSAValue, list[Index]], SSAValue],
    ) -> SSAValue:
        """`step(total, place)` for all coordinates along `axes`, the last one fastest."""
        if not axes:
            return step(total, place)
        with self.b.loop(0, self.shape[axes[0]], carried=[total]) as loop:
            inner = list(place)
            inner[axes[0]] = loop.variable
            loop.next = [self._fold(axes[1:], inner, loop.carried[0], step)]
        return loop.results[0]

    def _combined(
        self,
        place: list[Index],
        lanes: int,
        count: int | None,
        value_at: ValueAt,
        kind: str,
    ) -> SSAValue:
        math = LoopMath(self.b, lanes)
        combine, identity = {
            "sum": (math.add, -0.0),
            "max": (math.maximum, float("-inf")),
            "min": (math.minimum, float("inf")),
        }[kind]
        start = self.b.splat(math.b.constant(identity, f32), lanes)
        return self._fold(
            self.reduced,
            place,
            start,
            lambda total, inner: combine(total, value_at(self._position(inner, lanes, count))),
        )

    def _input(self, at: Position) -> SSAValue:
        return self.evaluator.value(self.anchor.operands[0], at)

    def _reduce(self, place: list[Index], lanes: int, count: int | None) -> SSAValue:
        kind, math = self.anchor.kind.data, LoopMath(self.b, lanes)
        value = self._combined(place, lanes, count, self._input, "sum" if kind == "mean" else kind)
        if kind != "mean":
            return value
        number = self.b.constant(float(prod(self.shape[i] for i in self.reduced)), f32)
        return math.div(value, self.b.splat(number, lanes))

    def _softmax(self, place: list[Index], count: int | None) -> None:
        b, math = self.b, LoopMath(self.b, LANES)
        largest = self._combined(place, LANES, count, self._input, "max")

        def exponential(at: Position) -> SSAValue:
            return exp(math, math.sub(self._input(at), largest))

        total = self._combined(place, LANES, count, exponential, "sum")
        (axis,) = self.reduced
        with b.loop(0, self.shape[axis]) as loop:
            inner = list(place)
            inner[axis] = loop.variable
            at = self._position(inner, LANES, count)
            at.known[self.anchor.result] = math.div(exponential(at), total)
            store_lanes(b, self.output, self.evaluator.value(self.kernel.yielded, at), at)
