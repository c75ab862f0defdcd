"""Every float function of `graph.unary`, defined once, as a program over primitive float32
operations.

A program runs on any `VectorMath`: numpy arrays (the interpreter, LUT tabulation) or values of the
code generator. The primitives are exact IEEE operations that every target has, each result is
rounded once and nothing is fused, so all backends give the same bits (NaN payloads aside).

Coefficients are near-minimax fits with float32 values; 2^n is built from exponent bits; ln 2 is
split so that n·LN2_HIGH is exact.

Largest error measured against float64, in units in the last place, where the exact result is a
normal float32 (two million and more arguments per function, all binades, both signs):

    sqrt, reciprocal   0.50     softsign   1.49     tanh        2.50
    log                0.81     erf        1.93     silu        2.73
    elu (alpha = 1)    0.91     softplus   1.96     gelu_tanh   2.86
    exp                0.99     selu       2.15     gelu        3.25
                                sigmoid    2.40     mish        3.82

abs, neg, relu, clip, floor, ceil, round (half to even) and sign are exact. leaky_relu, hard_sigmoid
and hard_swish are ONNX's formulas, product by product and sum by sum: near a root of theirs
(hard_swish at −3) the error is relative to the terms, not to the result.

NaN gives NaN, also in relu and clip; −inf and +inf give the limits; denormals are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from .dialects.tensors import Array
from .interpreters.vector_math import NumpyMath
from .vector_math import F, I, M, VectorMath

LOG2_E = 1.44269504
LN2_HIGH = 0.693359375  # 355/512: n·LN2_HIGH is exact for |n| < 2^15
LN2_LOW = -2.12194440e-4

_EXP = (
    0.4999999403953552, 0.1666652113199234, 0.04166829586029053, 0.008368715643882751,
    0.001381835900247097,
)  # fmt: skip
_LOG = (
    0.3333331048488617, -0.24999986588954926, 0.20002225041389465, -0.16669252514839172,
    0.14218668639659882, -0.12384286522865295, 0.11872949451208115, -0.117903932929039,
    0.06916089355945587,
)  # fmt: skip
_TAIL = (
    0.3645418584346771, 0.10987585783004761, -0.13965797424316406, 0.09137669205665588,
    -0.028851810842752457, -0.001737356767989695, 0.003942777402698994, -4.044671368319541e-05,
    -0.0005208768416196108,
)  # fmt: skip
_PHI = (
    0.3989422917366028, -0.06649069488048553, 0.009975790977478027, -0.001192109426483512,
    0.00011417783389333636,
)  # fmt: skip
_ERF = (
    0.12837916612625122, -0.3761261999607086, 0.11283379048109055, -0.026834335178136826,
    0.005113156978040934, -0.0006737583898939192,
)  # fmt: skip
GELU_A, GELU_A_LOW = 1.5957691669464111, -4.534068054340423e-08  # 2·√(2/π)
GELU_B, GELU_B_LOW = 0.07135481387376785, 2.3988324659995897e-09  # 0.044715·2·√(2/π)


def polynomial(m: VectorMath[F, I, M], x: F, coefficients: tuple[float, ...]) -> F:
    """Σ coefficients[i]·x^i by Horner's rule."""
    result = m.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = m.add(m.mul(result, x), m.constant(coefficient))
    return result


def clamp(m: VectorMath[F, I, M], x: F, low: float, high: float) -> F:
    """min(max(x, low), high); a NaN stays one."""
    return m.minimum(m.constant(high), m.maximum(m.constant(low), x))


def power_of_two(m: VectorMath[F, I, M], n: I) -> F:
    """2^n for −126 ≤ n ≤ 127."""
    return m.from_bits(m.ishl(m.iadd(n, m.integer(127)), 23))


def _reduced(m: VectorMath[F, I, M], x: F) -> tuple[F, I]:
    """x = n·ln 2 + r with |r| ≤ ln(2)/2; returns r and n."""
    n = m.rint(m.mul(x, m.constant(LOG2_E)))
    r = m.sub(m.sub(x, m.mul(n, m.constant(LN2_HIGH))), m.mul(n, m.constant(LN2_LOW)))
    return r, m.to_int(n)


def exp(m: VectorMath[F, I, M], x: F) -> F:
    """e^r·2^n with e^r = 1 + (r + r²·q(r)); 2^n in two factors, for overflow and denormals."""
    growth, half, rest = exp_parts(m, clamp(m, x, -104.0, 89.0), m.constant(0.0))
    return m.mul(m.mul(m.add(m.constant(1.0), growth), half), rest)


#: From here up to 0, `near_exp` is `exp`.
NEAR = -87.0


def near_exp(m: VectorMath[F, I, M], x: F) -> F:
    """The bits of `exp` for `NEAR` ≤ x ≤ 0: nothing is clamped, and 2^n is one normal number."""
    r, n = _reduced(m, x)
    growth = m.add(r, m.mul(m.mul(r, r), polynomial(m, r, _EXP)))
    return m.mul(m.add(m.constant(1.0), growth), power_of_two(m, n))


def exp_parts(m: VectorMath[F, I, M], high: F, low: F) -> tuple[F, F, F]:
    """(g, a, b) with e^(high + low) = (1 + g)·a·b for −170 ≤ high ≤ 89 and a small correction
    `low`.

    a and b are powers of two. A factor w goes in as (w + w·g)·a·b, with one rounding less than w·(1
    + g); what is applied before b loses nothing where e^… itself is denormal."""
    r, n = _reduced(m, high)
    r = m.add(r, low)
    growth = m.add(r, m.mul(m.mul(r, r), polynomial(m, r, _EXP)))
    half = m.isub(m.ilshr(m.iadd(n, m.integer(256)), 1), m.integer(128))
    return growth, power_of_two(m, half), power_of_two(m, m.isub(n, half))


def expm1_negative(m: VectorMath[F, I, M], x: F) -> F:
    """e^x − 1 for x ≤ 0, to full relative accuracy: 2^n·(e^r − 1) + (2^n − 1)."""
    r, n = _reduced(m, m.maximum(m.constant(-30.0), x))
    fraction = m.add(r, m.mul(m.mul(r, r), polynomial(m, r, _EXP)))
    scale = power_of_two(m, n)
    return m.add(m.mul(scale, fraction), m.sub(scale, m.constant(1.0)))


def log(m: VectorMath[F, I, M], x: F) -> F:
    """x = 2^k·(1 + f) with √½ ≤ 1 + f < √2;  k·ln 2 + (f − (f²/2 − f³·P(f)))."""
    tiny = m.less(x, m.constant(2.0**-126))
    scaled = m.select(tiny, m.mul(x, m.constant(2.0**23)), x)
    bits = m.bits(scaled)
    k = m.isub(m.ilshr(m.iadd(bits, m.integer(0x3F800000 - 0x3F3504F3)), 23), m.integer(127))
    f = m.sub(m.from_bits(m.isub(bits, m.ishl(k, 23))), m.constant(1.0))
    exponent = m.sub(m.to_float(k), m.select(tiny, m.constant(23.0), m.constant(0.0)))
    square = m.mul(f, f)
    cubic = m.mul(m.mul(square, f), polynomial(m, f, _LOG))
    low = m.add(cubic, m.mul(exponent, m.constant(LN2_LOW)))
    fraction = m.add(m.sub(low, m.mul(m.constant(0.5), square)), f)
    result = m.add(fraction, m.mul(exponent, m.constant(LN2_HIGH)))
    result = m.select(m.less(x, m.constant(np.inf)), result, x)  # +inf and NaN stay
    result = m.select(m.less_equal(x, m.constant(0.0)), m.constant(-np.inf), result)
    return m.select(m.less(x, m.constant(0.0)), m.constant(np.nan), result)


def sigmoid(m: VectorMath[F, I, M], x: F) -> F:
    """1 / (1 + e) for x ≥ 0 and e / (1 + e) below, e = exp(−|x|): no cancellation in the left
    tail."""
    e = exp(m, m.neg(m.abs(x)))
    numerator = m.select(m.less(x, m.constant(0.0)), e, m.constant(1.0))
    return m.div(numerator, m.add(m.constant(1.0), e))


def tanh(m: VectorMath[F, I, M], x: F) -> F:
    """sign(x)·(−u / (u + 2)) with u = e^(−2|x|) − 1."""
    u = expm1_negative(m, m.mul(m.constant(-2.0), m.abs(x)))
    return with_sign_of(m, x, m.div(m.neg(u), m.add(u, m.constant(2.0))))


def with_sign_of(m: VectorMath[F, I, M], x: F, magnitude: F) -> F:
    """−magnitude where the sign bit of x is set; magnitude ≥ 0."""
    sign = m.iand(m.bits(x), m.integer(-(2**31)))
    return m.from_bits(m.ior(m.bits(m.abs(magnitude)), sign))


def upper_tail(m: VectorMath[F, I, M], t: F) -> F:
    """t·Q(t) for t ≥ 0.625, Q(t) = erfc(t/√2)/2 of the normal distribution: e^(−t²/2)·S(v), v = (t
    − 3)/(t + 3).

    t² = h² + (t − h)(t + h) with h the upper 12 bits of t: h² is exact, so the exponential keeps
    its relative accuracy."""
    t = m.minimum(m.constant(16.0), t)
    h = m.from_bits(m.iand(m.bits(t), m.integer(-(2**12))))
    high = m.mul(m.mul(h, h), m.constant(-0.5))
    low = m.mul(m.mul(m.sub(t, h), m.add(t, h)), m.constant(-0.5))
    growth, half, rest = exp_parts(m, high, low)
    v = m.div(m.sub(t, m.constant(3.0)), m.add(t, m.constant(3.0)))
    s = polynomial(m, v, _TAIL)
    return m.mul(m.mul(m.add(s, m.mul(s, growth)), half), rest)


def erf(m: VectorMath[F, I, M], x: F) -> F:
    """x + x·P(x²) for |x| < 0.75, else sign(x)·(1 − 2·Q(√2·|x|))."""
    size = m.abs(x)
    small = m.add(x, m.mul(x, polynomial(m, m.mul(x, x), _ERF)))
    t = m.maximum(m.constant(0.75), m.mul(size, m.constant(1.41421356)))
    tail = m.div(upper_tail(m, t), t)
    large = m.sub(m.constant(1.0), m.add(tail, tail))
    return m.select(m.less(size, m.constant(0.75)), small, with_sign_of(m, x, large))


def gelu(m: VectorMath[F, I, M], x: F) -> F:
    """x·Φ(x): x·(½ + x·R(x²)) for |x| < 0.625, else x − x·Q(x) above and −|x|·Q(|x|) below."""
    size = m.abs(x)
    phi = m.mul(x, polynomial(m, m.mul(x, x), _PHI))
    near = m.mul(x, m.add(m.constant(0.5), phi))
    tail = upper_tail(m, size)
    far = m.select(m.less(x, m.constant(0.0)), m.neg(tail), m.sub(x, tail))
    return m.select(m.less(size, m.constant(0.625)), near, far)


def softplus(m: VectorMath[F, I, M], x: F) -> F:
    """max(x, 0) + log(1 + e), e = exp(−|x|); log(u) + (e − (u − 1)) / u repairs the rounding of u =
    1 + e."""
    one = m.constant(1.0)
    e = exp(m, m.neg(m.abs(x)))
    u = m.add(one, e)
    rest = m.div(m.sub(e, m.sub(u, one)), u)
    return m.add(m.maximum(m.constant(0.0), x), m.add(log(m, u), rest))


def silu(m: VectorMath[F, I, M], x: F) -> F:
    """x·sigmoid(x)"""
    x = m.maximum(m.constant(-128.0), x)  # −inf·0 is not a number
    size = m.minimum(m.constant(128.0), m.abs(x))
    return times_logistic(m, x, m.neg(size), m.constant(0.0))


def times_logistic(m: VectorMath[F, I, M], x: F, high: F, low: F) -> F:
    """x / (1 + e) for x ≥ 0 and x·e / (1 + e) below, e = e^(high + low)."""
    one = m.constant(1.0)
    growth, half, rest = exp_parts(m, high, low)
    denominator = m.add(one, m.mul(m.mul(m.add(one, growth), half), rest))
    product = m.mul(m.add(x, m.mul(x, growth)), half)
    below = m.mul(m.div(product, denominator), rest)
    return m.select(m.less(x, m.constant(0.0)), below, m.div(x, denominator))


def mish(m: VectorMath[F, I, M], x: F) -> F:
    """x·tanh(softplus(x)) with e = exp(−|x|): below 0 x·(e² + 2e) / (e² + 2e + 2), above 0
    x·n / (n + 2e²) with n = 1 + 2e."""
    x = m.maximum(m.constant(-128.0), x)  # −inf·0 is not a number
    one, two = m.constant(1.0), m.constant(2.0)
    size = m.minimum(m.constant(128.0), m.abs(x))
    growth, half, rest = exp_parts(m, m.neg(size), m.constant(0.0))
    e = m.mul(m.mul(m.add(one, growth), half), rest)
    product = m.mul(m.add(x, m.mul(x, growth)), half)  # x·e, before the last power of two
    numerator = m.add(m.mul(product, e), m.add(product, product))
    below = m.div(numerator, m.add(m.add(m.mul(e, e), m.add(e, e)), two))
    n = m.add(one, m.add(e, e))
    above = m.mul(x, m.div(n, m.add(n, m.mul(m.mul(e, e), two))))
    return m.select(m.less(x, m.constant(0.0)), m.mul(below, rest), above)


def two_product(m: VectorMath[F, I, M], a: F, b: F) -> tuple[F, F]:
    """a·b = p + e exactly, p rounded (Dekker); the halves have 12 bits each, so their products are
    exact."""
    mask = m.integer(-(2**12))
    a_high, b_high = (m.from_bits(m.iand(m.bits(v), mask)) for v in (a, b))
    a_low, b_low = m.sub(a, a_high), m.sub(b, b_high)
    p = m.mul(a, b)
    e = m.add(m.sub(m.mul(a_high, b_high), p), m.mul(a_high, b_low))
    return p, m.add(m.add(e, m.mul(a_low, b_high)), m.mul(a_low, b_low))


def gelu_tanh(m: VectorMath[F, I, M], x: F) -> F:
    """x·sigmoid(y), y = x·(a + b·x²), a = 2·√(2/π), b = 0.044715·a, in two floats: e^y multiplies
    y's absolute error."""
    x = m.maximum(m.constant(-12.0), x)  # −inf·0 is not a number
    size = m.minimum(m.constant(12.0), m.abs(x))
    square, square_low = two_product(m, size, size)
    p, p_low = two_product(m, square, m.constant(GELU_B))
    p_low = m.add(
        m.add(p_low, m.mul(square_low, m.constant(GELU_B))),
        m.mul(square, m.constant(GELU_B_LOW)),
    )
    q = m.add(p, m.constant(GELU_A))
    # Fast two-sum: p may be the smaller one, so take the error from both sides.
    back = m.sub(q, p)
    q_low = m.add(m.sub(m.constant(GELU_A), back), m.sub(p, m.sub(q, back)))
    q_low = m.add(m.add(q_low, p_low), m.constant(GELU_A_LOW))
    y, y_low = two_product(m, size, q)
    y_low = m.add(y_low, m.mul(size, q_low))
    return times_logistic(m, x, m.neg(y), m.neg(y_low))


def elu(m: VectorMath[F, I, M], x: F, alpha: float) -> F:
    """x for x > 0, else alpha·(e^x − 1)."""
    below = m.mul(m.constant(alpha), expm1_negative(m, m.minimum(m.constant(0.0), x)))
    return m.select(m.less(m.constant(0.0), x), x, below)


def hard_sigmoid(m: VectorMath[F, I, M], x: F, alpha: float, beta: float) -> F:
    """max(0, min(1, alpha·x + beta)), product and sum rounded separately."""
    return clamp(m, m.add(m.mul(m.constant(alpha), x), m.constant(beta)), 0.0, 1.0)


def hard_swish(m: VectorMath[F, I, M], x: F) -> F:
    """x·max(0, min(1, x·(1/6) + ½)) as ONNX has it."""
    x = m.maximum(m.constant(-4.0), x)  # −inf·0 is not a number
    return m.mul(x, hard_sigmoid(m, x, 1 / 6, 0.5))


def softsign(m: VectorMath[F, I, M], x: F) -> F:
    """x / (1 + |x|)"""
    x = clamp(m, x, -(2.0**30), 2.0**30)  # inf/inf is not a number
    return m.div(x, m.add(m.constant(1.0), m.abs(x)))


def sign(m: VectorMath[F, I, M], x: F) -> F:
    """1, −1, or x itself for zeros and NaN."""
    zero = m.constant(0.0)
    result = m.select(m.less(zero, x), m.constant(1.0), x)
    return m.select(m.less(x, zero), m.constant(-1.0), result)


def leaky_relu(m: VectorMath[F, I, M], x: F, alpha: float) -> F:
    """alpha·x for x < 0, else x."""
    return m.select(m.less(x, m.constant(0.0)), m.mul(m.constant(alpha), x), x)


def selu(m: VectorMath[F, I, M], x: F, alpha: float, gamma: float) -> F:
    """gamma·elu(x, alpha)"""
    return m.mul(m.constant(gamma), elu(m, x, alpha))


def relu(m: VectorMath[F, I, M], x: F) -> F:
    """maximum(0, x) in this operand order: −0 and NaN pass."""
    return m.maximum(m.constant(0.0), x)


def power(m: VectorMath[F, I, M], x: F, exponent: float) -> F:
    """x^exponent for `exponent` ∈ POWERS: ((x·x)·x)·…, its reciprocal, √x or 1/√x."""
    if exponent == 0:
        return m.constant(1.0)
    if abs(exponent) == 0.5:
        result = m.sqrt(x)
    else:
        result = x
        for _ in range(int(abs(exponent)) - 1):
            result = m.mul(result, x)
    return result if exponent > 0 else m.div(m.constant(1.0), result)


POWERS = frozenset({0.5, -0.5, *map(float, range(-8, 9))})
DEFAULTS: dict[str, tuple[float, ...]] = {
    "leaky_relu": (0.01,),
    "elu": (1.0,),
    "selu": (1.67326319217681884765625, 1.05070102214813232421875),
    "hard_sigmoid": (0.2, 0.5),
    "clip": (-np.inf, np.inf),
}
"""Parameters of the kinds that have them, with ONNX's default values (alpha, beta)."""

UNARY: dict[str, Callable[..., object]] = {
    "abs": lambda m, x: m.abs(x),
    "neg": lambda m, x: m.neg(x),
    "sqrt": lambda m, x: m.sqrt(x),
    "reciprocal": lambda m, x: m.div(m.constant(1.0), x),
    "exp": exp,
    "log": log,
    "erf": erf,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "silu": silu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "hard_swish": hard_swish,
    "softplus": softplus,
    "softsign": softsign,
    "mish": mish,
    "floor": lambda m, x: m.floor(x),
    "ceil": lambda m, x: m.ceil(x),
    "round": lambda m, x: m.rint(x),
    "sign": sign,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "hard_sigmoid": hard_sigmoid,
    "clip": clamp,
}


def apply_unary(
    m: VectorMath[F, I, M],
    kind: str,
    x: F,
    alpha: float | None = None,
    beta: float | None = None,
) -> F:
    """The program of `graph.unary` `kind`; parameters that are None take ONNX's default."""
    given = (alpha, beta)
    defaults = DEFAULTS.get(kind, ())
    parameters = [d if g is None else g for g, d in zip(given, defaults, strict=False)]
    return cast(F, UNARY[kind](m, x, *parameters))


def evaluate_unary(
    kind: str, x: Array, alpha: float | None = None, beta: float | None = None
) -> Array:
    """`kind` of a float32 array, of any shape."""
    with np.errstate(all="ignore"):
        return apply_unary(NumpyMath(), kind, np.asarray(x, np.float32), alpha, beta)


def evaluate_pow(x: Array, exponent: Array) -> Array:
    """x ** exponent in float32: the program of `power` where exponent is one value of POWERS, else
    rounded from float64."""
    single = exponent.flat[0] if exponent.size and np.all(exponent == exponent.flat[0]) else None
    with np.errstate(all="ignore"):
        if single is not None and float(single) in POWERS:
            result = power(NumpyMath(), np.asarray(x, np.float32), float(single))
            return np.array(np.broadcast_to(result, np.broadcast_shapes(x.shape, exponent.shape)))
        return np.power(x.astype(np.float64), exponent.astype(np.float64)).astype(np.float32)
