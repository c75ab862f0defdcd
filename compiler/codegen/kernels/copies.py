"""Affine copies between strided tensors.

What is contiguous moves in vectors; planes that interleave (NCHW → NHWC with few channels, channel
shuffles), and bytes that are contiguous along one axis here and along another there (transposes),
in shuffles; anything else element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import Attribute, SSAValue

from ...dialects.layout import LANES
from ...dialects.loop import vector_of
from ..builder import Index, KernelBuilder, i8
from .common import TensorBuffer, unpack_mask

_ELEMENTS: dict[int, Attribute] = {1: i8, 4: i32, 8: i64}


@dataclass(frozen=True)
class Axis:
    """`source`, `target`: strides in elements."""

    size: int
    source: int
    target: int


@dataclass(frozen=True)
class Copy:
    """All positions along the axes, from one of the kernel's inputs to its output; bases in
    elements."""

    operand: int
    axes: tuple[Axis, ...]
    source_base: int
    target_base: int

    def simplified(self) -> Copy:
        """Without axes of size one; axes that are contiguous on both sides are one."""
        axes = [a for a in self.axes if a.size != 1]
        merged: list[Axis] = []
        for axis in axes:
            if merged and _contiguous(merged[-1], axis):
                outer = merged.pop()
                axis = Axis(outer.size * axis.size, axis.source, axis.target)
            merged.append(axis)
        return replace(self, axes=tuple(merged) or (Axis(1, 1, 1),))


def _contiguous(outer: Axis, inner: Axis) -> bool:
    return outer.source == inner.source * inner.size and outer.target == inner.target * inner.size


class Mover:
    """Emits copies into one output."""

    def __init__(self, b: KernelBuilder, output: TensorBuffer):
        self.b, self.output = b, output
        self.element = _ELEMENTS[output.item]

    def fill(self, value: float) -> None:
        """The whole output, row by row (padding is overwritten where the copy goes)."""
        b, layout, item = self.b, self.output.layout, self.output.item
        bits = int(np.asarray(value, self.output.dtype).view(f"u{item}"))
        signed = bits - (1 << 8 * item) if bits >> (8 * item - 1) else bits
        element = b.constant(signed, self.element)
        vector = b.splat(element, LANES)
        with b.loop(0, layout.n * layout.h) as rows:
            image, y = b.div(rows.variable, layout.h), b.rem(rows.variable, layout.h)
            with b.loop(0, layout.w) as xs:
                start = b.add(b.mul(image, layout.image_stride), b.mul(y, layout.row_stride))
                start = b.add(
                    b.add(start, layout.origin), b.mul(xs.variable, layout.channel_stride)
                )
                self._run(layout.c, lambda o, n: b.store(vector, self.output.base, o, n), start)

    def _run(self, size: int, store: Any, start: Index) -> None:
        """`store(byte offset, lanes)` for `size` contiguous elements."""
        b, item = self.b, self.output.item
        whole = size // LANES * LANES
        if whole:
            with b.loop(0, whole, LANES) as blocks:
                store(b.mul(b.add(start, blocks.variable), item), None)
        if size > whole:
            store(b.mul(b.add(start, whole), item), size - whole)

    def units(self, copy: Copy) -> int:
        """Steps of the first axis."""
        return self._steps(copy.axes)

    def copy(self, copy: Copy, source: SSAValue, unit: SSAValue | None) -> None:
        """All of it, or one step of its first axis, of at least two."""
        if unit is None:
            self.axes(copy.axes, source, copy.source_base, copy.target_base)
        else:
            self._step(copy.axes, source, copy.source_base, copy.target_base, unit)

    def axes(self, axes: Sequence[Axis], source: SSAValue, from_: Index, to: Index) -> None:
        last = axes[-1]
        if len(axes) == 1 and (last.source, last.target) == (1, 1):
            self._contiguous(last.size, source, from_, to)
        elif len(axes) == 2 and self._interleaves(axes):
            self._interleave(axes, source, from_, to)
        else:
            with self.b.loop(0, self._steps(axes)) as steps:
                self._step(axes, source, from_, to, steps.variable)

    def _steps(self, axes: Sequence[Axis]) -> int:
        """Along the first axis: its positions, or blocks of 16."""
        size = axes[0].size
        return -(-size // LANES) if self._transposes(axes) else size

    def _step(
        self, axes: Sequence[Axis], source: SSAValue, from_: Index, to: Index, step: SSAValue
    ) -> None:
        b, item = self.b, self.output.item
        if self._transposes(axes):
            self._transpose(axes, source, from_, to, step)
            return
        from_, to = self._advanced(axes[0], from_, to, step)
        if len(axes) > 1:
            self.axes(axes[1:], source, from_, to)
        else:
            value = b.load(source, b.mul(from_, item), self.element)
            b.store(value, self.output.base, b.mul(to, item))

    def _advanced(
        self, axis: Axis, from_: Index, to: Index, position: Index
    ) -> tuple[Index, Index]:
        b = self.b
        from_ = b.add(from_, b.mul(position, axis.source))
        return from_, b.add(to, b.mul(position, axis.target))

    def _contiguous(self, size: int, source: SSAValue, from_: Index, to: Index) -> None:
        b, item = self.b, self.output.item
        kind = vector_of(self.element, LANES)

        def move(offset: Index, lanes: int | None) -> None:
            shift = b.mul(b.sub(from_, to), item)
            value = b.load_part(source, b.add(offset, shift), kind, lanes or LANES)
            b.store(value, self.output.base, offset, lanes)

        self._run(size, move, to)

    # --- planes → pixels --------------------------------------------------------------------------

    def _interleaves(self, axes: Sequence[Axis]) -> bool:
        """Pixels of 2 to 4 channels, each channel a contiguous plane."""
        pixels, channels = axes
        return (
            self.output.item in (1, 4)
            and 2 <= channels.size <= 4
            and pixels.source == 1
            and channels.target == 1
            and pixels.target == channels.size
        )

    def _interleave(self, axes: Sequence[Axis], source: SSAValue, from_: Index, to: Index) -> None:
        """16 pixels at a time: one vector per plane, shuffled into pixel order."""
        b, (pixels, channels) = self.b, axes
        c, kind = channels.size, vector_of(self.element, LANES)

        def group(start: Index, count: int | None) -> None:
            place = b.add(from_, start)
            planes = [
                b.load_part(
                    source,
                    b.mul(b.add(place, i * channels.source), self.output.item),
                    kind,
                    count or LANES,
                )
                for i in range(c)
            ]
            planes += [planes[-1]] * (4 - c)
            low = b.shuffle(planes[0], planes[1], range(2 * LANES))
            high = b.shuffle(planes[2], planes[3], range(2 * LANES))
            mask = [i * LANES + p for p in range(LANES) for i in range(c)]
            mixed = b.shuffle(low, high, mask)
            self._store_pixels(mixed, b.add(to, b.mul(start, c)), (count or LANES) * c)

        whole = pixels.size // LANES * LANES
        with b.loop(0, whole, LANES) as blocks:
            group(blocks.variable, None)
        if pixels.size > whole:
            group(whole, pixels.size - whole)

    def _store_pixels(self, mixed: SSAValue, offset: Index, count: int) -> None:
        """The first `count` elements from element `offset` on, in vectors of 16."""
        b = self.b
        for start in range(0, count, LANES):
            piece = b.shuffle(mixed, mixed, range(start, start + LANES))
            left = None if count - start >= LANES else count - start
            b.store(piece, self.output.base, b.mul(b.add(offset, start), self.output.item), left)

    # --- rows → columns ---------------------------------------------------------------------------

    def _transposes(self, axes: Sequence[Axis]) -> bool:
        """Bytes that are contiguous along the first axis in the source, along the second in the
        target, and enough of them."""
        if len(axes) != 2 or self.output.item != 1:
            return False
        rows, columns = axes
        is_turned = rows.source == 1 and columns.target == 1
        return is_turned and rows.size >= LANES and columns.size >= LANES // 2

    def _transpose(
        self, axes: Sequence[Axis], source: SSAValue, from_: Index, to: Index, block: SSAValue
    ) -> None:
        """Sixteen rows of the target, 16 × 16 bytes at a time. What does not divide by 16 ends with
        a block that overlaps the one before, and writes the same bytes again."""
        b, (rows, columns), kind = self.b, axes, vector_of(self.element, LANES)
        width = min(LANES, columns.size)
        row = self._block_start(b.mul(block, LANES), rows.size, LANES)
        from_, to = self._advanced(rows, from_, to, row)
        with b.loop(0, columns.size, LANES) as blocks:
            column = self._block_start(blocks.variable, columns.size, width)
            place, to_place = b.add(from_, b.mul(column, columns.source)), b.add(to, column)
            lines = [b.load(source, b.add(place, i * columns.source), kind) for i in range(width)]
            lines = self._transposed(lines + lines[-1:] * (LANES - width))
            for i, line in enumerate(lines):
                b.store(line, self.output.base, b.add(to_place, i * rows.target), width)

    def _block_start(self, start: Index, size: int, width: int) -> Index:
        return start if size % width == 0 else self.b.minimum(start, size - width)

    def _transposed(self, lines: list[SSAValue]) -> list[SSAValue]:
        """16 × 16: four perfect shuffles, each of which interleaves the halves of all 256 bytes."""
        half = LANES // 2
        masks = [unpack_mask(LANES, 1, high) for high in (False, True)]
        for _ in range(LANES.bit_length() - 1):
            lines = [
                self.b.shuffle(lines[i], lines[i + half], mask)
                for i in range(half)
                for mask in masks
            ]
        return lines
