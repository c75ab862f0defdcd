"""Kernels that move elements: every such op is a few affine copies between strided tensors.

A copy is a list of axes (size, input stride, output stride) and two bases, in elements. Axes of
size one vanish, axes that are contiguous on both sides merge; what is contiguous then moves in
vectors, planes that interleave (NCHW → NHWC with few channels, channel shuffles) and bytes that are
contiguous along one axis here and along another there (transposes) in shuffles, anything else
element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd, prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from ...dialects import graph, shapes
from ...dialects.graph import ints
from ...dialects.layout import LANES, Layout
from ...dialects.loop import vector_of
from ...dialects.shapes import Shape
from ...dialects.tensors import Array, shape_of
from ..builder import Index, KernelBuilder, i8
from .common import LoweredKernel, Parameters, TensorBuffer, buffers_of, fill_halo

_ELEMENTS: dict[int, Attribute] = {1: i8, 4: i32, 8: i64}


@dataclass(frozen=True)
class Axis:
    size: int
    source: int
    target: int


@dataclass(frozen=True)
class Copy:
    operand: int
    axes: tuple[Axis, ...]
    source_base: int
    target_base: int

    def simplified(self) -> Copy:
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


def axis_strides(shape: Shape, layout: Layout) -> tuple[int, ...]:
    """Element stride of every logical axis."""
    inner = [layout.image_stride, layout.row_stride, layout.channel_stride, 1]
    strides = inner[max(0, 4 - len(shape)) :]
    if len(shape) > 4:
        for d in reversed(shape[1:-3]):
            strides.insert(0, strides[0] * d)
    return tuple(strides)


def copies_of(op: Operation, inputs: list[TensorBuffer], output: TensorBuffer) -> list[Copy]:
    """The copies that make up a movement op."""
    target = axis_strides(output.shape, output.layout)
    if isinstance(op, graph.ConcatOp):
        copies, start = [], 0
        for value in op.inputs:
            assert isinstance(value, BlockArgument)
            axis, shape, index = op.axis.value.data, shape_of(value), value.index
            source = axis_strides(shape, inputs[index].layout)
            moved = tuple(map(Axis, shape, source, target))
            base = output.layout.origin + start * target[axis]
            copies.append(Copy(index, moved, inputs[index].layout.origin, base))
            start += shape[axis]
        return copies
    axes, base, target_base = _axes(op, inputs[0], output, target)
    origin = output.layout.origin + target_base
    return [Copy(0, tuple(axes), inputs[0].layout.origin + base, origin)]


def _axes(
    op: Any,
    source: TensorBuffer,
    output: TensorBuffer,
    target: tuple[int, ...],
) -> tuple[list[Axis], int, int]:
    """(axes, extra input base, extra output base) of the ops with one moving operand."""
    shape, strides = source.shape, axis_strides(source.shape, source.layout)
    if isinstance(op, graph.TransposeOp):
        moved = [strides[p] for p in ints(op.permutation)]
        return list(map(Axis, output.shape, moved, target)), 0, 0
    if isinstance(op, graph.SliceOp):
        steps = [s * k for s, k in zip(strides, ints(op.steps), strict=True)]
        base = sum(s * k for s, k in zip(strides, ints(op.starts), strict=True))
        return list(map(Axis, output.shape, steps, target)), base, 0
    if isinstance(op, graph.GatherOp):
        return _gather_axes(op, shape, strides, target)
    if isinstance(op, graph.PadOp):
        base = sum(t * k for t, k in zip(target, ints(op.low), strict=True))
        return list(map(Axis, shape, strides, target)), 0, base
    if isinstance(op, graph.BroadcastOp):
        missing = len(output.shape) - len(shape)
        wide = (0,) * missing + tuple(
            s if d > 1 else 0 for d, s in zip(shape, strides, strict=True)
        )
        return list(map(Axis, output.shape, wide, target)), 0, 0
    if isinstance(op, graph.ResizeNearestOp):
        axes: list[Axis] = []
        factors = dict(zip(shapes.spatial_axes(op.layout.data), ints(op.factors), strict=True))
        for i, d in enumerate(shape):
            f = factors.get(i, 1)
            axes += [Axis(d, strides[i], target[i] * f), Axis(f, 0, target[i])]
        return axes, 0, 0
    assert isinstance(op, graph.ReshapeOp)
    return _reshape_axes(source, output), 0, 0


def _gather_axes(
    op: graph.GatherOp, shape: Shape, strides: tuple[int, ...], target: tuple[int, ...]
) -> tuple[list[Axis], int, int]:
    matrix, axis = _matrix_of(op), op.axis.value.data
    assert matrix is not None
    (rows, columns), stride = matrix.shape, strides[axis]
    steps = [int(m[-1] - m[0]) // max(1, len(m) - 1) for m in (matrix[:, 0], matrix[0])]
    axes = list(map(Axis, shape, strides, target))
    axes[axis : axis + 1] = [
        Axis(rows, steps[0] * stride, columns * target[axis]),
        Axis(columns, steps[1] * stride, target[axis]),
    ]
    return axes, int(matrix[0, 0]) * stride, 0


def _matrix_of(op: graph.GatherOp) -> Array | None:
    """Constant indices as a matrix with one step along its rows and one along its columns."""
    if isinstance(op.indices, BlockArgument) or len(shape_of(op.indices)) != 1:
        return None
    constant = op.indices.owner
    assert isinstance(constant, graph.ConstantOp)
    indices = constant.array % shape_of(op.input)[op.axis.value.data]
    jumps = np.flatnonzero(np.diff(indices, 2)) + 1
    columns = int(jumps[0]) + 1 if jumps.size else len(indices)
    if len(indices) % columns:
        return None
    matrix = indices.reshape(-1, columns)
    regular = all(_is_constant(np.diff(matrix, axis=a)) for a in (0, 1))
    return matrix if regular else None


def _is_constant(values: Array) -> bool:
    return bool((values == values.reshape(-1)[0]).all()) if values.size else True


def _reshape_axes(source: TensorBuffer, output: TensorBuffer) -> list[Axis]:
    """Both shapes cut at every boundary of either."""
    sizes = refine(source.shape, output.shape)
    assert sizes is not None
    inward = _refined_strides(source.shape, axis_strides(source.shape, source.layout), sizes)
    outward = _refined_strides(output.shape, axis_strides(output.shape, output.layout), sizes)
    return list(map(Axis, sizes, inward, outward))


def refine(a: Shape, b: Shape) -> tuple[int, ...] | None:
    """The coarsest shape of which both group neighbouring axes; None if there is none."""
    cuts = sorted({int(np.prod(s[i:])) for s in (a, b) for i in range(len(s))})
    sizes, below = [], 1
    for cut in cuts:
        if cut % below:
            return None
        sizes.append(cut // below)
        below = cut
    return tuple(reversed(sizes))


def _refined_strides(shape: Shape, strides: tuple[int, ...], sizes: tuple[int, ...]) -> list[int]:
    result: list[int] = []
    pieces = list(sizes)
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        while size > 1:
            piece = pieces.pop()
            result.append(stride)
            stride *= piece
            size //= piece
    result += [0] * len(pieces)
    return list(reversed(result))


def lower_movement(
    name: str, kernel: graph.KernelOp, anchor: Operation, exec_type: str, halo_value: int
) -> LoweredKernel:
    b = KernelBuilder(name, len(kernel.inputs) + 2)
    inputs, output = buffers_of(kernel, b)
    parameters, base = Parameters(), b.buffers[-1]
    fill_halo(b, output, base, parameters.add(np.full(16, halo_value & 255, np.uint8)))
    mover = _Mover(b, output)
    if isinstance(anchor, graph.GatherOp) and _matrix_of(anchor) is None:
        units = _gather(mover, anchor, inputs, parameters, base)
        return LoweredKernel(b.finish(), b.fingerprint, (parameters.blob(),), units, exec_type)
    if isinstance(anchor, graph.ReshapeOp) and not _divides(inputs[0], output):
        units = _reshape(mover, inputs[0])
        return LoweredKernel(b.finish(), b.fingerprint, (parameters.blob(),), units, exec_type)
    copies = [c.simplified() for c in copies_of(anchor, inputs, output)]
    serial = isinstance(anchor, graph.PadOp) or len({c.axes[0].size for c in copies}) > 1
    serial = serial or any(len(c.axes) < 2 for c in copies)
    units = 1 if serial else mover.units(copies[0])
    with b.unit_loop() as unit:
        if isinstance(anchor, graph.PadOp):
            mover.fill(anchor.value.value.data)
        for copy in copies:
            mover.copy(copy, inputs[copy.operand].base, None if serial else unit)
    return LoweredKernel(b.finish(), b.fingerprint, (parameters.blob(),), units, exec_type)


def coordinates(b: KernelBuilder, number: Index, sizes: Sequence[int]) -> list[Index]:
    """The row-major coordinates of element `number`."""
    result: list[Index] = []
    for size in reversed(sizes[1:]):
        result.append(b.rem(number, size))
        number = b.div(number, size)
    return [*([number] if sizes else []), *reversed(result)]


def offset_of(b: KernelBuilder, position: Sequence[Index], strides: Sequence[int]) -> Index:
    total: Index = 0
    for coordinate, stride in zip(position, strides, strict=True):
        total = b.add(total, b.mul(coordinate, stride))
    return total


def _divides(source: TensorBuffer, output: TensorBuffer) -> bool:
    """Whether a reshape is one affine copy."""
    return refine(source.shape, output.shape) is not None


def _reshape(mover: _Mover, source: TensorBuffer) -> int:
    """Any two shapes: runs that are contiguous in both, each located on both sides by division.

    A unit is one run."""
    b, output = mover.b, mover.output
    dense = source.layout.is_dense and output.layout.is_dense
    size = prod(source.shape)
    run = size if dense else gcd(source.layout.c, output.layout.c)
    with b.unit_loop() as unit:
        first = b.mul(unit, run)
        from_, to = (
            b.add(
                offset_of(b, coordinates(b, first, t.shape), axis_strides(t.shape, t.layout)),
                t.layout.origin,
            )
            for t in (source, output)
        )
        mover.axes([Axis(run, 1, 1)], source.base, from_, to)
    return size // run


def _gather(
    mover: _Mover,
    op: graph.GatherOp,
    inputs: list[TensorBuffer],
    parameters: Parameters,
    base: SSAValue,
) -> int:
    """take(input, indices, axis); a unit is one index of one slice before the axis.

    Indices read at run time count from the end if negative, and are clamped into the axis."""
    b, source, output = mover.b, inputs[0], mover.output
    axis, picked = op.axis.value.data, shape_of(op.indices)
    strides, target = (axis_strides(t.shape, t.layout) for t in (source, output))
    before, size = source.shape[:axis], source.shape[axis]
    after = Copy(
        0,
        tuple(
            map(Axis, source.shape[axis + 1 :], strides[axis + 1 :], target[axis + len(picked) :])
        ),
        0,
        0,
    ).simplified()
    count = prod(picked)
    with b.unit_loop() as unit:
        outer, number = b.div(unit, count), b.rem(unit, count)
        slice_, place = coordinates(b, outer, before), coordinates(b, number, picked)
        if isinstance(op.indices, BlockArgument):
            tensor = inputs[op.indices.index]
            index = _read_index(b, tensor, place, size)
        else:
            constant = op.indices.owner
            assert isinstance(constant, graph.ConstantOp)
            known = constant.array.reshape(-1).astype(np.int64) % size
            entry = b.add(b.mul(number, 8), parameters.add(known))
            index = b.load(base, entry, b.index(0).type)
        from_ = b.add(offset_of(b, slice_, strides[:axis]), b.mul(index, strides[axis]))
        to = offset_of(b, [*slice_, *place], target[: axis + len(picked)])
        from_, to = b.add(from_, source.layout.origin), b.add(to, output.layout.origin)
        mover.axes(list(after.axes), source.base, from_, to)
    return prod(before) * count


def _read_index(b: KernelBuilder, tensor: TensorBuffer, place: Sequence[Index], size: int) -> Index:
    offset = offset_of(b, place, axis_strides(tensor.shape, tensor.layout))
    offset = b.mul(b.add(offset, tensor.layout.origin), 8)
    index: Index = b.load(tensor.base, offset, b.index(0).type)
    negative = b.minimum(b.maximum(b.add(index, size), 0), size)  # 0 … size: size if not negative
    wrapped = b.rem(negative, size)
    return b.minimum(b.add(b.maximum(index, 0), wrapped), size - 1)


class _Mover:
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
        """Positions of the first axis, or blocks of them."""
        size = copy.axes[0].size
        return -(-size // LANES) if self._transposes(copy.axes) else size

    def copy(self, copy: Copy, source: SSAValue, unit: SSAValue | None) -> None:
        axes = list(copy.axes)
        from_, to = copy.source_base, copy.target_base
        if unit is None:
            self.axes(axes, source, from_, to)
            return
        if self._transposes(axes):
            self._transpose(axes, source, from_, to, unit)
            return
        outer = axes.pop(0)
        self.axes(axes, source, self._advance(outer, from_, unit), self._target(outer, to, unit))

    def _advance(self, axis: Axis, start: Index, position: Index) -> Index:
        return self.b.add(start, self.b.mul(position, axis.source))

    def _target(self, axis: Axis, start: Index, position: Index) -> Index:
        return self.b.add(start, self.b.mul(position, axis.target))

    def axes(self, axes: list[Axis], source: SSAValue, from_: Index, to: Index) -> None:
        b, item = self.b, self.output.item
        last = axes[-1]
        if len(axes) == 1 and (last.source, last.target) == (1, 1):
            self._contiguous(last.size, source, from_, to)
        elif len(axes) == 2 and self._interleaves(axes):
            self._interleave(axes, source, from_, to)
        elif self._transposes(axes):
            with b.loop(0, -(-axes[0].size // LANES)) as blocks:
                self._transpose(axes, source, from_, to, blocks.variable)
        else:
            with b.loop(0, axes[0].size) as positions:
                inner_from = self._advance(axes[0], from_, positions.variable)
                inner_to = self._target(axes[0], to, positions.variable)
                if len(axes) > 1:
                    self.axes(axes[1:], source, inner_from, inner_to)
                else:
                    value = b.load(source, b.mul(inner_from, item), self.element)
                    b.store(value, self.output.base, b.mul(inner_to, item))

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

    def _interleave(self, axes: list[Axis], source: SSAValue, from_: Index, to: Index) -> None:
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
        self, axes: list[Axis], source: SSAValue, from_: Index, to: Index, block: SSAValue
    ) -> None:
        """Sixteen rows of the target, 16 × 16 bytes at a time. What does not divide by 16 ends with
        a block that overlaps the one before, and writes the same bytes again."""
        b, (rows, columns), kind = self.b, axes, vector_of(self.element, LANES)
        width = min(LANES, columns.size)
        row = self._block_start(b.mul(block, LANES), rows.size, LANES)
        from_, to = self._advance(rows, from_, row), self._target(rows, to, row)
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
        pairs = [lane for i in range(LANES) for lane in (i, i + LANES)]
        masks = pairs[:LANES], pairs[LANES:]
        for _ in range(LANES.bit_length() - 1):
            lines = [
                self.b.shuffle(lines[i], lines[i + half], mask)
                for i in range(half)
                for mask in masks
            ]
        return lines
