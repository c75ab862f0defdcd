"""The primitive operations that float functions are programs over.

Every one is an exact IEEE float32 or two's complement int32 operation that all targets have, so a
program gives the same bits on every backend (NaN payloads aside): `interpreters.vector_math` runs
it in numpy, the code generator emits it.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

F = TypeVar("F")  # vector of float32
I = TypeVar("I")  # vector of int32  # noqa: E741
M = TypeVar("M")  # vector of truth values


class VectorMath(Protocol[F, I, M]):
    """Primitive operations on vectors, lane by lane.

    Float operations round to nearest, ties to even; denormals are kept. NaN compares false."""

    def constant(self, value: float) -> F:
        """`value` rounded to float32, in every lane."""

    def integer(self, value: int) -> I:
        """`value` as int32, in every lane."""

    def add(self, a: F, b: F) -> F: ...
    def sub(self, a: F, b: F) -> F: ...
    def mul(self, a: F, b: F) -> F: ...
    def div(self, a: F, b: F) -> F: ...

    def minimum(self, a: F, b: F) -> F:
        """a < b ? a : b (x86 minps a, b): b when either is NaN or both are zeros."""

    def maximum(self, a: F, b: F) -> F:
        """a > b ? a : b (x86 maxps a, b): b when either is NaN or both are zeros."""

    def neg(self, a: F) -> F:
        """The sign bit flipped (not 0 − a)."""

    def abs(self, a: F) -> F:
        """The sign bit cleared."""

    def sqrt(self, a: F) -> F: ...
    def floor(self, a: F) -> F: ...
    def ceil(self, a: F) -> F: ...

    def rint(self, a: F) -> F:
        """To an integer value, half to even; the sign of zero is kept (roundps)."""

    def less(self, a: F, b: F) -> M: ...
    def less_equal(self, a: F, b: F) -> M: ...

    def select(self, condition: M, a: F, b: F) -> F:
        """condition ? a : b"""

    def to_int(self, a: F) -> I:
        """rint(a) as int32; −2^31 when it does not fit or is NaN (cvtps2dq)."""

    def to_float(self, a: I) -> F:
        """Rounded to nearest, ties to even (cvtdq2ps)."""

    def bits(self, a: F) -> I: ...
    def from_bits(self, a: I) -> F: ...
    def iadd(self, a: I, b: I) -> I: ...
    def isub(self, a: I, b: I) -> I: ...
    def iand(self, a: I, b: I) -> I: ...
    def ior(self, a: I, b: I) -> I: ...
    def ishl(self, a: I, count: int) -> I: ...

    def ilshr(self, a: I, count: int) -> I:
        """Logical: zeros come in from the left."""
