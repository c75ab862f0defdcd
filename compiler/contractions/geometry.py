"""Convolution and matmul by constant weights as one thing: a contraction over runs of the input.

In NHWC, the inputs of one output pixel are a few contiguous runs of bytes: one run of kw·C per
kernel row where pixels are dense, else one run of C per tap. Run r starts `offset[r]` elements
after the pixel's own origin, the same for every pixel, because the halo makes borders ordinary. So

    out[pixel, o] = bias[o] + Σ_r Σ_k x[origin(pixel) + offset[r] + k] · w[o, r, k]

covers 1×1, k×k, strided, dilated and grouped convolution and matmul. The input zero point folds
into the bias: Σ (x − z)·w = Σ x·w − z·Σ w, exactly, since padding holds z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..dialects import graph, shapes
from ..dialects.graph import ints
from ..dialects.layout import NO_HALO, Layout, as_nhwc
from ..dialects.tensors import Array, array_to_numpy, shape_of

Anchor: TypeAlias = graph.QConv2dOp | graph.Conv2dOp | graph.QMatMulOp | graph.MatMulOp


@dataclass(frozen=True)
class Contraction:
    """The shape of a contraction; sizes in elements, `taps` as (dy, dx) pixel offsets."""

    quantized: bool
    outputs: int
    groups: int
    group_inputs: int
    taps: tuple[tuple[int, int], ...]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    origin: tuple[int, int]
    images: int
    rows: int
    columns: int
    dilations: tuple[int, int] = (1, 1)

    @property
    def k_step(self) -> int:
        """Input elements that one multiply-accumulate step consumes."""
        return 4 if self.quantized else 1

    @property
    def macs(self) -> int:
        per_pixel = self.outputs * self.group_inputs * len(self.taps)
        return per_pixel * self.images * self.rows * self.columns

    @property
    def is_pointwise(self) -> bool:
        return len(self.taps) == 1


def contraction_of(op: Anchor) -> Contraction:
    if isinstance(op, graph.QMatMulOp | graph.MatMulOp):
        k, n = shape_of(op.b)
        images, rows, columns, _ = as_nhwc(shape_of(op.a))
        return Contraction(
            isinstance(op, graph.QMatMulOp), n, 1, k, ((0, 0),), (1, 1), (1, 1), (0, 0),
            images, rows, columns,
        )  # fmt: skip
    o, i, kh, kw = shape_of(op.weight)
    (sy, sx), (dy, dx) = ints(op.strides), ints(op.dilations)
    top, left, _, _ = ints(op.pads)
    images, rows, columns, _ = shape_of(op.result)
    return Contraction(
        isinstance(op, graph.QConv2dOp),
        o,
        op.group_count,
        i,
        tuple((y * dy, x * dx) for y in range(kh) for x in range(kw)),
        (kh, kw),
        (sy, sx),
        (-top, -left),
        images,
        rows,
        columns,
        (dy, dx),
    )


@dataclass(frozen=True)
class Runs:
    """`offsets` of the runs (elements from the pixel's origin) and their common `length`."""

    offsets: tuple[int, ...]
    length: int
    merged: bool  # whether one run spans a whole kernel row


def runs_of(c: Contraction, layout: Layout) -> Runs:
    _, kw = c.kernel
    offsets = [y * layout.row_stride + x * layout.channel_stride for y, x in c.taps]
    merged = kw > 1 and c.dilations[1] == 1 and c.groups == 1 and layout.channel_stride == layout.c
    if merged:
        return Runs(tuple(offsets[::kw]), kw * c.group_inputs, True)
    return Runs(tuple(offsets), c.group_inputs, False)


def run_inputs(runs: Runs, run_steps: int) -> Array:
    """The numbers, among all four of each step in natural order, of the inputs that there are."""
    starts = np.arange(len(runs.offsets)) * 4 * run_steps
    return np.asarray((starts[:, None] + np.arange(runs.length)).reshape(-1))


def signed_terms(op: Anchor, weight: Array) -> list[Array]:
    """The weights (minus their zero point) as a sum of s8 (or f32) arrays: one term, rarely more.

    w − zw lies in [−255, 255]; where it does not fit s8 it is split into two s8 terms (three for
    255 = 127 + 127 + 1) that read the same inputs: exact on every target, and no other kernel."""
    if isinstance(op, graph.Conv2dOp | graph.MatMulOp):
        return [weight]
    name = "weight_zero_point" if isinstance(op, graph.QConv2dOp) else "b_zero_point"
    zero_point = array_to_numpy(getattr(op, name))
    rest = weight.astype(np.int32) - zero_point.reshape(-1, *(1,) * (weight.ndim - 1))
    terms: list[Array] = []
    while not terms or rest.any():
        term = np.clip(rest, -128, 127)
        terms.append(term.astype(np.int8))
        rest = rest - term
    return terms


def as_oihw(op: Anchor, weight: Array) -> Array:
    """The weight constant as [O, I/groups, kh, kw]."""
    if isinstance(op, graph.QMatMulOp | graph.MatMulOp):
        return np.ascontiguousarray(weight.T)[:, :, None, None]
    return weight


def block_inputs(c: Contraction, first: int, count: int) -> tuple[int, int]:
    """The input channels [low, high) that output channels [first, first + count) need."""
    per_group = c.outputs // c.groups
    last = min(first + count, c.outputs) - 1
    return (
        first // per_group * c.group_inputs,
        (last // per_group + 1) * c.group_inputs,
    )


def block_base(c: Contraction, first: int, count: int, width: int) -> int:
    """First of the `width` input channels that a block reads: all it needs, none past the last."""
    low, _ = block_inputs(c, first, count)
    return max(0, min(low, c.groups * c.group_inputs - width))


def matrix_of(
    c: Contraction, runs: Runs, weight: Array, first: int, count: int, width: int
) -> Array:
    """Weights of output channels [first, first + count) as [count, runs, width].

    With groups, the block reads all input channels of the groups it touches, and the weights
    between a channel and the inputs of another group are zero."""
    o = min(count, c.outputs - first)
    if c.groups == 1:
        block = weight[first : first + o].transpose(0, 2, 3, 1)  # [o, kh, kw, i]
        block = block.reshape(o, len(runs.offsets), runs.length)
        result = np.zeros((count, len(runs.offsets), width), weight.dtype)
        result[:o, :, : runs.length] = block
        return result
    low = block_base(c, first, count, width)
    per_group = c.outputs // c.groups
    result = np.zeros((count, len(runs.offsets), width), weight.dtype)
    flat = weight.reshape(c.outputs, c.group_inputs, -1)
    for channel in range(o):
        start = (first + channel) // per_group * c.group_inputs - low
        result[channel, :, start : start + c.group_inputs] = flat[first + channel].T
    return result


def input_zero_points(op: graph.QConv2dOp | graph.QMatMulOp | graph.WinogradQConv2dOp) -> Array:
    """i64, [1], or one for each output channel."""
    if isinstance(op, graph.QConv2dOp):
        zero_points = op.input_zero_points.astype(np.int64)
        if len(zero_points) == 1:
            return zero_points
        outputs = shape_of(op.result)[shapes.channel_axis(op.layout.data)]
        return np.repeat(zero_points, outputs // len(zero_points))
    zero_point = op.a_zero_point if isinstance(op, graph.QMatMulOp) else op.input_zero_point
    return np.asarray([zero_point.value.data])


def plain_bias(bias: Array | None, outputs: int) -> Array:
    """The bias of a float contraction."""
    return np.zeros(outputs, np.float32) if bias is None else bias.astype(np.float32)


def folded_bias(op: Anchor | graph.WinogradQConv2dOp, sums: Array, bias: Array | None) -> Array:
    """bias − z·Σ w per output channel (i64; kernels wrap it to i32).

    `sums`: Σ w, i64, the zero point of w already subtracted."""
    assert isinstance(op, graph.QConv2dOp | graph.QMatMulOp | graph.WinogradQConv2dOp)
    own = 0 if bias is None else bias.astype(np.int64)
    return np.asarray(own - input_zero_points(op) * sums)


@dataclass(frozen=True)
class Grid:
    """The output pixels as rows × columns whose addresses are linear along a row."""

    rows: int
    columns: int
    collapsed: bool  # one row of all pixels: every tensor involved is linear in the pixel number


def grid_of(c: Contraction, layouts: list[Layout]) -> Grid:
    linear = (
        c.is_pointwise and c.strides == (1, 1) and all(layout.halo == NO_HALO for layout in layouts)
    )
    if linear:
        return Grid(1, c.images * c.rows * c.columns, True)
    return Grid(c.images * c.rows, c.columns, False)
