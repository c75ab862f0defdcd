"""Which function of one argument a value of a kernel is, if it has an approximation: an op of its
own, or ops that make it up, as frameworks export SiLU and both GELUs.

    x·sigmoid(x)      ½·x·(1 + erf(x / √2))      ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))

Products may have any order. Constants are those of the function, to a unit in the last place.
"""

from __future__ import annotations

from collections import Counter
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from xdsl.ir import SSAValue

from ...approximations import APPROXIMATIONS, Approximation
from ...dialects import graph

_CUBE = 0.044715


class Product(NamedTuple):
    """scale · the product of the factors, each of which is not a product, with its power."""

    scale: float
    factors: Counter[SSAValue]

    def is_scaled(self, x: SSAValue, scale: float, power: int = 1) -> bool:
        """scale · x^power"""
        return self.factors == {x: power} and _is_nearly(self.scale, scale)


def approximation_of(value: SSAValue) -> tuple[Approximation, SSAValue] | None:
    """An approximation of `value`, and what it is a function of."""
    op = value.owner
    if isinstance(op, graph.UnaryOp) and op.kind.data in APPROXIMATIONS:
        return APPROXIMATIONS[op.kind.data], op.input
    if not isinstance(op, graph.MulOp):
        return None
    scale, factors = _product(value)
    # As they are: x may be a product itself.
    pairs: list[tuple[SSAValue, SSAValue, float]] = [(op.lhs, op.rhs, 1.0)]
    if len(factors) == 2 and set(factors.values()) == {1}:
        first, second = factors
        pairs.append((first, second, scale))
    for a, b, scale in pairs:
        for x, gate in ((a, b), (b, a)):
            if (kind := _gated(x, gate, scale)) is not None:
                return APPROXIMATIONS[kind], x
    return None


def _gated(x: SSAValue, gate: SSAValue, scale: float) -> str | None:
    """Which function scale · x · gate is."""
    if scale == 1.0 and _argument(gate, "sigmoid") is x:
        return "silu"
    rest = _beside_one(gate)
    if scale != 0.5 or rest is None:
        return None
    if (inner := _argument(rest, "erf")) is not None:
        return "gelu" if _product(inner).is_scaled(x, sqrt(0.5)) else None
    if (inner := _argument(rest, "tanh")) is not None:
        return "gelu_tanh" if _is_odds(inner, x) else None
    return None


def _is_odds(value: SSAValue, x: SSAValue) -> bool:
    """√(2/π)·(x + 0.044715·x³)"""
    scale, factors = _product(value)
    if len(factors) != 1 or not _is_nearly(scale, sqrt(2 / pi)):
        return False
    (total,) = factors
    op = total.owner
    if factors[total] != 1 or not isinstance(op, graph.AddOp) or x not in op.operands:
        return False
    return _product(op.rhs if op.lhs is x else op.lhs).is_scaled(x, _CUBE, 3)


def _product(value: SSAValue) -> Product:
    op = value.owner
    if isinstance(op, graph.MulOp):
        a, b = _product(op.lhs), _product(op.rhs)
        return Product(a.scale * b.scale, a.factors + b.factors)
    if isinstance(op, graph.DivOp) and (divisor := _number(op.rhs)):
        scale, factors = _product(op.lhs)
        return Product(scale / divisor, factors)
    if isinstance(op, graph.PowOp) and (exponent := _number(op.rhs)) in (2.0, 3.0):
        assert exponent is not None
        return Product(1.0, Counter({op.lhs: int(exponent)}))
    number = _number(value)
    return Product(1.0, Counter([value])) if number is None else Product(number, Counter())


def _argument(value: SSAValue, kind: str) -> SSAValue | None:
    op = value.owner
    return op.input if isinstance(op, graph.UnaryOp) and op.kind.data == kind else None


def _beside_one(value: SSAValue) -> SSAValue | None:
    """What 1 is added to."""
    op = value.owner
    if isinstance(op, graph.AddOp):
        for one, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
            if _number(one) == 1.0:
                return other
    return None


def _number(value: SSAValue) -> float | None:
    """The one value of a constant."""
    op = value.owner
    if isinstance(op, graph.ConstantOp) and op.array.size == 1 and op.array.dtype == np.float32:
        return float(op.array.reshape(-1)[0])
    return None


def _is_nearly(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= 2.0**-23 * abs(wanted)
