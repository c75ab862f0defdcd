"""The numpy backend of `functions.VectorMath`: vectors are float32, int32 and bool arrays of one
shape, or scalars."""

from __future__ import annotations

import numpy as np

from ..dialects.tensors import Array
from ..numerics import maximum, minimum


class NumpyMath:
    """Each method is one IEEE float32 or two's complement int32 operation per lane; see
    `functions.VectorMath`."""

    def constant(self, value: float) -> Array:
        return np.asarray(value, np.float32)

    def integer(self, value: int) -> Array:
        return np.asarray(value, np.int32)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b)

    def sub(self, a: Array, b: Array) -> Array:
        return np.asarray(a - b)

    def mul(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b)

    def div(self, a: Array, b: Array) -> Array:
        return np.asarray(a / b)

    def minimum(self, a: Array, b: Array) -> Array:
        return minimum(a, b)

    def maximum(self, a: Array, b: Array) -> Array:
        return maximum(a, b)

    def neg(self, a: Array) -> Array:
        return np.asarray(-a)

    def abs(self, a: Array) -> Array:
        return np.asarray(np.abs(a))

    def sqrt(self, a: Array) -> Array:
        return np.asarray(np.sqrt(a))

    def floor(self, a: Array) -> Array:
        return np.asarray(np.floor(a))

    def ceil(self, a: Array) -> Array:
        return np.asarray(np.ceil(a))

    def rint(self, a: Array) -> Array:
        return np.asarray(np.rint(a))

    def less(self, a: Array, b: Array) -> Array:
        return np.asarray(a < b)

    def less_equal(self, a: Array, b: Array) -> Array:
        return np.asarray(a <= b)

    def select(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def to_int(self, a: Array) -> Array:
        inside = np.abs(a) < np.float32(2**31)
        return np.where(inside, np.rint(np.where(inside, a, 0)), -(2**31)).astype(np.int32)

    def to_float(self, a: Array) -> Array:
        return a.astype(np.float32)

    def bits(self, a: Array) -> Array:
        return a.view(np.int32)

    def from_bits(self, a: Array) -> Array:
        return a.view(np.float32)

    def iadd(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b)

    def isub(self, a: Array, b: Array) -> Array:
        return np.asarray(a - b)

    def iand(self, a: Array, b: Array) -> Array:
        return np.asarray(a & b)

    def ior(self, a: Array, b: Array) -> Array:
        return np.asarray(a | b)

    def ishl(self, a: Array, count: int) -> Array:
        return np.asarray(a << np.int32(count))

    def ilshr(self, a: Array, count: int) -> Array:
        return np.asarray((a.view(np.uint32) >> np.uint32(count)).view(np.int32))
