"""Float functions against float64: errors in units in the last place, limits, parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lpc.compiler.dialects.graph import UNARY_KINDS
from lpc.compiler.functions import NEAR, POWERS, UNARY, evaluate_pow, evaluate_unary, exp, near_exp
from lpc.compiler.interpreters.vector_math import NumpyMath

Array = np.ndarray[Any, Any]
f32 = np.float32


def floats(values: Any) -> Array:
    return np.asarray(values, f32)


def arguments(seed: int = 0, n: int = 20000) -> Array:
    """Every binade and sign, and dense samples where the functions bend."""
    rng = np.random.default_rng(seed)
    any_bits = rng.integers(0, 2**32, n, dtype=np.uint64).astype(np.uint32).view(f32)
    ranges = [rng.uniform(-r, r, n).astype(f32) for r in (1, 5, 20, 105)]
    logarithmic = np.exp(rng.uniform(-20, 5, n)) * rng.choice([-1, 1], n)
    x = np.concatenate([any_bits, *ranges, logarithmic.astype(f32)])
    return np.asarray(x[np.isfinite(x)])


def logistic(y: Array) -> Array:
    e = np.exp(-np.abs(y))
    return np.asarray(np.where(y < 0, e, 1) / (1 + e))


def gelu_tanh(x: Array) -> Array:
    wide = x.astype(np.longdouble)
    y = 2 * np.sqrt(np.longdouble(2) / np.longdouble(math.pi)) * (wide + 0.044715 * wide**3)
    return np.asarray(wide * logistic(y))


def elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def erfc(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erfc, otypes=[float])(x))


ALPHA, GAMMA = float(f32(1.6732632)), float(f32(1.050701))
REFERENCE: dict[str, tuple[Callable[[Array], Array], float]] = {
    "sqrt": (np.sqrt, 0.5),
    "reciprocal": (lambda x: 1 / x, 0.5),
    "exp": (np.exp, 1.0),
    "log": (np.log, 1.0),
    "erf": (np.vectorize(math.erf, otypes=[float]), 3.0),
    "tanh": (np.tanh, 3.0),
    "sigmoid": (logistic, 3.0),
    "silu": (lambda x: x * logistic(x), 3.0),
    "gelu": (lambda x: x * 0.5 * erfc(-x / math.sqrt(2)), 4.0),
    "gelu_tanh": (gelu_tanh, 4.0),
    "softplus": (lambda x: np.logaddexp(0, x), 3.0),
    "softsign": (lambda x: x / (1 + np.abs(x)), 2.0),
    "mish": (lambda x: x * np.tanh(np.log1p(np.exp(np.minimum(x, 100)))), 4.0),
    "elu": (elu, 2.0),
    "selu": (lambda x: GAMMA * np.where(x > 0, x, ALPHA * elu(x)), 3.0),
}
EXACT: dict[str, Callable[[Array], Array]] = {
    "abs": np.abs,
    "neg": np.negative,
    "relu": lambda x: np.where(x < 0, 0, x),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sign": np.sign,
    "leaky_relu": lambda x: np.where(x < 0, x * f32(0.01), x),
    "hard_sigmoid": lambda x: np.clip(x * f32(0.2) + f32(0.5), 0, 1),
    "hard_swish": lambda x: x * np.clip(x * f32(1 / 6) + f32(0.5), 0, 1),
    "clip": lambda x: x,
}
LIMITS = {  # kind: f(−inf), f(inf)
    "abs": (np.inf, np.inf),
    "neg": (np.inf, -np.inf),
    "sqrt": (np.nan, np.inf),
    "reciprocal": (0, 0),
    "exp": (0, np.inf),
    "log": (np.nan, np.inf),
    "erf": (-1, 1),
    "tanh": (-1, 1),
    "sigmoid": (0, 1),
    "relu": (0, np.inf),
    "silu": (0, np.inf),
    "gelu": (0, np.inf),
    "gelu_tanh": (0, np.inf),
    "hard_swish": (0, np.inf),
    "softplus": (0, np.inf),
    "softsign": (-1, 1),
    "mish": (0, np.inf),
    "floor": (-np.inf, np.inf),
    "ceil": (-np.inf, np.inf),
    "round": (-np.inf, np.inf),
    "sign": (-1, 1),
    "leaky_relu": (-np.inf, np.inf),
    "elu": (-1, np.inf),
    "selu": (-GAMMA * ALPHA, np.inf),
    "hard_sigmoid": (0, 1),
    "clip": (-np.inf, np.inf),
}


def test_every_kind_has_a_program_and_a_test() -> None:
    assert set(UNARY) == set(UNARY_KINDS) == set(REFERENCE) | set(EXACT) == set(LIMITS)


@pytest.mark.parametrize("kind", REFERENCE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_error_in_ulp(kind: str) -> None:
    x = arguments()
    function, bound = REFERENCE[kind]
    exact = np.asarray(function(x.astype(np.float64)), np.longdouble)
    normal = (np.abs(exact) >= 2.0**-126) & (np.abs(exact) <= np.finfo(f32).max)
    result = evaluate_unary(kind, x).astype(np.float64)[normal]
    unit = np.spacing(np.abs(exact[normal]).astype(f32)).astype(np.float64)
    assert np.max(np.abs(result - exact[normal]) / unit) <= bound


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_formulas_of_single_roundings(kind: str) -> None:
    x = arguments()
    result = evaluate_unary(kind, x)
    assert result.dtype == f32
    assert np.array_equal(result, EXACT[kind](x).astype(f32))


@pytest.mark.parametrize("kind", UNARY_KINDS)
def test_limits(kind: str) -> None:
    result = evaluate_unary(kind, floats([-np.inf, np.inf, np.nan]))
    assert np.allclose(result, [*LIMITS[kind], np.nan], rtol=1e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", ["erf", "tanh", "gelu", "silu", "softsign", "sign", "relu"])
def test_signed_zeros_are_kept(kind: str) -> None:
    zeros = floats([0.0, -0.0])
    assert evaluate_unary(kind, zeros).tobytes() == zeros.tobytes()


def test_domain_ends() -> None:
    assert evaluate_unary("exp", floats([88.72284, -150.0, -103.9])).tolist() == [
        np.inf,
        0.0,
        float(f32(1e-45)),
    ]
    assert np.isfinite(evaluate_unary("exp", floats(88.72283)))
    log = evaluate_unary("log", floats([0.0, -0.0, -1.0, 1.0, 1e-45]))
    assert log[:2].tolist() == [-np.inf] * 2
    assert np.isnan(log[2])
    assert log[3:].tolist() == [0.0, float(f32(math.log(2.0**-149)))]


def test_denormal_results_are_kept() -> None:
    x = np.linspace(-103, -88, 1001).astype(f32)
    unit = 2.0**-149
    assert np.max(np.abs(evaluate_unary("exp", x) - np.exp(x.astype(np.float64)))) <= 1.01 * unit


def test_parameters() -> None:
    x = floats([-2.0, -0.5, 0.5, 2.0])
    assert evaluate_unary("clip", x, -1.0, 1.0).tolist() == [-1.0, -0.5, 0.5, 1.0]
    assert evaluate_unary("leaky_relu", x, 0.5).tolist() == [-1.0, -0.25, 0.5, 2.0]
    assert evaluate_unary("hard_sigmoid", x, 1.0, 0.0).tolist() == [0.0, 0.0, 0.5, 1.0]
    assert np.array_equal(evaluate_unary("elu", x, 2.0)[:2], 2 * evaluate_unary("elu", x)[:2])


@pytest.mark.parametrize("exponent", sorted(POWERS))
def test_constant_powers(exponent: float) -> None:
    x = np.random.default_rng(0).uniform(0.1, 4, 1000).astype(f32)
    exact = x.astype(np.float64) ** exponent
    assert np.max(np.abs(evaluate_pow(x, np.full((), exponent, f32)) / exact - 1)) < 5 * 2.0**-24


def test_powers_of_negative_bases_and_tensors_of_exponents() -> None:
    assert evaluate_pow(floats([-2, 3]), floats([3])).tolist() == [-8, 27]
    assert evaluate_pow(floats([[2], [4]]), floats([0.5, 2])).shape == (2, 2)
    assert evaluate_pow(floats([4, 2]), floats([0.5, 3])).tolist() == [2, 8]
    assert evaluate_pow(floats([2, 3]), floats([[0]])).tolist() == [[1, 1]]


def test_near_exponentials_are_exponentials() -> None:
    x = np.concatenate([np.linspace(NEAR, 0, 1_000_000), [NEAR, -0.0, 0.0, -1e-30]]).astype(f32)
    near, wide = (np.asarray(f(NumpyMath(), x)) for f in (near_exp, exp))
    np.testing.assert_array_equal(near.view(np.uint32), wide.view(np.uint32))
