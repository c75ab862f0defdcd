"""loop dialect (isa level) → LLVM IR, by table: one small function per op.

Every kernel becomes two functions: the exported `void kernel(void *const *buffers, i64 begin,
i64 end)`, and the body with one `noalias` parameter per buffer, which tells LLVM that stores to one
tensor cannot change another. The memory planner guarantees it; what is read behind a tensor's last
channel may be another's, but no result depends on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir
from xdsl.dialects import arith, math, scf, vector
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    ModuleOp,
    VectorType,
    f32,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ..dialects import loop, tile
from . import tile_registers
from .instructions import BY_NAME
from .targets import Target

_POINTER = ir.PointerType()
_BYTE = ir.IntType(8)
_INDEX = ir.IntType(64)


@dataclass(frozen=True)
class KernelText:
    """LLVM IR of one kernel: its functions, and declarations of the intrinsics that they call."""

    definitions: str
    declarations: tuple[str, ...]


def emit_kernels(module: ModuleOp, target: Target) -> Iterator[KernelText]:
    """LLVM IR of all kernels in `module`, one by one."""
    return (_emit_kernel(op, target) for op in module.body.block.ops if isinstance(op, FuncOp))


def module_text(kernels: Iterable[KernelText]) -> str:
    """A module of these kernels."""
    kernels = list(kernels)
    declarations = dict.fromkeys(line for kernel in kernels for line in kernel.declarations)
    return "\n".join([*declarations, *(kernel.definitions for kernel in kernels)])


def _emit_kernel(func: FuncOp, target: Target) -> KernelText:
    module = ir.Module()
    _KernelEmitter(module, func, target).emit()
    declared = [f for f in module.functions if f.is_declaration]
    defined = [f for f in module.functions if not f.is_declaration]
    return KernelText("\n".join(map(str, defined)), tuple(map(str, declared)))


def llvm_type(attribute: Attribute) -> ir.Type:
    if isinstance(attribute, VectorType):
        return ir.VectorType(llvm_type(attribute.get_element_type()), attribute.get_shape()[0])
    if isinstance(attribute, loop.BufferType):
        return _POINTER
    if isinstance(attribute, IndexType):
        return _INDEX
    if isinstance(attribute, IntegerType):
        return ir.IntType(attribute.width.data)
    assert attribute == f32, attribute
    return ir.FloatType()


class _KernelEmitter:
    def __init__(self, module: ir.Module, func: FuncOp, target: Target):
        self.module, self.func, self.target = module, func, target
        self.values: dict[SSAValue, ir.Value] = {}
        self.builder = ir.IRBuilder()

    def emit(self) -> None:
        name = self.func.sym_name.data
        arguments = self.func.body.block.args
        types = [llvm_type(a.type) for a in arguments]
        body = ir.Function(self.module, ir.FunctionType(ir.VoidType(), types), f"{name}.body")
        body.linkage = "internal"
        body.attributes.add("noinline")
        body.attributes.add("nounwind")
        for argument, value in zip(arguments, body.args, strict=True):
            self.values[argument] = value
            if isinstance(argument.type, loop.BufferType):
                value.add_attribute("noalias")
        self.builder = ir.IRBuilder(body.append_basic_block("entry"))
        self.block(self.func.body.block)
        self.builder.ret_void()
        self._entry_point(name, body, len(types) - 2)

    def _entry_point(self, name: str, body: ir.Function, buffers: int) -> None:
        signature = ir.FunctionType(ir.VoidType(), [_POINTER, _INDEX, _INDEX])
        entry = ir.Function(self.module, signature, name)
        builder = ir.IRBuilder(entry.append_basic_block("entry"))
        table, begin, end = entry.args
        addresses = [
            builder.load(
                builder.gep(table, [ir.Constant(_INDEX, i)], source_etype=_POINTER), typ=_POINTER
            )
            for i in range(buffers)
        ]
        builder.call(body, [*addresses, begin, end])
        builder.ret_void()

    def block(self, block: Block) -> None:
        for op in block.ops:
            if not isinstance(op, ReturnOp | scf.YieldOp):
                _EMIT[type(op)](self, op)

    def __getitem__(self, value: SSAValue) -> ir.Value:
        return self.values[value]

    def set(self, op: Operation, value: ir.Value) -> None:
        self.values[op.results[0]] = value

    def pointer(self, base: SSAValue, offset: SSAValue) -> ir.Value:
        return self.builder.gep(self[base], [self[offset]], source_etype=_BYTE)

    def intrinsic(self, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
        signature = ir.FunctionType(result, [a.type for a in arguments])
        function = self.module.globals.get(name) or ir.Function(self.module, signature, name)
        return self.builder.call(function, arguments)


# --- memory ---------------------------------------------------------------------------------------


def _address(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.pointer(op.base, op.offset))


def _scratch(e: _KernelEmitter, op: Any) -> None:
    e.set(op, _on_stack(e, ir.ArrayType(_BYTE, op.size.value.data)))


def _on_stack(e: _KernelEmitter, kind: ir.Type) -> ir.Value:
    """A place that the whole call keeps: LLVM takes only those of the entry block as fixed."""
    with e.builder.goto_entry_block():
        place = e.builder.alloca(kind)
    place.align = 64
    # Untyped, as all pointers are here: an intrinsic is declared once for all kernels.
    place.type = _POINTER
    return place


def _load(e: _KernelEmitter, op: Any) -> None:
    align = op.align.value.data if op.align is not None else 1
    kind = llvm_type(op.result.type)
    e.set(op, e.builder.load(e.pointer(op.base, op.offset), align=align, typ=kind))


def _store(e: _KernelEmitter, op: Any) -> None:
    e.builder.store(e[op.value], e.pointer(op.base, op.offset), align=1)


# Vector constants are cached, because llvmlite keeps the text of a constant object.
@cache
def _mask(lanes: int, count: int) -> ir.Constant:
    bits = [ir.Constant(ir.IntType(1), int(i < count)) for i in range(lanes)]
    return ir.Constant(ir.VectorType(ir.IntType(1), lanes), bits)


def _suffix(kind: ir.VectorType) -> str:
    element = "f32" if isinstance(kind.element, ir.FloatType) else f"i{kind.element.width}"
    return f"v{kind.count}{element}"


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    """(first lane, lanes) of the fewest powers of two, the largest first: 13 = 8 + 4 + 1."""
    first = 0
    while first < count:
        size = 1 << ((count - first).bit_length() - 1)
        yield first, size
        first += size


def _element_bytes(kind: ir.VectorType) -> int:
    return 4 if isinstance(kind.element, ir.FloatType) else int(kind.element.width) // 8


def _load_part(e: _KernelEmitter, op: Any) -> None:
    kind = llvm_type(op.result.type)
    # AVX2 has masked loads (and stores, but slow ones) of four bytes and more.
    if not e.target.masks and (e.target.vector_bytes < 32 or _element_bytes(kind) < 4):
        e.set(op, _load_pieces(e, op, kind))
        return
    arguments = [
        e.pointer(op.base, op.offset),
        _mask(kind.count, op.count.value.data),
        ir.Constant(kind, None),
    ]
    e.set(op, e.intrinsic(f"llvm.masked.load.{_suffix(kind)}.p0", kind, arguments))


def _load_pieces(e: _KernelEmitter, op: Any, kind: ir.VectorType) -> ir.Value:
    result: ir.Value = ir.Constant(kind, None)
    base = e.pointer(op.base, op.offset)
    for first, size in _pieces(op.count.value.data):
        part = ir.VectorType(kind.element, size)
        piece = e.builder.load(_beyond(e, base, first, kind), align=1, typ=part)
        lanes = range(kind.count)
        # Behind the piece come its own lanes again, which nobody picks.
        wide = e.builder.shuffle_vector(piece, piece, _shuffle_mask(i % size for i in lanes))
        places = (i + kind.count - first if 0 <= i - first < size else i for i in lanes)
        result = e.builder.shuffle_vector(result, wide, _shuffle_mask(places))
    return result


def _beyond(e: _KernelEmitter, base: ir.Value, lane: int, kind: ir.VectorType) -> ir.Value:
    """The address of a lane."""
    offset = ir.Constant(_INDEX, lane * _element_bytes(kind))
    return e.builder.gep(base, [offset], source_etype=_BYTE) if lane else base


def _store_pieces(e: _KernelEmitter, op: Any, kind: ir.VectorType) -> None:
    value, base = e[op.value], e.pointer(op.base, op.offset)
    for first, size in _pieces(op.count.value.data):
        address = _beyond(e, base, first, kind)
        if size == 1:
            piece = e.builder.extract_element(value, ir.Constant(ir.IntType(32), first))
        else:
            mask = _shuffle_mask(range(first, first + size))
            piece = e.builder.shuffle_vector(value, value, mask)
        e.builder.store(piece, address, align=1)


def _store_part(e: _KernelEmitter, op: Any) -> None:
    kind = llvm_type(op.value.type)
    if not e.target.masks:
        _store_pieces(e, op, kind)
        return
    if op.count.value.data == 1:
        # LLVM 22 fuses a one-lane masked store with a truncation into a store of the wide lane.
        first = e.builder.extract_element(e[op.value], ir.Constant(ir.IntType(32), 0))
        e.builder.store(first, e.pointer(op.base, op.offset), align=1)
        return
    arguments = [
        e[op.value],
        e.pointer(op.base, op.offset),
        _mask(kind.count, op.count.value.data),
    ]
    e.intrinsic(f"llvm.masked.store.{_suffix(kind)}.p0", ir.VoidType(), arguments)


def _prefetch(e: _KernelEmitter, op: Any) -> None:
    read, second_level, data = (ir.Constant(ir.IntType(32), v) for v in (0, 2, 1))
    arguments = [e.pointer(op.base, op.offset), read, second_level, data]
    e.intrinsic("llvm.prefetch.p0", ir.VoidType(), arguments)


def _renew(e: _KernelEmitter, op: Any) -> None:
    """Assembly that does nothing, but might."""
    signature = ir.FunctionType(_POINTER, [_POINTER])
    e.set(op, e.builder.asm(signature, "", "=r,0", [e[op.base]], side_effect=True))


def _pin(e: _KernelEmitter, op: Any) -> None:
    """The same for a vector: v is any vector register that the target has."""
    kind = llvm_type(op.value.type)
    signature = ir.FunctionType(kind, [kind])
    e.set(op, e.builder.asm(signature, "", "=v,0", [e[op.value]], side_effect=True))


# --- control flow ---------------------------------------------------------------------------------


def _for(e: _KernelEmitter, op: Any) -> None:
    """A counted loop in rotated form: the guard outside, the test at the end."""
    b, body = e.builder, op.body.block
    low, high, step = e[op.lb], e[op.ub], e[op.step]
    initial = [e[v] for v in op.iter_args]
    before = b.block
    inside, after = (b.function.append_basic_block(n) for n in ("loop", "after"))
    b.cbranch(b.icmp_signed("<", low, high), inside, after)
    b.position_at_end(inside)
    variable = b.phi(_INDEX)
    variable.add_incoming(low, before)
    e.values[body.args[0]] = variable
    carried = [b.phi(v.type) for v in initial]
    for phi, argument, value in zip(carried, body.args[1:], initial, strict=True):
        phi.add_incoming(value, before)
        e.values[argument] = phi
    e.block(body)
    following = [e[v] for v in body.last_op.operands]
    latch = b.block
    successor = b.add(variable, step, flags=("nsw",))
    b.cbranch(b.icmp_signed("<", successor, high), inside, after)
    variable.add_incoming(successor, latch)
    for phi, value in zip(carried, following, strict=True):
        phi.add_incoming(value, latch)
    b.position_at_end(after)
    for result, first, last in zip(op.results, initial, following, strict=True):
        phi = b.phi(first.type)
        phi.add_incoming(first, before)
        phi.add_incoming(last, latch)
        e.values[result] = phi


def _if(e: _KernelEmitter, op: Any) -> None:
    with e.builder.if_else(e[op.cond]) as (then, otherwise):
        with then:
            e.block(op.true_region.block)
        with otherwise:
            e.block(op.false_region.block)


# --- arithmetic -----------------------------------------------------------------------------------


def _constant(e: _KernelEmitter, op: Any) -> None:
    attribute, kind = op.value, llvm_type(op.result.type)
    if isinstance(attribute, DenseIntOrFPElementsAttr):
        e.set(op, _dense(attribute))
        return
    assert isinstance(attribute, FloatAttr | IntegerAttr)
    e.set(op, ir.Constant(kind, attribute.value.data))


@cache
def _dense(attribute: DenseIntOrFPElementsAttr) -> ir.Constant:
    kind = llvm_type(attribute.get_type())
    return ir.Constant(kind, [ir.Constant(kind.element, v) for v in attribute.iter_values()])


def _binary(method: str) -> Callable[[_KernelEmitter, Any], None]:
    def emit(e: _KernelEmitter, op: Any) -> None:
        e.set(op, getattr(e.builder, method)(e[op.operands[0]], e[op.operands[1]]))

    return emit


def _intrinsic(name: str) -> Callable[[_KernelEmitter, Any], None]:
    """A generic LLVM intrinsic that is overloaded on its result type."""

    def emit(e: _KernelEmitter, op: Any) -> None:
        kind = llvm_type(op.results[0].type)
        if isinstance(kind, ir.VectorType):
            suffix = _suffix(kind)
        else:
            suffix = "f32" if isinstance(kind, ir.FloatType) else f"i{kind.width}"
        e.set(op, e.intrinsic(f"llvm.{name}.{suffix}", kind, [e[v] for v in op.operands]))

    return emit


_CMPI = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")
_CMPF = (
    "false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord",
    "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true",
)  # fmt: skip
_SYMBOLS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def _cmpi(e: _KernelEmitter, op: Any) -> None:
    name = _CMPI[op.predicate.value.data]
    compare = e.builder.icmp_unsigned if name[0] == "u" else e.builder.icmp_signed
    symbol = _SYMBOLS[name if name in ("eq", "ne") else name[1:]]
    e.set(op, compare(symbol, e[op.lhs], e[op.rhs]))


def _cmpf(e: _KernelEmitter, op: Any) -> None:
    name = _CMPF[op.predicate.value.data]
    if name in ("ord", "uno"):
        e.set(op, e.builder.fcmp_ordered(name, e[op.lhs], e[op.rhs]))
        return
    compare = e.builder.fcmp_ordered if name[0] == "o" else e.builder.fcmp_unordered
    e.set(op, compare(_SYMBOLS[name[1:]], e[op.lhs], e[op.rhs]))


_CONVERSIONS = {
    "zext": "zext", "sext": "sext", "trunc": "trunc",
    "int_to_float": "sitofp", "float_to_int": "fptosi",
}  # fmt: skip


def _convert(e: _KernelEmitter, op: Any) -> None:
    if op.kind.data == "round_to_int":
        # cvtps2dq by name: LLVM's lrint leaves values out of range undefined.
        e.set(op, _round_to_int(e, e[op.input]))
        return
    method = getattr(e.builder, _CONVERSIONS[op.kind.data])
    e.set(op, method(e[op.input], llvm_type(op.result.type)))


_ROUND_TO_INT = {
    4: "llvm.x86.sse2.cvtps2dq",
    8: "llvm.x86.avx.cvt.ps2dq.256",
    16: "llvm.x86.avx512.mask.cvtps2dq.512",
}


def _round_to_int(e: _KernelEmitter, value: ir.Value) -> ir.Value:
    """Rounds in pieces of the target's register width."""
    lanes, width = value.type.count, e.target.lanes
    if lanes > width:
        halves = [
            _round_to_int(e, e.builder.shuffle_vector(value, value, _shuffle_mask(part)))
            for part in (range(lanes // 2), range(lanes // 2, lanes))
        ]
        return e.builder.shuffle_vector(*halves, _shuffle_mask(range(lanes)))
    result = ir.VectorType(ir.IntType(32), lanes)
    arguments = [value]
    if lanes == 16:
        every_lane = ir.Constant(ir.IntType(16), -1)
        current_rounding = ir.Constant(ir.IntType(32), 4)
        arguments += [ir.Constant(result, None), every_lane, current_rounding]
    return e.intrinsic(_ROUND_TO_INT[lanes], result, arguments)


def _index_cast(e: _KernelEmitter, op: Any) -> None:
    value, kind = e[op.operands[0]], llvm_type(op.results[0].type)
    narrow = value.type.width > kind.width
    e.set(op, e.builder.trunc(value, kind) if narrow else e.builder.sext(value, kind))


def _select(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.builder.select(e[op.condition], e[op.lhs], e[op.rhs]))


def _any(e: _KernelEmitter, op: Any) -> None:
    truths = e[op.input]
    bits = ir.IntType(truths.type.count)
    e.set(op, e.builder.icmp_unsigned("!=", e.builder.bitcast(truths, bits), ir.Constant(bits, 0)))


def _negate(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.builder.fneg(e[op.operands[0]]))


# --- vectors --------------------------------------------------------------------------------------


def _shuffle_mask(lanes: Iterable[int]) -> ir.Constant:
    return _lane_numbers(tuple(lanes))


@cache
def _lane_numbers(lanes: tuple[int, ...]) -> ir.Constant:
    word = ir.IntType(32)
    return ir.Constant(ir.VectorType(word, len(lanes)), [ir.Constant(word, i) for i in lanes])


def _broadcast(e: _KernelEmitter, op: Any) -> None:
    kind = llvm_type(op.results[0].type)
    undefined = ir.Constant(kind, ir.Undefined)
    first = e.builder.insert_element(undefined, e[op.operands[0]], ir.Constant(ir.IntType(32), 0))
    e.set(op, e.builder.shuffle_vector(first, undefined, _shuffle_mask([0] * kind.count)))


def _shuffle(e: _KernelEmitter, op: Any) -> None:
    mask = _shuffle_mask(op.mask.get_values())
    e.set(op, e.builder.shuffle_vector(e[op.v1], e[op.v2], mask))


def _bitcast(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.builder.bitcast(e[op.operands[0]], llvm_type(op.results[0].type)))


def _extract(e: _KernelEmitter, op: Any) -> None:
    (lane,) = op.static_position.get_values()
    lane_constant = ir.Constant(ir.IntType(32), int(lane))
    e.set(op, e.builder.extract_element(e[op.operands[0]], lane_constant))


def _instruction(e: _KernelEmitter, op: Any) -> None:
    row = BY_NAME[op.row.data]
    arguments = [
        _seen_as(e, e[value], _row_type(kind))
        for value, kind in zip(op.arguments, row.operands, strict=True)
    ]
    value = e.intrinsic(row.intrinsic, _row_type(row.result), arguments)
    e.set(op, _seen_as(e, value, llvm_type(op.result.type)))


@cache
def _row_type(spelled: str) -> ir.VectorType:
    """The type that a row spells "<64 x i8>"."""
    lanes, element = spelled.strip("<>").split(" x i")
    return ir.VectorType(ir.IntType(int(element)), int(lanes))


def _seen_as(e: _KernelEmitter, value: ir.Value, wanted: ir.Type) -> ir.Value:
    return value if value.type == wanted else e.builder.bitcast(value, wanted)


# --- tiles ----------------------------------------------------------------------------------------


def _configure(e: _KernelEmitter, op: Any) -> None:
    values = [ir.Constant(_BYTE, v) for v in op.content]
    kind = ir.VectorType(_BYTE, len(values))
    place = _on_stack(e, kind)
    e.builder.store(ir.Constant(kind, values), place, align=64)
    e.intrinsic("llvm.x86.ldtilecfg", ir.VoidType(), [place])


def _tile_instruction(e: _KernelEmitter, op: Any) -> None:
    arguments = [ir.Constant(_BYTE, number) for number in op.numbers]
    if op.memory:
        base, offset, stride = op.memory
        arguments += [e.pointer(base, offset), e[stride]]
    name = tile_registers.BY_NAME[op.row.data].intrinsic
    e.intrinsic(name, ir.VoidType(), arguments)


_EMIT: dict[type[Operation], Callable[[_KernelEmitter, Any], None]] = {
    # memory
    loop.AddressOp: _address,
    loop.ScratchOp: _scratch,
    loop.LoadOp: _load,
    loop.StoreOp: _store,
    loop.LoadPartOp: _load_part,
    loop.StorePartOp: _store_part,
    loop.PrefetchOp: _prefetch,
    loop.RenewOp: _renew,
    loop.PinOp: _pin,
    # control flow
    scf.ForOp: _for,
    scf.IfOp: _if,
    # constants and integers
    arith.ConstantOp: _constant,
    arith.AddiOp: _binary("add"),
    arith.SubiOp: _binary("sub"),
    arith.MuliOp: _binary("mul"),
    arith.DivUIOp: _binary("udiv"),
    arith.RemUIOp: _binary("urem"),
    arith.AndIOp: _binary("and_"),
    arith.OrIOp: _binary("or_"),
    arith.XOrIOp: _binary("xor"),
    arith.ShLIOp: _binary("shl"),
    arith.ShRUIOp: _binary("lshr"),
    arith.ShRSIOp: _binary("ashr"),
    arith.MinSIOp: _intrinsic("smin"),
    arith.MaxSIOp: _intrinsic("smax"),
    arith.MinUIOp: _intrinsic("umin"),
    arith.MaxUIOp: _intrinsic("umax"),
    arith.CmpiOp: _cmpi,
    arith.IndexCastOp: _index_cast,
    # floats
    arith.AddfOp: _binary("fadd"),
    arith.SubfOp: _binary("fsub"),
    arith.MulfOp: _binary("fmul"),
    arith.DivfOp: _binary("fdiv"),
    arith.NegfOp: _negate,
    arith.CmpfOp: _cmpf,
    math.FmaOp: _intrinsic("fma"),
    math.SqrtOp: _intrinsic("sqrt"),
    math.AbsFOp: _intrinsic("fabs"),
    math.FloorOp: _intrinsic("floor"),
    math.CeilOp: _intrinsic("ceil"),
    math.TruncOp: _intrinsic("trunc"),
    math.RoundEvenOp: _intrinsic("roundeven"),
    # vectors
    loop.ConvertOp: _convert,
    loop.SelectOp: _select,
    loop.AnyOp: _any,
    loop.InstructionOp: _instruction,
    vector.BroadcastOp: _broadcast,
    vector.ShuffleOp: _shuffle,
    vector.BitcastOp: _bitcast,
    vector.ExtractOp: _extract,
    # tiles
    tile.ConfigureOp: _configure,
    tile.InstructionOp: _tile_instruction,
}
