"""Cheap approximations of some functions of `functions.py`, with bounds of how far they are off.

They never decide a result. Where a function's value only becomes a code, its exact bits matter for
the few values near which rounding turns from one code to the next; for all others an approximation
gives the same code (codegen/kernels/speculation.py), with a third of the operations:

    x·sigmoid(x) ≈ x / (1 + 2^t),   t = −log2(e)·x;   gelu and gelu_tanh: t = x·P(x²)

2^t is s·p(f) with the whole part of t in the exponent of s, which for t ≥ 127.5 is infinite and for
t ≤ −126.5 is 0. So a NaN stays one, and so does an infinity, or it becomes a NaN; where x is far
below zero, the result is a zero or tiny, as the function is.

How far they are off was measured on all float32 from 2^−14 to 2^7 and every 64th of the others, of
both signs, with fused products and sums and with such as are rounded each: half of the bounds at
most (samples of it: tests/test_approximations.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .functions import GELU_A, GELU_B, LOG2_E
from .vector_math import F, I, M, VectorMath


class FusedMath(VectorMath[F, I, M], Protocol[F, I, M]):
    """With a primitive that is not exact: backends may round once or twice."""

    def multiply_add(self, a: F, b: F, c: F) -> F:
        """a·b + c"""


@dataclass(frozen=True)
class Approximation:
    """numerator / denominator(x) + offset, or with x·numerator.

    For all finite x that is no more than `RELATIVE`·|f(x)| + `absolute` off f(x), however f is
    composed (codegen/kernels/approximated.py)."""

    denominator: Callable[..., object]
    numerator: float = 1.0
    times_x: bool = False
    offset: float = 0.0
    absolute: float = 2.0**-21


RELATIVE = 2.0**-21

#: 2^f for |f| ≤ ½, to 2^−23 of itself.
_EXP2 = (
    1.0, 0.6931469440460205, 0.24022120237350464, 0.05550713092088699, 0.009675541892647743,
    0.0013276473619043827,
)  # fmt: skip


#: log2(Φ(−x) / Φ(x)) / x for x² ≤ `_FAR`, by powers of x²: x·Φ(x) is off by 7e−8 at most.
_ODDS = (
    -2.3022072315216064, -0.10483859479427338, 9.560198668623343e-05, 0.0001593865016,
    -1.145199597e-05, 3.850156366e-07, -5.209186651e-09,
)  # fmt: skip
_FAR = 27.5


def _polynomial(m: FusedMath[F, I, M], x: F, coefficients: tuple[float, ...]) -> F:
    """Σ coefficients[i]·x^i by Horner's rule."""
    result = m.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = m.multiply_add(result, x, m.constant(coefficient))
    return result


def one_and_power_of_two(m: FusedMath[F, I, M], t: F) -> F:
    """1 + 2^t"""
    t = m.maximum(m.constant(-127.0), m.minimum(m.constant(128.0), t))
    # 1.5·2²³ + 127: the last bits of a sum with it are those of a float's exponent.
    shift = m.constant(float((3 << 22) + 127))
    whole = m.add(t, shift)
    fraction = m.sub(t, m.sub(whole, shift))
    scale = m.from_bits(m.ishl(m.bits(whole), 23))
    return m.multiply_add(_polynomial(m, fraction, _EXP2), scale, m.constant(1.0))


def logistic(m: FusedMath[F, I, M], x: F) -> F:
    """1 + e^(−x)"""
    return one_and_power_of_two(m, m.mul(x, m.constant(-LOG2_E)))


def logistic_of_twice(m: FusedMath[F, I, M], x: F) -> F:
    """1 + e^(−2x)"""
    return one_and_power_of_two(m, m.mul(x, m.constant(-2 * LOG2_E)))


def normal_odds(m: FusedMath[F, I, M], x: F) -> F:
    """1 / Φ(x) = 1 + Φ(−x) / Φ(x)"""
    square = m.minimum(m.constant(_FAR), m.mul(x, x))
    return one_and_power_of_two(m, m.mul(x, _polynomial(m, square, _ODDS)))


def gelu_tanh_odds(m: FusedMath[F, I, M], x: F) -> F:
    """1 + e^(−x·(a + b·x²))"""
    odds = m.multiply_add(m.mul(x, x), m.constant(-GELU_B * LOG2_E), m.constant(-GELU_A * LOG2_E))
    return one_and_power_of_two(m, m.mul(x, odds))


#: By the kind of `graph.unary`.
APPROXIMATIONS = {
    "sigmoid": Approximation(logistic),
    "silu": Approximation(logistic, times_x=True),
    "tanh": Approximation(logistic_of_twice, numerator=2.0, offset=-1.0, absolute=2.0**-20),
    "gelu": Approximation(normal_odds, times_x=True),
    "gelu_tanh": Approximation(gelu_tanh_odds, times_x=True, absolute=2.0**-20),
}
