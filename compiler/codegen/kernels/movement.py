"""Kernels that move elements: every such op is a few affine copies between strided tensors.

How a copy is made is in copies.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod
from typing import Any

import numpy as np
from xdsl.ir import BlockArgument, Operation, SSAValue

from ...dialects import graph, shapes
from ...dialects.graph import ints
from ...dialects.layout import Layout
from ...dialects.shapes import Shape
from ...dialects.tensors import Array, shape_of
from ..builder import Index, KernelBuilder
from .common import LoweredKernel, Parameters, TensorBuffer, buffers_of, fill_halo
from .copies import Axis, Copy, Mover


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
    name: str, kernel: graph.KernelOp, anchor: Operation, exec_type: str, halo_codes: Array
) -> LoweredKernel:
    b = KernelBuilder(name, len(kernel.inputs) + 2)
    inputs, output = buffers_of(kernel, b)
    parameters, base = Parameters(), b.buffers[-1]
    fill_halo(b, output, parameters, base, halo_codes)
    mover = Mover(b, output)
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


def _reshape(mover: Mover, source: TensorBuffer) -> int:
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
    mover: Mover,
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
        mover.axes(after.axes, source.base, from_, to)
    return prod(before) * count


def _read_index(b: KernelBuilder, tensor: TensorBuffer, place: Sequence[Index], size: int) -> Index:
    offset = offset_of(b, place, axis_strides(tensor.shape, tensor.layout))
    offset = b.mul(b.add(offset, tensor.layout.origin), 8)
    index: Index = b.load(tensor.base, offset, b.index(0).type)
    negative = b.minimum(b.maximum(b.add(index, size), 0), size)  # 0 … size: size if not negative
    wrapped = b.rem(negative, size)
    return b.minimum(b.add(b.maximum(index, 0), wrapped), size - 1)
