"""The code-generating backend of `functions.VectorMath`: each primitive emits one loop-level op."""

from __future__ import annotations

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ..builder import KernelBuilder


class LoopMath:
    """Vectors of `lanes` f32 or i32; results have the bits of `interpreters/vector_math.py`."""

    def __init__(self, b: KernelBuilder, lanes: int):
        self.b, self.lanes = b, lanes

    def constant(self, value: float) -> SSAValue:
        return self.b.constant(value, f32, self.lanes)

    def integer(self, value: int) -> SSAValue:
        return self.b.constant(value, i32, self.lanes)

    def add(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.AddfOp, a, b)

    def sub(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.SubfOp, a, b)

    def mul(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.MulfOp, a, b)

    def div(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.DivfOp, a, b)

    def minimum(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.select(self.less(a, b), a, b)

    def maximum(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.select(self.b.compare_floats("ogt", a, b), a, b)

    def neg(self, a: SSAValue) -> SSAValue:
        return self.b.emit(arith.NegfOp(a))

    def abs(self, a: SSAValue) -> SSAValue:
        return self.b.emit(math.AbsFOp(a))

    def sqrt(self, a: SSAValue) -> SSAValue:
        return self.b.emit(math.SqrtOp(a))

    def floor(self, a: SSAValue) -> SSAValue:
        return self.b.emit(math.FloorOp(a))

    def ceil(self, a: SSAValue) -> SSAValue:
        return self.b.emit(math.CeilOp(a))

    def rint(self, a: SSAValue) -> SSAValue:
        return self.b.emit(math.RoundEvenOp(a))

    def less(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.compare_floats("olt", a, b)

    def less_equal(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.compare_floats("ole", a, b)

    def select(self, condition: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.select(condition, a, b)

    def to_int(self, a: SSAValue) -> SSAValue:
        return self.b.convert("round_to_int", a, i32)

    def to_float(self, a: SSAValue) -> SSAValue:
        return self.b.convert("int_to_float", a, f32)

    def bits(self, a: SSAValue) -> SSAValue:
        return self.b.bitcast(a, i32, self.lanes)

    def from_bits(self, a: SSAValue) -> SSAValue:
        return self.b.bitcast(a, f32, self.lanes)

    def iadd(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.AddiOp, a, b)

    def isub(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.SubiOp, a, b)

    def iand(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.AndIOp, a, b)

    def ior(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(arith.OrIOp, a, b)

    def ishl(self, a: SSAValue, count: int) -> SSAValue:
        return self.b.binary(arith.ShLIOp, a, self.integer(count))

    def ilshr(self, a: SSAValue, count: int) -> SSAValue:
        return self.b.binary(arith.ShRUIOp, a, self.integer(count))
