"""Per-channel constants, and the contraction that can absorb them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from ..dialects import graph, shapes
from ..dialects.tensors import Array, shape_of
from .grids import reshaped_axis
from .rewriting import constant_of

Contraction = graph.Conv2dOp | graph.MatMulOp


def channel_vector(values: Array, shape: shapes.Shape, axis: int) -> Array | None:
    """`values`, which broadcast to `shape`, as one per index of `axis`; None if others vary too."""
    padded = (1,) * (len(shape) - values.ndim) + values.shape
    if len(padded) != len(shape) or any(d != 1 for i, d in enumerate(padded) if i != axis):
        return None
    if padded[axis] not in (1, shape[axis]):
        return None
    return np.broadcast_to(values.reshape(-1), (shape[axis],))


def output_axis(contraction: Contraction) -> int:
    """The axis of the result that runs over output channels or columns."""
    if isinstance(contraction, graph.Conv2dOp):
        return shapes.channel_axis(contraction.layout.data)
    return len(shape_of(contraction.result)) - 1


@dataclass(frozen=True)
class Absorber:
    """A contraction that nothing but the op under rewrite uses.

    value: its result, perhaps reshaped or transposed; axis: where its channels lie in `value`."""

    contraction: Contraction
    value: SSAValue
    axis: int


def absorber(value: SSAValue) -> Absorber | None:
    """The contraction behind `value` and the reshapes and transposes that keep channels whole."""
    if not value.has_one_use():
        return None
    producer = value.owner
    if isinstance(producer, graph.Conv2dOp | graph.MatMulOp):
        return Absorber(producer, value, output_axis(producer))
    if not isinstance(producer, graph.ReshapeOp | graph.TransposeOp):
        return None
    inner = absorber(producer.input)
    axis = None if inner is None else moved_axis(producer, inner.axis)
    return None if inner is None or axis is None else Absorber(inner.contraction, value, axis)


def moved_axis(op: graph.ReshapeOp | graph.TransposeOp, axis: int) -> int | None:
    """Where `axis` of the operand lies in the result; None when it is split or merged."""
    if isinstance(op, graph.TransposeOp):
        return graph.ints(op.permutation).index(axis)
    return reshaped_axis(shape_of(op.input), shape_of(op.result), axis)


def with_parameters(
    contraction: Contraction, weight: SSAValue, bias: SSAValue | None
) -> Contraction:
    """The same contraction with other weights and bias."""
    operands = [contraction.operands[0], weight, *([] if bias is None else [bias])]
    return type(contraction).create(
        operands=operands,
        result_types=[contraction.result.type],
        properties=dict(contraction.properties),
        attributes=dict(contraction.attributes),
    )


def weight_of(contraction: Contraction) -> SSAValue:
    return contraction.operands[1]


def constant_operand(op: graph.BinaryOp) -> tuple[SSAValue, Array] | None:
    """(value, constant): an operand of the result's shape and a constant one, on either side."""
    for value, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
        constant = constant_of(other)
        if constant is not None and value.type == op.result.type:
            return value, constant
    return None
