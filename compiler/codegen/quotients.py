"""Division by a scale as a product and a fused multiply-add, which take a third of its time.

    clamp(rint(x / s), low, high)  =  clamp(rint(fma(x, m, x·r)), low, high)        m + r ≈ 1 / s

Both sides grow with x, and are whole numbers. So they are equal for all float32 x if they step up
at the same float: between k and k + 1 for each k from `low` to `high` − 1. It is decided by trying
the floats around (k + ½)·s. (Where the exact quotient is nearer to a rounding boundary than the sum
of m and r is exact, the two sides may differ; that is rare, and then the division stays.)

m is less than 1 / s, so that r is positive and an infinite x stays what it is; a NaN does anyway.
"""

from __future__ import annotations

import numpy as np

from ..dialects.tensors import Array

#: Units in the last place around (k + ½)·s, within which both sides step up.
_AROUND = np.arange(-2, 3, dtype=np.int32)
#: Scales whose factors, and products with codes, are normal numbers.
_SMALLEST, _LARGEST = 2.0**-100, 2.0**100
#: Scales that are tried together: what the second-level cache holds.
_TOGETHER = 16


def factors_of(scales: Array, low: int, high: int) -> tuple[Array, Array] | None:
    """(m, r) for every scale, f32; none if the division has to stay for one of them.

    `low`, `high`: what x / s is clamped to after rounding."""
    if not np.all((scales > _SMALLEST) & (scales < _LARGEST)):
        return None
    inverse = 1 / scales.astype(np.float64)
    m = inverse.astype(np.float32)
    m = np.where(m < inverse, m, np.nextafter(m, np.float32(0)))
    r = (inverse - m).astype(np.float32)
    for i in range(0, len(scales), _TOGETHER):
        some = slice(i, i + _TOGETHER)
        if not _step_alike(scales[some], m[some], r[some], low, high):
            return None
    return m, r


def _step_alike(scales: Array, m: Array, r: Array, low: int, high: int) -> bool:
    middle = np.arange(low, high) + 0.5
    nearest = (middle[:, None, None] * scales.astype(np.float64)).astype(np.float32)
    x = (nearest.view(np.int32) + _AROUND[:, None]).view(np.float32)
    divided = np.rint(x / scales)
    fused, is_exact = _fused(x, m, x * r)
    steps_within = (divided[:, 0] != divided[:, -1]).all()
    return bool(is_exact and steps_within and (divided == np.rint(fused)).all())


def _fused(a: Array, b: Array, c: Array) -> tuple[Array, bool]:
    """fma(a, b, c), and whether float64, in which it is computed, has not rounded a sum to the
    middle of two floats."""
    product, addend = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + addend
    part = total - product
    lost = (product - (total - part)) + (addend - part)
    result = total.astype(np.float32)
    far = np.copysign(np.inf, total - result).astype(np.float32)
    is_middle = total * 2 == result.astype(np.float64) + np.nextafter(result, far)
    return result, not np.any(is_middle & (lost != 0))
