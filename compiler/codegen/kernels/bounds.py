"""How large the reals of a kernel body can be: what lets an epilogue clamp by saturating.

The bounds hold for the rounded float32 values, too: `LIMIT` leaves half of what an i32 holds.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import Operation, OpResult, SSAValue

from ...dialects import graph
from ...dialects.tensors import is_code, type_of

#: Reals below it round to an i32, and leave room to add a zero point.
LIMIT = 2.0**30


def magnitude(value: SSAValue) -> float:
    """A bound of |value| for reals that are computed from codes; infinite if nothing is known.

    A finite bound also says that the value is never NaN."""
    if not isinstance(value, OpResult) or type(value.op) not in _MAGNITUDE:
        return inf
    return _MAGNITUDE[type(value.op)](value.op)


def _dequantize(op: Any) -> float:
    if type_of(op.input).element_type == i32:
        largest = 2.0**31
    elif is_code(op.input):
        low, high = graph.code_range(type_of(op.input).element_type)
        largest = max(float(np.abs(end - op.zero_points).max()) for end in (low, high))
    else:
        return inf
    return largest * float(np.abs(op.scales).max())


def _constant(op: Any) -> float:
    largest = float(np.abs(op.array).max(initial=0))
    return largest if np.isfinite(largest) else inf


def _unary(op: Any) -> float:
    kind = op.kind.data
    if kind in ("relu", "abs", "neg", "hard_swish"):
        return magnitude(op.input)
    if kind in ("sigmoid", "hard_sigmoid", "tanh"):
        return 2.0 if magnitude(op.input) < inf else inf
    return inf


def _sum(op: Any) -> float:
    return magnitude(op.lhs) + magnitude(op.rhs)


def _largest(op: Any) -> float:
    return max(magnitude(op.lhs), magnitude(op.rhs))


def _product(op: Any) -> float:
    factors = magnitude(op.lhs), magnitude(op.rhs)
    return inf if inf in factors else factors[0] * factors[1]


_MAGNITUDE: dict[type[Operation], Callable[[Any], float]] = {
    graph.DequantizeOp: _dequantize,
    graph.ConstantOp: _constant,
    graph.ReshapeOp: lambda op: magnitude(op.input),
    graph.UnaryOp: _unary,
    graph.AddOp: _sum,
    graph.SubOp: _sum,
    graph.MaximumOp: _largest,
    graph.MinimumOp: _largest,
    graph.MulOp: _product,
}


def saturates(op: graph.RequantizeOp | graph.QuantizeOp) -> bool:
    """Whether saturation alone clamps what `op` rounds to the range of its type."""
    if isinstance(op, graph.RequantizeOp):
        return 2.0**31 * float(np.abs(op.multipliers).max()) < LIMIT
    smallest = float(np.abs(op.scales).min())
    return magnitude(op.input) < LIMIT * smallest
