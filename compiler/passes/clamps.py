"""Clamps: relu, clip, maximum and minimum with a scalar constant, as one (low, high) interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from xdsl.ir import Operation, SSAValue

from ..dialects import graph
from ..dialects.tensors import shape_of
from .rewriting import constant_of


@dataclass(frozen=True)
class Clamp:
    """min(max(value, low), high)

    `passes_equals`: whether the value wins where neither is larger, so that a NaN, and a −0 at a
    bound of 0, come out as they are. `maximum(value, low)` gives the bound there instead."""

    value: SSAValue
    low: float
    high: float
    passes_equals: bool = True


def clamp_of(op: Operation) -> Clamp | None:
    if isinstance(op, graph.UnaryOp):
        return _unary_clamp(op)
    if isinstance(op, graph.MaximumOp | graph.MinimumOp):
        return _bound(op, op.lhs, op.rhs, False) or _bound(op, op.rhs, op.lhs, True)
    return None


def _unary_clamp(op: graph.UnaryOp) -> Clamp | None:
    if op.kind.data == "relu":
        return Clamp(op.input, 0.0, inf)
    if op.kind.data != "clip":
        return None
    low, high = op.parameters
    return Clamp(op.input, -inf if low is None else low, inf if high is None else high)


def _bound(
    op: graph.MaximumOp | graph.MinimumOp, value: SSAValue, bound: SSAValue, passes_equals: bool
) -> Clamp | None:
    constant = constant_of(bound)
    if constant is None or constant.size != 1 or shape_of(value) != shape_of(op.result):
        return None
    limit = float(constant.reshape(-1)[0])
    low, high = (limit, inf) if isinstance(op, graph.MaximumOp) else (-inf, limit)
    return Clamp(value, low, high, passes_equals)
