"""Grids: scale and zero point of codes, where ops move them, which codes a value can hold."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ..dialects import graph
from ..dialects.tensors import Array, dense_to_numpy, is_code, type_of, value_dtype
from .rewriting import defining


@dataclass(frozen=True)
class Grid:
    """real = (code − zero_points)·scales; both have one value, or one per channel along `axis`."""

    scales: Array
    zero_points: Array
    axis: int

    @staticmethod
    def of(op: graph.QuantizingOp) -> Grid:
        scales, zero_points = op.scales, op.zero_points
        if len(scales) > 1 and np.all(scales == scales[0]):
            scales = scales[:1]
        if len(zero_points) > 1 and np.all(zero_points == zero_points[0]):
            zero_points = zero_points[:1]
        return Grid(scales, zero_points, op.axis_index)

    @property
    def is_per_tensor(self) -> bool:
        return len(self.scales) == 1 and len(self.zero_points) == 1

    @property
    def has_one_zero_point(self) -> bool:
        return len(self.zero_points) == 1

    @property
    def is_increasing(self) -> bool:
        """Whether a larger code is a larger real."""
        return bool(np.all(self.scales > 0))

    @property
    def zero_point(self) -> int:
        """The only zero point."""
        (zero_point,) = self.zero_points
        return int(zero_point)

    def along(self, axis: int) -> Grid:
        return Grid(self.scales, self.zero_points, axis)

    def same_as(self, other: Grid) -> bool:
        return (
            np.array_equal(self.scales, other.scales)
            and np.array_equal(self.zero_points, other.zero_points)
            and (self.is_per_tensor or self.axis == other.axis)
        )


def before_relu(value: SSAValue) -> tuple[SSAValue, bool]:
    """What a relu reads, if one computes `value`, and whether one does."""
    unary = defining(value, graph.UnaryOp)
    if unary is None or unary.kind.data != "relu":
        return value, False
    return unary.input, True


def least_code(op: graph.QuantizeOp, behind_relu: bool) -> int:
    """Of a quantize: what zero becomes, if only a relu's results reach it."""
    low = op.qmin.value.data
    return max(low, Grid.of(op).zero_point) if behind_relu else low


def reshaped_axis(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    """Where `axis` lies after a row-major reshape; None when it is split or merged."""
    for index, size in enumerate(after):
        if size == before[axis] and prod(after[:index]) == prod(before[:axis]):
            return index
    return None


# Ops whose results are some of their (first) operand's codes.
_SELECTING = (
    graph.ReshapeOp,
    graph.TransposeOp,
    graph.SliceOp,
    graph.BroadcastOp,
    graph.GatherOp,
    graph.ResizeNearestOp,
    graph.MaxPoolOp,
)


def code_bounds(value: SSAValue) -> tuple[int, int]:
    """Smallest and largest code that `value` can hold, as far as its producer tells."""
    op = value.owner
    if isinstance(op, graph.QuantizeOp | graph.RequantizeOp):
        return op.qmin.value.data, op.qmax.value.data
    if isinstance(op, _SELECTING) and is_code(op.operands[0]):
        return code_bounds(op.operands[0])
    if isinstance(op, graph.ConcatOp):
        bounds = [code_bounds(x) for x in op.inputs]
        return min(low for low, _ in bounds), max(high for _, high in bounds)
    if isinstance(op, graph.LutOp):
        low, high = code_bounds(op.input)
        codes = np.arange(low, high + 1).astype(value_dtype(op.input)).view(np.uint8)
        reached = dense_to_numpy(op.table)[codes]
        return int(reached.min()), int(reached.max())
    return graph.code_range(type_of(value).element_type)


def dequantized(value: SSAValue) -> graph.DequantizeOp | None:
    """The op that turns 8-bit codes into `value`."""
    dequantize = defining(value, graph.DequantizeOp)
    return dequantize if dequantize is not None and is_code(dequantize.input) else None
