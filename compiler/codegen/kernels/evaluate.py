"""Elementwise ops of a kernel body as vector code, evaluated on demand at one position.

A position is a run of channels of one pixel. `Evaluator.value` walks from the wanted value back to
what is already known there (an accumulator), to a tensor in memory, or to a constant, and emits
each op once. Inside, f32 values are f32 lanes, and all others are i32 lanes: codes in the range of
their type, so that a store only drops the upper bytes, truth values as 0 and 1, and of i64 the
lower half.

Every op rounds exactly as `interpreters/graph.py` does (numeric contract 5 and 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from xdsl.dialects import arith
from xdsl.dialects.builtin import StringAttr, f32, i32, i64
from xdsl.ir import Attribute, BlockArgument, Operation, OpResult, SSAValue

from ...bounds import saturates
from ...dialects import graph
from ...dialects.layout import Layout
from ...dialects.loop import LookupOp, element_of, lanes_of, vector_of
from ...dialects.tensors import Array, dense_to_numpy, shape_of, value_dtype
from ...errors import LpcError
from ...functions import POWERS, apply_unary, power
from ..builder import Index, KernelBuilder, i8, i16
from ..byte_tables import chained_rows
from ..quotients import factors_of
from ..targets import Target
from .common import Parameters, TensorBuffer
from .computed_tables import Form, form_of, real_of
from .vector_math import LoopMath


@dataclass
class Position:
    """`lanes` channels from `channel` on, of the pixel that `pixel` locates in any layout.

    `known` maps body values to vectors that exist already; sums that are only requantized may be
    known as reals. `count`: how many lanes hold channels that exist (None: all, or the tensors are
    padded). Only valid inside one block: `cache` assumes that what was emitted before dominates."""

    lanes: int
    channel: Index
    pixel: Callable[[Layout], Index]
    known: dict[SSAValue, SSAValue] = field(default_factory=dict)
    count: int | None = None
    cache: dict[Any, SSAValue] = field(default_factory=dict)


#: Positions whose bytes are side by side.
Group: TypeAlias = Sequence[Position]
#: Bytes that are treated as one vector: a register, or a few.
_GROUP = 64
#: 1.5 · 2²³: floats around it are whole numbers. And 2²³, from where on they are.
WHOLE, _UNITS = np.float32(3 << 22), np.float32(1 << 23)


class Evaluator:
    """Emits body values of `kernel` through builder `b`.

    `value` gives one position's lanes; `codes` and `store` take many positions, and have bytes side
    by side where they clamp codes and read tables.

    `order` permutes per-channel constants for generators whose accumulators hold channels in
    another order; `channels` is the padded channel count of those constants."""

    def __init__(
        self,
        b: KernelBuilder,
        target: Target,
        kernel: graph.KernelOp,
        inputs: list[TensorBuffer],
        parameters: Parameters,
        parameter_base: SSAValue,
        channels: int,
        order: Array | None = None,
    ):
        self.b, self.target = b, target
        self.parameters, self.parameter_base = parameters, parameter_base
        self.channels, self.order = channels, order
        self.tensors = dict(zip(kernel.block.args, inputs, strict=True))
        self.has_tables = any(
            isinstance(op, graph.LutOp) and form_of(op) is None for op in kernel.block.ops
        )
        self.result_channels = shape_of(kernel.yielded)[-1] if shape_of(kernel.yielded) else 1

    def value(self, value: SSAValue, at: Position) -> SSAValue:
        if value not in at.known:
            at.known[value] = self._evaluate(value, at)
        return at.known[value]

    def together(self, groups: Sequence[Group]) -> list[list[Group]]:
        """Groups to evaluate at once: all of them if they share the rows of tables; else each."""
        return [list(groups)] if self.has_tables else [[group] for group in groups]

    def codes(self, value: SSAValue, groups: Sequence[Group]) -> list[SSAValue]:
        """An 8-bit value as bytes: one vector for each group of positions of equal length."""
        self._share_lookups(value, groups)
        op = value.owner
        if value not in groups[0][0].known:
            if isinstance(op, graph.LutOp):
                if (form := form_of(op)) is None:
                    return self._looked_up(op, self.codes(op.input, groups))
                return [self._computed(op, form, group) for group in groups]
            if isinstance(op, graph.RequantizeOp | graph.QuantizeOp) and saturates(op):
                return [self._saturated(op, group) for group in groups]
        signed = value_dtype(value) == np.int8
        return [self.b.narrow([self.value(value, at) for at in g], signed) for g in groups]

    def _looked_up(self, op: graph.LutOp, codes: list[SSAValue]) -> list[SSAValue]:
        rows = chained_rows(dense_to_numpy(op.table))
        table = self.b.address(self.parameter_base, self.parameters.add(rows))
        lookup = LookupOp(table, codes)
        self.b.emit(lookup)
        return list(lookup.outputs)

    def _computed(self, op: graph.LutOp, form: Form, positions: Group) -> SSAValue:
        reals = [real_of(self, op, form, at) for at in positions]
        codes = [self.b.convert("round_to_int", real, i32) for real in reals]
        return self._narrowed(op, codes, form.low, form.high)

    def _saturated(self, op: Any, positions: Group) -> SSAValue:
        """Rounded, and clamped as bytes: by saturation, and to a range narrower than the type's."""
        return self.saturated(op, [self._rounded(op, at) for at in positions], positions[0])

    def saturated(self, op: Any, codes: list[SSAValue], at: Position) -> SSAValue:
        """rint(real), with z where channels have their own, as bytes of one vector."""
        zero_points = _zero_points(op)
        z = None if zero_points.size > 1 else self._shared_zero_point(zero_points, op, at)
        return self._narrowed(op, codes, op.qmin.value.data, op.qmax.value.data, z)

    def _shared_zero_point(self, zero_point: Array, op: Any, at: Position) -> SSAValue | None:
        """An i16 that all channels have in common; none if it is 0."""
        key = (op, "zero point")
        if zero_point.any() and key not in at.cache:
            offset = self.parameters.add(zero_point.astype(np.int16), owner=op)
            at.cache[key] = self.b.load(self.parameter_base, offset, i16)
        return at.cache.get(key)

    def _narrowed(
        self, op: Any, lanes: list[SSAValue], low: int, high: int, z: SSAValue | None = None
    ) -> SSAValue:
        """Bytes of one vector, with z added, and clamped."""
        dtype, b = value_dtype(op.result), self.b
        signed, limits = dtype == np.int8, np.iinfo(dtype.name)
        codes = b.narrow(lanes, signed, z)
        for end, limit, kind in (
            (low, limits.min, arith.MaxSIOp if signed else arith.MaxUIOp),
            (high, limits.max, arith.MinSIOp if signed else arith.MinUIOp),
        ):
            if end != limit:
                # In the code: of lengths that are no power of two, LLVM would insert bytes one by
                # one into what is read from memory.
                codes = self.emit(kind, codes, b.constant(end, i8, lanes_of(codes)))
        return codes

    def _rounded(self, op: Any, at: Position) -> SSAValue:
        """rint(real) of a quantize or requantize, plus z where channels have their own."""
        requantizes = isinstance(op, graph.RequantizeOp)
        scaled = self.rescaled(op, at) if requantizes else _scaled(self, op, at)
        return self.with_own_zero_points(self.b.convert("round_to_int", scaled, i32), op, at)

    def with_own_zero_points(self, code: SSAValue, op: Any, at: Position) -> SSAValue:
        """What `saturated` wants of rint(real)."""
        z = _zero_points(op)
        return code if z.size == 1 else self.emit(arith.AddiOp, code, self.parameter(z, op, at))

    def _share_lookups(self, value: SSAValue, groups: Sequence[Group]) -> None:
        """Tables that `value` needs on the way, read for all positions together."""
        op, known = value.owner, groups[0][0].known
        if not isinstance(op, Operation) or value in known:
            return
        for operand in op.operands:
            self._share_lookups(operand, groups)
            table = operand.owner
            if isinstance(table, graph.LutOp) and form_of(table) is None and operand not in known:
                kind = "sext" if value_dtype(operand) == np.int8 else "zext"
                for codes, group in zip(self.codes(operand, groups), groups, strict=True):
                    for at, own in zip(group, self._split(codes, group), strict=True):
                        at.known[operand] = self.b.convert(kind, own, i32)

    def _split(self, codes: SSAValue, positions: Group) -> list[SSAValue]:
        """The bytes of each position."""
        lanes = positions[0].lanes
        if len(positions) == 1:
            return [codes]
        starts = range(0, lanes * len(positions), lanes)
        return [self.b.shuffle(codes, codes, range(s, s + lanes)) for s in starts]

    def store(self, output: TensorBuffer, value: SSAValue, positions: Group) -> None:
        """`value` at all positions, which have equally many lanes, to memory."""
        if output.item != 1:
            for at in positions:
                store_lanes(self.b, output, self.value(value, at), at)
            return
        size = max(1, _GROUP // positions[0].lanes)
        groups = [positions[i : i + size] for i in range(0, len(positions), size)]
        for some in self.together(groups):
            for codes, group in zip(self.codes(value, some), some, strict=True):
                self.store_bytes(output, codes, group)

    def store_bytes(self, output: TensorBuffer, codes: SSAValue, positions: Group) -> None:
        """One vector of bytes, those of each position to its place."""
        for at, own in zip(positions, self._split(codes, positions), strict=True):
            store_codes(self.b, output, own, at)

    def _evaluate(self, value: SSAValue, at: Position) -> SSAValue:
        if isinstance(value, BlockArgument):
            return self.load(self.tensors[value], at)
        assert isinstance(value, OpResult)
        return _EVALUATE[type(value.op)](self, value.op, at)

    # --- leaves -----------------------------------------------------------------------------------

    def load(self, tensor: TensorBuffer, at: Position) -> SSAValue:
        """Channels of a tensor; one scalar for all lanes where its channel axis is 1."""
        b, layout = self.b, tensor.layout
        pixel = at.pixel(layout)
        element = element_in_memory(tensor.dtype)
        if layout.c == 1 and self.result_channels != 1:
            scalar = b.load(tensor.base, b.mul(pixel, tensor.item), element)
            vector = b.splat(scalar, at.lanes)
        else:
            offset = b.mul(b.add(pixel, at.channel), tensor.item)
            kind = vector_of(element, at.lanes)
            count = at.lanes if tensor.padded or at.count is None else at.count
            vector = b.load_part(tensor.base, offset, kind, count)
        if tensor.item == 4:
            return vector
        if tensor.item == 8:
            return b.convert("trunc", vector, i32)
        return b.convert("sext" if tensor.dtype == np.int8 else "zext", vector, i32)

    def parameter(self, values: Array, owner: Operation, at: Position) -> SSAValue:
        """A constant of an op with one value, or one per channel, as a vector."""
        element = f32 if values.dtype == np.float32 else i32
        key = (owner, values.tobytes(), at.channel)
        if key not in at.cache:
            if values.size == 1:
                offset = self.parameters.add(values, owner=owner)
                scalar = self.b.load(self.parameter_base, offset, element)
                at.cache[key] = self.b.splat(scalar, at.lanes)
            else:
                at.cache[key] = self.b.load(
                    self.parameter_base,
                    self.b.add(self.channel_vector(values, owner), self.b.mul(at.channel, 4)),
                    vector_of(element, at.lanes),
                )
        return at.cache[key]

    def channel_vector(self, values: Array, owner: Operation) -> int:
        """Blob offset of per-channel values, padded and in accumulator order."""
        flat = values.reshape(-1)
        padded = np.zeros(max(self.channels, flat.size), flat.dtype)
        padded[: flat.size] = flat
        ordered = padded if self.order is None else padded[self.order]
        return self.parameters.add(ordered, owner=owner)

    # --- helpers of the table below ---------------------------------------------------------------

    def emit(self, kind: type[Operation], a: SSAValue, b: SSAValue) -> SSAValue:
        return self.b.binary(kind, a, b)

    def clamp(self, value: SSAValue, low: SSAValue, high: SSAValue) -> SSAValue:
        """minimum(maximum(value, low), high); NaN becomes `low`, as in numerics.py."""
        math = LoopMath(self.b, lanes_of(value))
        return math.minimum(math.maximum(value, low), high)

    def rescaled(self, op: graph.RequantizeOp, at: Position) -> SSAValue:
        """What a requantize rounds."""
        total = self.value(op.input, at)
        is_real = element_of(total) == f32
        real = total if is_real else self.b.convert("int_to_float", total, f32)
        return self.emit(arith.MulfOp, real, self.parameter(op.multipliers, op, at))

    def round_to_code(self, real: SSAValue, op: Any, at: Position) -> SSAValue:
        """clamp(rint(real) + z, qmin, qmax), with the clamp first: the bounds are integers."""
        z = _zero_points(op)
        code = self.b.convert("round_to_int", self._clamped(real, z, op, at), i32)
        return code if not z.any() else self.emit(arith.AddiOp, code, self.parameter(z, op, at))

    def difference(self, op: Any, zero_points: Array, signed_zero: bool, at: Position) -> SSAValue:
        """The result of a requantize less `zero_points`, f32, which never was a code.

        `signed_zero`: a zero may be −0, which codes have none of."""
        z = _zero_points(op)
        real = self._clamped(self.rescaled(op, at), z, op, at)
        rest = (z - zero_points).astype(np.float32)
        if signed_zero and not rest.any() and not self.target.adds_fastest:
            return LoopMath(self.b, at.lanes).rint(real)
        # To even, as rint does: `WHOLE` is.
        rounded = self.emit(arith.AddfOp, real, self.parameter(np.asarray([WHOLE]), op, at))
        return self.emit(arith.SubfOp, rounded, self.parameter(WHOLE - rest, op, at))

    def _clamped(self, real: SSAValue, z: Array, op: Any, at: Position) -> SSAValue:
        """So that it rounds to a code of the op's result less z."""
        bounds = op.qmin.value.data, op.qmax.value.data
        low, high = (self.parameter((end - z).astype(np.float32), op, at) for end in bounds)
        return self.clamp(real, low, high)


def element_in_memory(dtype: np.dtype[np.generic]) -> Attribute:
    if dtype == np.float32:
        return f32
    return {1: i8, 4: i32, 8: i64}[dtype.itemsize]


def store_codes(b: KernelBuilder, output: TensorBuffer, codes: SSAValue, at: Position) -> None:
    """Stores bytes at the position's pixel and channel."""
    offset = b.add(at.pixel(output.layout), at.channel)
    b.store(codes, output.base, offset, None if output.padded else at.count)


def store_lanes(b: KernelBuilder, output: TensorBuffer, value: SSAValue, at: Position) -> None:
    """Stores lanes at the position's pixel and channel, as wide as the tensor's elements."""
    pixel = at.pixel(output.layout)
    offset = b.mul(b.add(pixel, at.channel), output.item)
    if output.item != 4:
        kind = "trunc" if output.item == 1 else "sext"
        value = b.convert(kind, value, element_in_memory(output.dtype))
    b.store(value, output.base, offset, None if output.padded else at.count)


def _zero_points(op: graph.RequantizeOp | graph.QuantizeOp) -> Array:
    """Of a quantize or requantize, i32: one, or one for each channel."""
    if isinstance(op, graph.RequantizeOp):
        return np.asarray([op.zero_point.value.data], np.int32)
    return op.zero_points.astype(np.int32)


# --- one function per op --------------------------------------------------------------------------


def _scaled(e: Evaluator, op: Any, at: Position) -> SSAValue:
    """What a quantize rounds, or what rounds to the same code."""
    real = e.value(op.input, at)
    if np.all(op.scales == 1):
        return real
    z = _zero_points(op)
    low, high = op.qmin.value.data - int(z.max()), op.qmax.value.data - int(z.min())
    factors = factors_of(op.scales, low, high) if e.target.fma else None
    if factors is None:
        return e.emit(arith.DivfOp, real, e.parameter(op.scales, op, at))
    m, r = (e.parameter(factor, op, at) for factor in factors)
    return e.b.fma(real, m, e.emit(arith.MulfOp, real, r))


def _requantize(e: Evaluator, op: Any, at: Position) -> SSAValue:
    return e.round_to_code(e.rescaled(op, at), op, at)


def _quantize(e: Evaluator, op: Any, at: Position) -> SSAValue:
    return e.round_to_code(_scaled(e, op, at), op, at)


def _fake_quantize(e: Evaluator, op: Any, at: Position) -> SSAValue:
    """As `numerics.fake_quantize`; a NaN is not above the lower end."""
    math, x = LoopMath(e.b, at.lanes), e.value(op.input, at)
    il, ih, ol, oh = (limit.reshape(-1) for limit in op.limits.values())

    def limit(values: Array) -> SSAValue:
        return e.parameter(values, op, at)

    steps = limit(np.asarray([op.levels.value.data - 1], np.float32))
    level = math.rint(math.mul(math.div(math.sub(x, limit(il)), limit(ih - il)), steps))
    inside = math.add(math.mul(math.div(level, steps), limit(oh - ol)), limit(ol))
    upper = math.select(math.less(limit(np.maximum(il, ih)), x), limit(oh), inside)
    return math.select(math.less(limit(np.minimum(il, ih)), x), upper, limit(ol))


def _dequantize(e: Evaluator, op: Any, at: Position) -> SSAValue:
    source = op.input.owner
    if isinstance(source, graph.RequantizeOp) and op.input not in at.known:
        real = e.difference(source, op.zero_points, _hides_sign_of_zero(op), at)
    else:
        code = e.value(op.input, at)
        if e.target.adds_fastest and (scaled := _scaled_by_fma(e, op, code, at)) is not None:
            return scaled
        if op.zero_points.any():
            code = e.emit(arith.SubiOp, code, e.parameter(op.zero_points, op, at))
        real = e.b.convert("int_to_float", code, f32)
    if np.all(op.scales == 1):
        return real
    return e.emit(arith.MulfOp, real, e.parameter(op.scales, op, at))


def _scaled_by_fma(e: Evaluator, op: Any, code: SSAValue, at: Position) -> SSAValue | None:
    """scale · code, without a conversion: the exponent of 2²³ before a u8 code makes 2²³ + code of
    it, and (2²³ + code) · scale − 2²³ · scale is rounded once, as the product is, and +0 for 0."""
    less = op.scales * np.float32(-_UNITS)
    fits = np.all(op.scales >= 0) and np.isfinite(less).all()
    if value_dtype(op.input) != np.uint8 or op.zero_points.any() or not fits:
        return None
    bits = e.b.constant(int(_UNITS.view(np.int32)), i32, at.lanes)
    real = e.b.bitcast(e.emit(arith.OrIOp, code, bits), f32, at.lanes)
    return e.b.fma(real, e.parameter(op.scales, op, at), e.parameter(less, op, at))


def _hides_sign_of_zero(op: Any) -> bool:
    """Whether all that becomes of a dequantize's result is a sum with what is +0 where it is zero:
    another dequantize's result, or a constant."""

    def is_plus_zero(value: SSAValue) -> bool:
        owner = value.owner
        if isinstance(owner, graph.ConstantOp):
            return not np.any((owner.array == 0) & np.signbit(owner.array))
        if not isinstance(owner, graph.DequantizeOp) or not np.all(owner.scales > 0):
            return False
        return not isinstance(owner.input.owner, graph.RequantizeOp)

    sums = [use.operation for use in op.result.uses]
    return all(
        isinstance(add, graph.AddOp) and is_plus_zero(add.rhs if add.lhs is op.result else add.lhs)
        for add in sums
    )


def _constant(e: Evaluator, op: Any, at: Position) -> SSAValue:
    return e.parameter(op.array, op, at)


def _binary(method: str) -> Callable[[Evaluator, Any, Position], SSAValue]:
    def evaluate(e: Evaluator, op: Any, at: Position) -> SSAValue:
        math = LoopMath(e.b, at.lanes)
        result: SSAValue = getattr(math, method)(e.value(op.lhs, at), e.value(op.rhs, at))
        return result

    return evaluate


def _prelu(e: Evaluator, op: Any, at: Position) -> SSAValue:
    math, x = LoopMath(e.b, at.lanes), e.value(op.lhs, at)
    negative = math.mul(x, e.value(op.rhs, at))
    return math.select(math.less(x, math.constant(0.0)), negative, x)


def _unary(e: Evaluator, op: Any, at: Position) -> SSAValue:
    math = LoopMath(e.b, at.lanes)
    return apply_unary(math, op.kind.data, e.value(op.input, at), *op.parameters)


def _pow(e: Evaluator, op: Any, at: Position) -> SSAValue:
    exponent = op.rhs.owner
    values = exponent.array if isinstance(exponent, graph.ConstantOp) else np.zeros(0)
    known = np.unique(values)
    if known.size != 1 or float(known[0]) not in POWERS:
        what = f"exponent {float(known[0]):g}" if known.size == 1 else "an exponent that varies"
        layer = op.attributes.get("layer")
        name = f"layer '{layer.data}'" if isinstance(layer, StringAttr) else "a layer without name"
        raise LpcError(
            f"{name} (Pow): {what} has no kernel; use one of "
            + ", ".join(f"{p:g}" for p in sorted(POWERS))
        )
    return power(LoopMath(e.b, at.lanes), e.value(op.lhs, at), float(known[0]))


def _lut(e: Evaluator, op: Any, at: Position) -> SSAValue:
    if (form := form_of(op)) is not None:
        ends = (e.parameter(np.asarray([end], np.float32), op, at) for end in (form.low, form.high))
        real = e.clamp(real_of(e, op, form, at), *ends)
        return e.b.convert("round_to_int", real, i32)
    signed = value_dtype(op.result) == np.int8
    return e.b.convert("sext" if signed else "zext", e.codes(op.result, [[at]])[0], i32)


def _recode(e: Evaluator, op: Any, at: Position) -> SSAValue:
    shift = 128 if value_dtype(op.result) == np.uint8 else -128
    return e.emit(
        arith.AddiOp, e.value(op.input, at), e.parameter(np.asarray([shift], np.int32), op, at)
    )


def _same(e: Evaluator, op: Any, at: Position) -> SSAValue:
    """A reshape inside a body only renames axes of length one."""
    return e.value(op.input, at)


def _cast(e: Evaluator, op: Any, at: Position) -> SSAValue:
    value, target = e.value(op.input, at), value_dtype(op.result)
    real = element_of(value) == f32
    if target == np.float32:
        return value if real else e.b.convert("int_to_float", value, f32)
    if target == np.bool_:
        one, zero = (e.b.constant(v, i32, at.lanes) for v in (1, 0))
        if real:
            compared = arith.CmpfOp(value, e.b.constant(0.0, f32, at.lanes), "une")
            return e.b.select(e.b.emit(compared), one, zero)
        return e.b.select(e.b.emit(arith.CmpiOp(value, zero, "ne")), one, zero)
    whole = e.b.convert("float_to_int", value, i32) if real else value
    return whole if target.itemsize > 1 else _wrapped(e, whole, target, at)


def _wrapped(e: Evaluator, value: SSAValue, dtype: np.dtype[np.generic], at: Position) -> SSAValue:
    """The lower byte of every lane, as a code in the range of its type."""
    if dtype == np.uint8:
        return e.emit(arith.AndIOp, value, e.b.constant(255, i32, at.lanes))
    up = e.b.constant(24, i32, at.lanes)
    return e.emit(arith.ShRSIOp, e.emit(arith.ShLIOp, value, up), up)


_EVALUATE: dict[type[Operation], Callable[[Evaluator, Any, Position], SSAValue]] = {
    graph.ConstantOp: _constant,
    graph.RequantizeOp: _requantize,
    graph.QuantizeOp: _quantize,
    graph.DequantizeOp: _dequantize,
    graph.FakeQuantizeOp: _fake_quantize,
    graph.LutOp: _lut,
    graph.RecodeOp: _recode,
    graph.CastOp: _cast,
    graph.ReshapeOp: _same,
    graph.UnaryOp: _unary,
    graph.PReluOp: _prelu,
    graph.PowOp: _pow,
    graph.AddOp: _binary("add"),
    graph.SubOp: _binary("sub"),
    graph.MulOp: _binary("mul"),
    graph.DivOp: _binary("div"),
    graph.MaximumOp: _binary("maximum"),
    graph.MinimumOp: _binary("minimum"),
}
