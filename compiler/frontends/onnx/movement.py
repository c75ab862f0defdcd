"""Ops that move elements: the reshape family, Transpose, Concat, Split, Slice, Gather, Expand, Pad.

Split ⇒ one slice per result          Gather with one known index ⇒ slice → reshape
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np
from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from ...dialects import graph, shapes
from ...dialects.tensors import shape_of, value_dtype
from .context import Converter, Node, NodeError, normalized_axis, shape_of_value


def _convert_reshape(node: Node) -> SSAValue:
    x, target = node.tensor(0), list(node.known_ints(1, "shape"))
    source = shape_of(x)
    if not node.attribute("allowzero", 0):
        if any(d == 0 and i >= len(source) for i, d in enumerate(target)):
            raise NodeError(f"shape mismatch: {target} copies an axis that {source} does not have")
        target = [source[i] if d == 0 else d for i, d in enumerate(target)]
    if target.count(-1) == 1:
        rest = prod(d for d in target if d != -1)
        if not rest or prod(source) % rest:
            raise NodeError(f"shape mismatch: cannot reshape {source} into {target}; {_BATCH_HINT}")
        target[target.index(-1)] = prod(source) // rest
    if prod(target) != prod(source) or min(target, default=1) < 0:
        raise NodeError(f"shape mismatch: cannot reshape {source} into {target}; {_BATCH_HINT}")
    return node.reshape(x, target)


_BATCH_HINT = "if the shape was fixed at export, pass the matching --input-shape"


def _convert_flatten(node: Node) -> SSAValue:
    x = node.tensor(0)
    shape = shape_of(x)
    axis = node.attribute("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise NodeError(f"axis {axis} is outside {shape}; export the model again")
    axis = axis + len(shape) if axis < 0 else axis
    return node.reshape(x, (prod(shape[:axis]), prod(shape[axis:])))


def _convert_squeeze(node: Node) -> SSAValue:
    x = node.tensor(0)
    shape = shape_of(x)
    given = node.known_ints(1, "axes") if node.has(1) else _unit_axes(shape)
    axes = {normalized_axis(a, len(shape)) for a in given}
    if any(shape[a] != 1 for a in axes):
        raise NodeError(f"shape mismatch: axes {sorted(axes)} of {shape} are not all of size 1")
    return node.reshape(x, [d for i, d in enumerate(shape) if i not in axes])


def _unit_axes(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(i for i, d in enumerate(shape) if d == 1)


def _convert_unsqueeze(node: Node) -> SSAValue:
    x, given = node.tensor(0), node.known_ints(1, "axes")
    rank = len(shape_of(x)) + len(given)
    axes = {normalized_axis(a, rank) for a in given}
    if len(axes) != len(given):
        raise NodeError(f"axes {list(given)} repeat; export the model again")
    remaining = iter(shape_of(x))
    return node.reshape(x, [1 if i in axes else next(remaining) for i in range(rank)])


def _convert_transpose(node: Node) -> SSAValue:
    x = node.tensor(0)
    axes = list(range(len(shape_of(x))))
    permutation = list(node.attribute("perm", axes[::-1]))
    if sorted(permutation) != axes:
        raise NodeError(f"perm {permutation} does not permute the axes of {shape_of(x)}")
    return x if permutation == axes else node.emit(graph.TransposeOp(x, permutation))


def _convert_concat(node: Node) -> SSAValue:
    # Constants without elements are dropped, as long as something is left.
    present = [i for i in range(len(node.proto.input)) if prod(shape_of_value(node.value(i)))]
    parts = [node.tensor(i) for i in present or range(len(node.proto.input))]
    axis = normalized_axis(node.attribute("axis", 0), len(shape_of(parts[0])))
    if len({value_dtype(p) for p in parts}) > 1:
        raise NodeError("the inputs have different types; cast them to one type")
    return parts[0] if len(parts) == 1 else node.emit(graph.ConcatOp(parts, axis))


def _convert_split(node: Node) -> Sequence[SSAValue]:
    x = node.tensor(0)
    shape = shape_of(x)
    axis = normalized_axis(node.attribute("axis", 0), len(shape))
    sizes = node.known_ints(1, "split") if node.has(1) else _equal_parts(node, shape[axis])
    if sum(sizes) != shape[axis] or len(sizes) != len(node.proto.output):
        raise NodeError(
            f"shape mismatch: split {list(sizes)} of axis {axis} of {shape} into "
            f"{len(node.proto.output)} results; correct the split sizes"
        )
    bounds = np.cumsum([0, *sizes])
    return [_cut(node, x, axis, int(lo), int(hi)) for lo, hi in pairwise(bounds)]


def _equal_parts(node: Node, size: int) -> tuple[int, ...]:
    count = node.attribute("num_outputs", len(node.proto.output))
    part = -(-size // count)
    return (*[part] * (count - 1), size - part * (count - 1))


def _cut(node: Node, x: SSAValue, axis: int, low: int, high: int) -> SSAValue:
    limits = list(shape_of(x))
    starts = [0] * len(limits)
    starts[axis], limits[axis] = low, high
    return node.emit(graph.SliceOp(x, starts, limits, [1] * len(limits)))


def _convert_slice(node: Node) -> SSAValue:
    x = node.tensor(0)
    shape = shape_of(x)
    first, last = node.known_ints(1, "starts"), node.known_ints(2, "ends")
    axes = node.known_ints(3, "axes") if node.has(3) else tuple(range(len(first)))
    strides = node.known_ints(4, "steps") if node.has(4) else (1,) * len(first)
    if not len(first) == len(last) == len(axes) == len(strides):
        raise NodeError("starts, ends, axes and steps have different lengths; correct the model")
    if min(strides, default=1) < 1:
        raise NodeError("negative or zero steps are not supported; use positive steps")
    starts, limits, steps = [0] * len(shape), list(shape), [1] * len(shape)
    for start, end, axis, step in zip(first, last, axes, strides, strict=True):
        axis = normalized_axis(axis, len(shape))
        starts[axis], limits[axis], _ = slice(start, end).indices(shape[axis])
        limits[axis] = max(starts[axis], limits[axis])
        steps[axis] = step
    if 0 in shapes.slice_(shape, starts, limits, steps):
        raise NodeError(f"the slice of {shape} is empty; correct starts and ends")
    return node.emit(graph.SliceOp(x, starts, limits, steps))


def _convert_gather(node: Node) -> SSAValue:
    x = node.tensor(0)
    axis = normalized_axis(node.attribute("axis", 0), len(shape_of(x)))
    size, indices = shape_of(x)[axis], node.value(1)
    if isinstance(indices, SSAValue):
        is_wide = value_dtype(indices) == np.int64
        wide = indices if is_wide else node.emit(graph.CastOp(indices, i64))
        return node.emit(graph.GatherOp(x, wide, axis))
    if indices.size and not -size <= indices.min() <= indices.max() < size:
        raise NodeError(f"an index is outside axis {axis} of {shape_of(x)}; correct the indices")
    indices = np.where(indices < 0, indices + size, indices).astype(np.int64)
    if indices.size != 1:
        return node.emit(graph.GatherOp(x, node.constant(indices), axis))
    index = int(indices.reshape(-1)[0])
    part = _cut(node, x, axis, index, index + 1)
    shape = shape_of(x)
    return node.reshape(part, (*shape[:axis], *indices.shape, *shape[axis + 1 :]))


def _convert_expand(node: Node) -> SSAValue:
    x = node.tensor(0)
    shape = shapes.broadcast(shape_of(x), node.known_ints(1, "shape"))
    return x if shape == shape_of(x) else node.emit(graph.BroadcastOp(x, shape))


def _convert_pad(node: Node) -> SSAValue:
    mode = node.attribute("mode", "constant")
    if mode != "constant":
        raise NodeError(f"mode '{mode}' is not supported; only constant padding is")
    x, pads = node.tensor(0), node.known_ints(1, "pads")
    rank = len(shape_of(x))
    given = node.known_ints(3, "axes") if node.has(3) else tuple(range(rank))
    axes = [normalized_axis(a, rank) for a in given]
    if len(pads) != 2 * len(axes):
        raise NodeError(f"shape mismatch: {len(pads)} pads for {len(axes)} axes; correct them")
    if min(pads, default=0) < 0:
        raise NodeError("negative pads are not supported; use Slice")
    low, high = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        low[axis], high[axis] = pads[index], pads[index + len(axes)]
    value = float(node.known(2, "constant_value").reshape(-1)[0]) if node.has(2) else 0.0
    return node.emit(graph.PadOp(x, low, high, value)) if any(pads) else x


CONVERTERS: dict[str, Converter] = {
    "Reshape": _convert_reshape,
    "Flatten": _convert_flatten,
    "Squeeze": _convert_squeeze,
    "Unsqueeze": _convert_unsqueeze,
    "Transpose": _convert_transpose,
    "Concat": _convert_concat,
    "Split": _convert_split,
    "Slice": _convert_slice,
    "Gather": _convert_gather,
    "Expand": _convert_expand,
    "Pad": _convert_pad,
}
