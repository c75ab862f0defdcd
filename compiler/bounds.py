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

from .dialects import graph
from .dialects.tensors import is_code, type_of

#: Float32 reals that are bounded by it, or by less, are finite: no sum of two of them is NaN.
FINITE = 1e38
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
    if kind == "clip":
        return _clip(op)
    if kind in ("relu", "abs", "neg", "hard_swish"):
        return magnitude(op.input)
    if kind in ("sigmoid", "hard_sigmoid", "tanh"):
        return 2.0 if magnitude(op.input) < inf else inf
    return inf


def _clip(op: Any) -> float:
    largest = magnitude(op.input)
    low, high = op.parameters
    # A NaN would pass.
    if largest == inf or low is None or high is None:
        return largest
    return float(min(largest, max(abs(low), abs(high))))


def _max_pool(op: Any) -> float:
    # A window that lies in the padding alone gives −inf.
    return inf if any(graph.ints(op.pads)) else magnitude(op.input)


def _sum(op: Any) -> float:
    return magnitude(op.lhs) + magnitude(op.rhs)


def _largest(op: Any) -> float:
    return max(magnitude(op.lhs), magnitude(op.rhs))


def _product(op: Any) -> float:
    factors = magnitude(op.lhs), magnitude(op.rhs)
    return inf if inf in factors else factors[0] * factors[1]


def _of_input(op: Any) -> float:
    return magnitude(op.operands[0])


_MAGNITUDE: dict[type[Operation], Callable[[Any], float]] = {
    graph.DequantizeOp: _dequantize,
    graph.ConstantOp: _constant,
    graph.ReshapeOp: _of_input,
    graph.TransposeOp: _of_input,
    graph.SliceOp: _of_input,
    graph.BroadcastOp: _of_input,
    graph.GatherOp: _of_input,
    graph.ResizeNearestOp: _of_input,
    graph.AvgPoolOp: _of_input,
    graph.MaxPoolOp: _max_pool,
    graph.PadOp: lambda op: max(magnitude(op.input), abs(op.value.value.data)),
    graph.ConcatOp: lambda op: max(magnitude(x) for x in op.inputs),
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
