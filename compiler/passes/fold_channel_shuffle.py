"""fold-channel-shuffle: a reshape, transpose and reshape that permute one axis become a gather.

    %a = graph.reshape %x   : N×C×H×W → N×2×C/2×H×W
    %b = graph.transpose %a [0, 2, 1, 3, 4]           ⇒  %y = graph.gather %x, [0, C/2, 1, …]
    %y = graph.reshape %b   : N×C/2×2×H×W → N×C×H×W                                 {axis = 1}

    slice(gather(x; i))  ⇒  gather(x; i[start : limit : step])      along the gathered axis

The axis is one of x's that the first reshape splits; the transpose permutes its parts and nothing
else, and the second reshape joins them again. Of an image, whose channels are innermost in memory,
such a gather is a byte shuffle within each pixel, and a slice of it reads what it needs only.

A transpose that has other readers is declined, and so is a gather that some reader needs whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.graph import ints
from ..dialects.shapes import Shape
from ..dialects.tensors import Array, shape_of
from .rewriting import constant_of, defining, replace, rewrite


@dataclass(frozen=True)
class Shuffle:
    """result = take(source, indices, axis)."""

    source: SSAValue
    indices: Array
    axis: int


def match_shuffle(op: graph.ReshapeOp) -> Shuffle | None:
    """The shuffle that ends in `op`."""
    transpose = defining(op.input, graph.TransposeOp)
    split = None if transpose is None else defining(transpose.input, graph.ReshapeOp)
    if transpose is None or split is None or not transpose.result.has_one_use():
        return None
    shape, parts = shape_of(split.input), shape_of(split.result)
    axis = _split_axis(shape, parts)
    if axis is None or shape_of(op.result) != shape:
        return None
    count = len(parts) - len(shape) + 1
    permutation = ints(transpose.permutation)
    inside = range(axis, axis + count)
    if any(p != i for i, p in enumerate(permutation) if i not in inside):
        return None
    order = np.arange(shape[axis], dtype=np.int64).reshape(parts[axis : axis + count])
    moved = order.transpose([permutation[i] - axis for i in inside])
    return Shuffle(split.input, moved.reshape(-1), axis)


def _split_axis(shape: Shape, parts: Shape) -> int | None:
    """The axis of `shape` of which several of `parts` are the pieces, the others being equal."""
    count = len(parts) - len(shape) + 1
    if count < 2:
        return None
    for axis, size in enumerate(shape):
        pieces = parts[axis : axis + count]
        same = parts[:axis] == shape[:axis] and parts[axis + count :] == shape[axis + 1 :]
        if same and int(np.prod(pieces)) == size:
            return axis
    return None


class FoldShuffle(RewritePattern):
    """reshape(transpose(reshape(x))) → gather(x)."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.ReshapeOp, rewriter: PatternRewriter) -> None:
        shuffle = match_shuffle(op)
        if shuffle is None:
            return
        indices = graph.ConstantOp(shuffle.indices)
        gather = graph.GatherOp(shuffle.source, indices.result, shuffle.axis)
        replace(rewriter, op, [indices, gather])


def sliced_indices(op: graph.SliceOp, gather: graph.GatherOp) -> Array | None:
    """The indices that a slice leaves, if it cuts the gathered axis alone."""
    indices, axis = constant_of(gather.indices), gather.axis.value.data
    if indices is None or indices.ndim != 1:
        return None
    ranges = list(zip(ints(op.starts), ints(op.limits), ints(op.steps), strict=True))
    whole = [(0, size, 1) for size in shape_of(gather.result)]
    if ranges[:axis] + ranges[axis + 1 :] != whole[:axis] + whole[axis + 1 :]:
        return None
    return indices[slice(*ranges[axis])]


class SliceGather(RewritePattern):
    """slice(gather(x; i)) → gather(x; slice of i), when all readers are such slices."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.SliceOp, rewriter: PatternRewriter) -> None:
        gather = defining(op.input, graph.GatherOp)
        if gather is None:
            return
        readers = [use.operation for use in gather.result.uses]
        if any(
            not isinstance(reader, graph.SliceOp) or sliced_indices(reader, gather) is None
            for reader in readers
        ):
            return
        left = sliced_indices(op, gather)
        assert left is not None
        indices = graph.ConstantOp(np.ascontiguousarray(left))
        taken = graph.GatherOp(gather.input, indices.result, gather.axis.value.data)
        replace(rewriter, op, [indices, taken])


@dataclass(frozen=True)
class FoldChannelShuffle(ModulePass):
    name: ClassVar[str] = "fold-channel-shuffle"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [FoldShuffle()])
        rewrite(op, [SliceGather()])
