"""How far approximations are off, on samples of all binades."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from lpc.compiler.approximations import APPROXIMATIONS, RELATIVE
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.functions import evaluate_unary
from lpc.compiler.interpreters.vector_math import NumpyMath


class Rounded(NumpyMath):
    """Products and sums are rounded each."""

    def multiply_add(self, a: Array, b: Array, c: Array) -> Array:
        return self.add(self.mul(a, b), c)


class Fused(NumpyMath):
    def multiply_add(self, a: Array, b: Array, c: Array) -> Array:
        wide = np.asarray(a, np.float64) * np.asarray(b, np.float64) + np.asarray(c, np.float64)
        return wide.astype(np.float32)


def approximated(kind: str, x: Array, math: Rounded | Fused) -> Array:
    function = APPROXIMATIONS[kind]
    with np.errstate(all="ignore"):
        value = np.float32(function.numerator) / np.asarray(function.denominator(math, x))
        value = value * x if function.times_x else value
        return np.asarray(value + np.float32(function.offset))


def composed(kind: str, x: Array) -> list[Array]:
    """Ops that an approximation also stands for (codegen/kernels/approximated.py)."""
    one, half = np.float32(1), np.float32(0.5)
    if kind == "silu":
        return [x * evaluate_unary("sigmoid", x)]
    if kind == "gelu":
        gates = [evaluate_unary("erf", x / np.float32(sqrt(2)))]
        gates += [evaluate_unary("erf", x * np.float32(sqrt(0.5)))]
    elif kind == "gelu_tanh":
        root, cube = np.float32(sqrt(2 / pi)), np.float32(0.044715)
        gates = [evaluate_unary("tanh", root * (x + cube * (x * x * x)))]
        gates += [evaluate_unary("tanh", (x * x * (x * cube) + x) * root)]
    else:
        return []
    products = [(x * (gate + one)) * half for gate in gates]
    return products + [(x * half) * (gate + one) for gate in gates]


def samples() -> Array:
    """Finite floats: each binade with both signs, those of every activation's range densely."""
    g, parts = np.random.default_rng(0), []
    for exponent in range(255):
        count = 20_000 if 113 <= exponent < 134 else 500  # 2^−14 to 2^7
        for sign in (0, 1 << 31):
            mantissa = g.integers(0, 1 << 23, count)
            parts.append((sign | exponent << 23 | mantissa).astype(np.uint32))
    return np.concatenate(parts).view(np.float32)


@pytest.mark.parametrize("math", [Rounded(), Fused()], ids=["rounded", "fused"])
@pytest.mark.parametrize("kind", APPROXIMATIONS)
def test_half_of_the_bound_is_enough(kind: str, math: Rounded | Fused) -> None:
    x = samples()
    with np.errstate(all="ignore"):
        exact = [evaluate_unary(kind, x), *composed(kind, x)]
    value, absolute = approximated(kind, x, math).astype(np.float64), APPROXIMATIONS[kind].absolute
    for wanted in exact:
        assert not np.isnan(wanted).any()
        is_small = np.abs(wanted) < 1e38  # a composition may overflow, and saturates then
        bound = RELATIVE * np.abs(wanted[is_small].astype(np.float64)) + absolute
        assert (np.abs(value[is_small] - wanted[is_small]) <= bound / 2).all()


@pytest.mark.parametrize("kind", APPROXIMATIONS)
def test_what_is_no_number_stays_none(kind: str) -> None:
    x = np.asarray([np.nan, np.inf, -np.inf], np.float32)
    for math in (Rounded(), Fused()):
        value = approximated(kind, x, math)
        assert np.isnan(value[0])
        # Of infinities, functions that have limits may have them; others are no numbers.
        limits = evaluate_unary(kind, x[1:])
        assert (~np.isfinite(value[1:]) | (value[1:] == limits)).all()
