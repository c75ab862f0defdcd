"""The numeric contract of quantized inference in numpy: the reference that every pass and every
kernel must match.

All real arithmetic is float32 and every operation rounds once, to nearest, ties to even; nothing is
contracted to a fused multiply-add. `rint` is half to even. Numbers in brackets are the clauses of
the contract.

    quantize(x; s, z)     = clamp(rint(x / s) + z, qmin, qmax)                 [1]
    dequantize(q; s, z)   = float32(q − z) · s                                 [2]
    requantize(acc; m, z) = clamp(rint(float32(acc) · m) + z, qmin, qmax)      [4]
                            with m = (s_x · s_w) / s_y, in that order

Quantization divides: it is not a product with 1/s. x = 0.09, s = 0.02 gives x / s = 4.5000005 → 5,
while x · (1/s) = 4.5 → 4.
The zero point is added after rounding. It matters on ties when z is odd: x / s = 2.5, z = 1 gives
rint(2.5) + 1 = 3, while rint(2.5 + 1) = 4. Rounding is not "half away from zero" either: 0.5 → 0,
1.5 → 2, 2.5 → 2. A NaN becomes the code qmin, infinities the nearer end of the code range: that is
what `max(r, low)` then `min(r, high)` give on x86.

`maximum(a, b)` is `a > b ? a : b` and `minimum(a, b)` is `a < b ? a : b` (x86 maxps, minps): b wins
when either is NaN and when both are zeros.

Canonical reduction order [6], so that small float islands between integer layers have the same bits
on every target:

- Over the last axis alone: 16 lanes. Lane j starts at the identity (+0.0 for sums, −inf for maxima,
  +inf for minima) and takes elements j, j + 16, j + 32, … in order, `lane = combine(lane,
  element)`; missing elements of the last block are the identity. Then the tree `lanes[0:8] ∘
  lanes[8:16]`, `[0:4] ∘ [4:8]`, `[0:2] ∘ [2:4]`, `[0] ∘ [1]`.
- Over any other set of axes: one accumulator per result, starting at the first element, over the
  reduced axes in row-major order.
- Pool windows: one accumulator per result, starting at the first tap inside the input, taps in
  row-major (ky, kx) order; taps in the padding are skipped.
- Means divide the sum by float32(count): a true division.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .dialects.tensors import Array

LANES = 16


def maximum(a: Array, b: Array) -> Array:
    """a > b ? a : b"""
    return np.where(a > b, a, b)


def minimum(a: Array, b: Array) -> Array:
    """a < b ? a : b"""
    return np.where(a < b, a, b)


def along_axis(values: Array, axis: int, rank: int) -> Array:
    """One value, or one per index of `axis`, shaped to broadcast against a tensor of that rank."""
    if values.size == 1:
        return values.reshape(())
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def round_to_codes(
    real: Array, zero_point: Array | np.int32, qmin: int, qmax: int, dtype: npt.DTypeLike
) -> Array:
    """clamp(rint(real) + zero_point, qmin, qmax); a NaN gives qmin. `real` is overwritten."""
    np.rint(real, out=real)
    # Clamping before adding z keeps every value in range of int32; fmax and fmin prefer the number
    # to the NaN.
    np.fmax(real, (qmin - zero_point).astype(np.float32), out=real)
    np.fmin(real, (qmax - zero_point).astype(np.float32), out=real)
    codes = real.astype(np.int32)
    codes += zero_point
    return codes.astype(dtype)


def quantize(
    x: Array,
    scale: Array,
    zero_point: Array,
    axis: int,
    qmin: int,
    qmax: int,
    dtype: npt.DTypeLike,
) -> Array:
    """Contract 1: float32 `x` → codes of `dtype`; scale and zero point: one, or one per index of
    `axis`."""
    with np.errstate(all="ignore"):
        real = np.asarray(x / along_axis(scale, axis, x.ndim))
    return round_to_codes(real, along_axis(zero_point, axis, x.ndim), qmin, qmax, dtype)


def dequantize(q: Array, scale: Array, zero_point: Array, axis: int) -> Array:
    """Contract 2: 8-bit codes or int32 accumulators → float32."""
    difference = q.astype(np.int32) - along_axis(zero_point, axis, q.ndim)
    return np.asarray(difference.astype(np.float32) * along_axis(scale, axis, q.ndim))


def requantize(
    accumulator: Array,
    multiplier: Array,
    axis: int,
    zero_point: int,
    qmin: int,
    qmax: int,
    dtype: npt.DTypeLike,
) -> Array:
    """Contract 4: int32 accumulators → codes of `dtype`; one float32 multiplier, or one per index
    of `axis`."""
    with np.errstate(all="ignore"):
        real = accumulator.astype(np.float32) * along_axis(multiplier, axis, accumulator.ndim)
    return round_to_codes(np.asarray(real), np.int32(zero_point), qmin, qmax, dtype)


def requantize_multiplier(x_scale: Array, w_scale: Array, y_scale: Array) -> Array:
    """(s_x · s_w) / s_y in float32, in that order (contract 4)."""
    x_scale, w_scale, y_scale = (np.asarray(s, np.float32) for s in (x_scale, w_scale, y_scale))
    return np.asarray(x_scale * w_scale / y_scale)


def fake_quantize(
    x: Array,
    levels: int,
    input_low: Array,
    input_high: Array,
    output_low: Array,
    output_high: Array,
) -> Array:
    """FakeQuantize-1 (specification §1.1) in float32, each operation rounded; NaN is taken for −∞:

    x ≤ min(il, ih) → ol;  x > max(il, ih) → oh;
    else rint((x − il) / (ih − il) · (levels − 1)) / (levels − 1) · (oh − ol) + ol."""
    steps = np.float32(levels - 1)
    with np.errstate(all="ignore"):
        level = np.rint((x - input_low) / (input_high - input_low) * steps)
        inside = level / steps * (output_high - output_low) + output_low
    below = ~(x > np.minimum(input_low, input_high))
    above = x > np.maximum(input_low, input_high)
    return np.where(below, output_low, np.where(above, output_high, inside))


def nudge(low: Array, high: Array, qmin: int, qmax: int) -> tuple[Array, Array]:
    """(scale, zero point) of the grid on [low, high] moved so that 0 is a code (specification
    §1.2).

    scale = (high − low) / (qmax − qmin); the real zero point qmin − low / scale is clamped to
    [qmin, qmax] and rounded half away from zero. Needs low ≤ 0 ≤ high and low < high."""
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    scale = (high - low) / np.float32(qmax - qmin)
    real = np.clip(np.float32(qmin) - low / scale, qmin, qmax)
    return scale, np.trunc(real + np.copysign(np.float32(0.5), real)).astype(np.int32)


def cast(x: Array, dtype: npt.DTypeLike) -> Array:
    """Numeric conversion, through int32: reals truncate towards zero, and those that do not fit,
    NaN included, become −2³¹ (x86 cvttps2dq); of int64 the lower half counts. Narrower integers
    take the lower byte; any non-zero value is true."""
    if x.dtype == np.int64 and np.dtype(dtype) != np.int64:
        x = x.astype(np.int32)
    if x.dtype.kind == "f" and np.dtype(dtype).kind in "iu":
        whole = np.trunc(x)
        fits = (whole >= np.float32(-(2.0**31))) & (whole < np.float32(2.0**31))
        x = np.where(fits, whole, np.float32(-(2.0**31))).astype(np.int32)
    return x.astype(dtype)


Combine = Callable[[Array, Array], Array]
_REDUCTIONS: dict[str, tuple[Combine, float]] = {
    "sum": (np.add, 0.0),
    "max": (maximum, -np.inf),
    "min": (minimum, np.inf),
}


def reduce_lanes(kind: str, x: Array) -> Array:
    """`kind` ∈ {sum, max, min} over the last axis, which is dropped, in the canonical 16-lane
    order."""
    combine, identity = _REDUCTIONS[kind]
    blocks = -(-x.shape[-1] // LANES)
    padded = np.full((*x.shape[:-1], blocks * LANES), identity, np.float32)
    padded[..., : x.shape[-1]] = x
    lanes = np.full((*x.shape[:-1], LANES), identity, np.float32)
    with np.errstate(all="ignore"):
        for block in range(blocks):
            lanes = combine(lanes, padded[..., block * LANES : (block + 1) * LANES])
        width = LANES
        while width > 1:
            width //= 2
            lanes = combine(lanes[..., :width], lanes[..., width:])
    return lanes[..., 0]


def reduce_sequential(kind: str, x: Array) -> Array:
    """`kind` ∈ {sum, max, min} over the first axis, which is dropped, one element after the
    other."""
    combine, identity = _REDUCTIONS[kind]
    if not len(x):
        return np.full(x.shape[1:], identity, np.float32)
    total: Array = x[0]
    with np.errstate(all="ignore"):
        for element in x[1:]:
            total = combine(total, element)
    return total


def reduce(kind: str, x: Array, axes: Sequence[int]) -> Array:
    """`kind` ∈ {mean, sum, max, min} over `axes`, kept with extent 1, in the canonical order."""
    axes = sorted(axis % x.ndim for axis in axes)
    shape = [1 if i in axes else d for i, d in enumerate(x.shape)]
    count = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))
    combining = "sum" if kind == "mean" else kind
    if axes == [x.ndim - 1]:
        result = reduce_lanes(combining, x)
    else:
        kept = [i for i in range(x.ndim) if i not in axes]
        moved = x.transpose([*axes, *kept]).reshape(count, *(x.shape[i] for i in kept))
        result = reduce_sequential(combining, moved)
    if kind == "mean":
        with np.errstate(all="ignore"):
            result = result / np.float32(count)
    return np.asarray(result, np.float32).reshape(shape)
