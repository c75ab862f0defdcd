"""Rearranging weights at compile time, through the quantize/dequantize chain that hides them.

    dequantize(constant W, axis)  ⇒  dequantize(constant change(W), moved(axis))

so that a transposed or reshaped int8 weight is still a dequantized constant for the passes. The old
chain stays for other users; what nobody uses is erased at the end of the import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation, SSAValue

from ...dialects import graph
from ...dialects.tensors import Array, shape_of, type_of
from .context import Node


@dataclass(frozen=True)
class Rearrangement:
    """`change` the array, `moved` axis of per-channel parameters, `op` for what is no constant."""

    change: Callable[[Array], Array]
    moved: Callable[[int], int]
    op: Callable[[SSAValue], Operation]


def transposed(node: Node, x: SSAValue, permutation: Sequence[int]) -> SSAValue:
    order = [int(p) for p in permutation]
    return rearranged(
        node,
        x,
        Rearrangement(
            lambda array: array.transpose(order), order.index, lambda v: graph.TransposeOp(v, order)
        ),
    )


def with_unit_height(node: Node, weight: SSAValue) -> SSAValue:
    """[O, I, k] → [O, I, 1, k]."""
    o, i, k = shape_of(weight)
    shape = (o, i, 1, k)
    return rearranged(
        node,
        weight,
        Rearrangement(
            lambda array: array.reshape(shape),
            lambda axis: axis if axis < 2 else axis + 1,
            lambda v: graph.ReshapeOp(v, shape),
        ),
    )


def rearranged(node: Node, x: SSAValue, how: Rearrangement) -> SSAValue:
    rebuilt = _rebuilt(node, x, how)
    return node.emit(how.op(x)) if rebuilt is None else rebuilt


def _rebuilt(node: Node, x: SSAValue, how: Rearrangement) -> SSAValue | None:
    op = x.owner
    if isinstance(op, graph.ConstantOp):
        return node.constant(np.ascontiguousarray(how.change(op.array)))
    if not isinstance(op, graph.QuantizeOp | graph.DequantizeOp):
        return None
    source = _rebuilt(node, op.input, how)
    if source is None:
        return None
    axis = how.moved(op.axis_index) if len(op.scales) > 1 else op.axis_index
    copy: Any = (
        graph.DequantizeOp(source, op.scales, op.zero_points, axis)
        if isinstance(op, graph.DequantizeOp)
        else graph.QuantizeOp(
            source, op.scales, op.zero_points, type_of(op.result).element_type, axis
        )
    )
    layer = op.attributes["layer"]
    assert isinstance(layer, StringAttr)
    return node.emit(copy, layer.data)
