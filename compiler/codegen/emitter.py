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
from . import llvm_text as llvm
from . import tile_registers
from .instructions import BY_NAME
from .llvm_text import BYTE, FLOAT, INDEX, POINTER, VOID, WORD, Function, Value
from .targets import Target


@dataclass(frozen=True)
class KernelText:
    """LLVM IR of one kernel: its functions, and declarations of the intrinsics that they call."""

    definitions: str
    declarations: tuple[str, ...]


def emit_kernels(module: ModuleOp, target: Target) -> Iterator[KernelText]:
    """LLVM IR of all kernels in `module`, one by one."""
    return (
        _KernelEmitter(op, target).emit() for op in module.body.block.ops if isinstance(op, FuncOp)
    )


def module_text(kernels: Iterable[KernelText]) -> str:
    """A module of these kernels."""
    kernels = list(kernels)
    declarations = dict.fromkeys(line for kernel in kernels for line in kernel.declarations)
    return "\n".join([*declarations, *(kernel.definitions for kernel in kernels)])


def llvm_type(attribute: Attribute) -> str:
    if isinstance(attribute, VectorType):
        return llvm.vector(attribute.get_shape()[0], llvm_type(attribute.get_element_type()))
    if isinstance(attribute, loop.BufferType):
        return POINTER
    if isinstance(attribute, IndexType):
        return INDEX
    if isinstance(attribute, IntegerType):
        return f"i{attribute.width.data}"
    assert attribute == f32, attribute
    return FLOAT


class _KernelEmitter:
    def __init__(self, func: FuncOp, target: Target):
        self.func, self.target = func, target
        self.name = func.sym_name.data
        self.values: dict[SSAValue, Value] = {}
        self._types: dict[int, str] = {}
        self._declarations: dict[str, str] = {}
        for number, argument in enumerate(func.body.block.args):
            self.values[argument] = Value(llvm_type(argument.type), f"%a{number}")
        self.body = Function(self._head())

    def _head(self) -> str:
        parameters = [
            f"ptr noalias {value.name}" if value.kind == POINTER else str(value)
            for value in self.values.values()
        ]
        return f'internal void @"{self.name}.body"({", ".join(parameters)}) noinline nounwind'

    def emit(self) -> KernelText:
        self.block(self.func.body.block)
        self.body.line("ret void")
        definitions = f"{self.body}\n{self._entry_point()}"
        return KernelText(definitions, tuple(self._declarations.values()))

    def _entry_point(self) -> Function:
        table, begin, end = (Value(POINTER, "%t"), Value(INDEX, "%b"), Value(INDEX, "%e"))
        entry = Function(f'void @"{self.name}"({table}, {begin}, {end})')
        arguments = []
        for i in range(len(self.func.body.block.args) - 2):
            address = entry.offset(table, llvm.number(INDEX, i), POINTER)
            arguments.append(entry.load(address, POINTER, 8))
        passed = ", ".join(map(str, (*arguments, begin, end)))
        entry.line(f'call void @"{self.name}.body"({passed})')
        entry.line("ret void")
        return entry

    def block(self, block: Block) -> None:
        for op in block.ops:
            if not isinstance(op, ReturnOp | scf.YieldOp):
                _EMIT[type(op)](self, op)

    def __getitem__(self, value: SSAValue) -> Value:
        return self.values[value]

    def set(self, op: Operation, value: Value) -> None:
        self.values[op.results[0]] = value

    def kind(self, value: SSAValue) -> str:
        """The type of an SSA value."""
        # By identity: attributes live as long as the IR, and take long to hash.
        key = id(value.type)
        if key not in self._types:
            self._types[key] = llvm_type(value.type)
        return self._types[key]

    def pointer(self, base: SSAValue, offset: SSAValue) -> Value:
        return self.body.offset(self[base], self[offset])

    def call(self, name: str, result: str, arguments: Iterable[Value]) -> Value:
        """The result of an intrinsic."""
        return self.body.value(result, self._call(name, result, list(arguments)))

    def run(self, name: str, arguments: Iterable[Value]) -> None:
        """An intrinsic without a result."""
        self.body.line(self._call(name, VOID, list(arguments)))

    def _call(self, name: str, result: str, arguments: list[Value]) -> str:
        if name not in self._declarations:
            kinds = ", ".join(a.kind for a in arguments)
            self._declarations[name] = f"declare {result} @{name}({kinds})"
        return f"call {result} @{name}({', '.join(map(str, arguments))})"


# --- memory ---------------------------------------------------------------------------------------


def _address(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.pointer(op.base, op.offset))


def _scratch(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.body.place(f"[{op.size.value.data} x {BYTE}]"))


def _load(e: _KernelEmitter, op: Any) -> None:
    align = op.align.value.data if op.align is not None else 1
    e.set(op, e.body.load(e.pointer(op.base, op.offset), e.kind(op.result), align))


def _store(e: _KernelEmitter, op: Any) -> None:
    e.body.store(e[op.value], e.pointer(op.base, op.offset))


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    """(first lane, lanes) of the fewest powers of two, the largest first: 13 = 8 + 4 + 1."""
    first = 0
    while first < count:
        size = 1 << ((count - first).bit_length() - 1)
        yield first, size
        first += size


def _load_part(e: _KernelEmitter, op: Any) -> None:
    kind, base = e.kind(op.result), e.pointer(op.base, op.offset)
    lanes, count = llvm.lanes_and_element(kind)[0], op.count.value.data
    # AVX2 has masked loads (and stores, but slow ones) of four bytes and more.
    if not e.target.masks and (e.target.vector_bytes < 32 or llvm.element_bytes(kind) < 4):
        e.set(op, _load_pieces(e, base, kind, count))
        return
    arguments = [base, llvm.mask(lanes, count), llvm.zeros(kind)]
    e.set(op, e.call(f"llvm.masked.load.{llvm.suffix(kind)}.p0", kind, arguments))


def _load_pieces(e: _KernelEmitter, base: Value, kind: str, count: int) -> Value:
    lanes, element = llvm.lanes_and_element(kind)
    result = llvm.zeros(kind)
    for first, size in _pieces(count):
        piece = e.body.load(_beyond(e, base, first, kind), llvm.vector(size, element), 1)
        # Behind the piece come its own lanes again, which nobody picks.
        wide = e.body.shuffle(piece, piece, (i % size for i in range(lanes)))
        places = (i + lanes - first if 0 <= i - first < size else i for i in range(lanes))
        result = e.body.shuffle(result, wide, places)
    return result


def _beyond(e: _KernelEmitter, base: Value, lane: int, kind: str) -> Value:
    """The address of a lane."""
    offset = llvm.number(INDEX, lane * llvm.element_bytes(kind))
    return e.body.offset(base, offset) if lane else base


def _store_part(e: _KernelEmitter, op: Any) -> None:
    value, base = e[op.value], e.pointer(op.base, op.offset)
    lanes, count = llvm.lanes_and_element(value.kind)[0], op.count.value.data
    if not e.target.masks:
        _store_pieces(e, value, base, count)
    elif count == 1:
        # LLVM 22 fuses a one-lane masked store with a truncation into a store of the wide lane.
        e.body.store(e.body.extract(value, 0), base)
    else:
        name = f"llvm.masked.store.{llvm.suffix(value.kind)}.p0"
        e.run(name, [value, base, llvm.mask(lanes, count)])


def _store_pieces(e: _KernelEmitter, value: Value, base: Value, count: int) -> None:
    for first, size in _pieces(count):
        address = _beyond(e, base, first, value.kind)
        if size == 1:
            piece = e.body.extract(value, first)
        else:
            piece = e.body.shuffle(value, value, range(first, first + size))
        e.body.store(piece, address)


def _prefetch(e: _KernelEmitter, op: Any) -> None:
    read, second_level, data = (llvm.number(WORD, v) for v in (0, 2, 1))
    e.run("llvm.prefetch.p0", [e.pointer(op.base, op.offset), read, second_level, data])


def _opaque(constraints: str) -> Callable[[_KernelEmitter, Any], None]:
    """Assembly that does nothing, but might."""

    def emit(e: _KernelEmitter, op: Any) -> None:
        value = e[op.operands[0]]
        text = f'call {value.kind} asm sideeffect "", "{constraints}"({value})'
        e.set(op, e.body.value(value.kind, text))

    return emit


# --- control flow ---------------------------------------------------------------------------------


def _for(e: _KernelEmitter, op: Any) -> None:
    """A counted loop in rotated form: the guard outside, the test at the end."""
    f, body = e.body, op.body.block
    low, high, step = e[op.lb], e[op.ub], e[op.step]
    initial = [e[v] for v in op.iter_args]
    before = f.label
    inside, after = f.block("loop"), f.block("after")
    f.branch(f.compare("icmp slt", low, high), inside, after)
    f.enter(inside)
    variable, *carried = (f.phi(v.kind) for v in (low, *initial))
    for phi, argument, value in zip((variable, *carried), body.args, (low, *initial), strict=True):
        phi.add(value, before)
        e.values[argument] = phi.value
    e.block(body)
    following = [e[v] for v in body.last_op.operands]
    successor = f.binary("add nsw", variable.value, step)
    f.branch(f.compare("icmp slt", successor, high), inside, after)
    latch = f.label
    for phi, value in zip((variable, *carried), (successor, *following), strict=True):
        phi.add(value, latch)
    f.enter(after)
    for result, first, last in zip(op.results, initial, following, strict=True):
        phi = f.phi(first.kind)
        phi.add(first, before)
        phi.add(last, latch)
        e.values[result] = phi.value


def _if(e: _KernelEmitter, op: Any) -> None:
    f = e.body
    then, otherwise, after = (f.block(name) for name in ("then", "else", "endif"))
    f.branch(e[op.cond], then, otherwise)
    for label, region in ((then, op.true_region), (otherwise, op.false_region)):
        f.enter(label)
        e.block(region.block)
        f.jump(after)
    f.enter(after)


# --- arithmetic -----------------------------------------------------------------------------------


def _constant(e: _KernelEmitter, op: Any) -> None:
    attribute = op.value
    if isinstance(attribute, DenseIntOrFPElementsAttr):
        e.set(op, _dense(attribute))
        return
    assert isinstance(attribute, FloatAttr | IntegerAttr)
    e.set(op, llvm.number(e.kind(op.result), attribute.value.data))


@cache
def _dense(attribute: DenseIntOrFPElementsAttr) -> Value:
    _, element = llvm.lanes_and_element(llvm_type(attribute.get_type()))
    lanes: list[Any] = list(attribute.iter_values())
    return llvm.numbers(element, lanes)


def _binary(instruction: str) -> Callable[[_KernelEmitter, Any], None]:
    def emit(e: _KernelEmitter, op: Any) -> None:
        a, b = op.operands
        e.set(op, e.body.binary(instruction, e[a], e[b]))

    return emit


def _intrinsic(name: str) -> Callable[[_KernelEmitter, Any], None]:
    """A generic LLVM intrinsic that is overloaded on its result type."""

    def emit(e: _KernelEmitter, op: Any) -> None:
        kind = e.kind(op.results[0])
        e.set(op, e.call(f"llvm.{name}.{llvm.suffix(kind)}", kind, [e[v] for v in op.operands]))

    return emit


_CMPI = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")
_CMPF = (
    "false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord",
    "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true",
)  # fmt: skip


def _cmpi(e: _KernelEmitter, op: Any) -> None:
    predicate = _CMPI[op.predicate.value.data]
    e.set(op, e.body.compare(f"icmp {predicate}", e[op.lhs], e[op.rhs]))


def _cmpf(e: _KernelEmitter, op: Any) -> None:
    predicate = _CMPF[op.predicate.value.data]
    e.set(op, e.body.compare(f"fcmp {predicate}", e[op.lhs], e[op.rhs]))


_CONVERSIONS = {
    "zext": "zext", "sext": "sext", "trunc": "trunc",
    "int_to_float": "sitofp", "float_to_int": "fptosi",
}  # fmt: skip


def _convert(e: _KernelEmitter, op: Any) -> None:
    if op.kind.data == "round_to_int":
        # cvtps2dq by name: LLVM's lrint leaves values out of range undefined.
        e.set(op, _round_to_int(e, e[op.input]))
        return
    e.set(op, e.body.convert(_CONVERSIONS[op.kind.data], e[op.input], e.kind(op.result)))


_ROUND_TO_INT = {
    4: "llvm.x86.sse2.cvtps2dq",
    8: "llvm.x86.avx.cvt.ps2dq.256",
    16: "llvm.x86.avx512.mask.cvtps2dq.512",
}


def _round_to_int(e: _KernelEmitter, value: Value) -> Value:
    """Rounds in pieces of the target's register width."""
    lanes, width = llvm.lanes_and_element(value.kind)[0], e.target.lanes
    if lanes > width:
        low, high = (
            _round_to_int(e, e.body.shuffle(value, value, part))
            for part in (range(lanes // 2), range(lanes // 2, lanes))
        )
        return e.body.shuffle(low, high, range(lanes))
    result = llvm.vector(lanes, WORD)
    arguments = [value]
    if lanes == 16:
        every_lane, current_rounding = llvm.number("i16", -1), llvm.number(WORD, 4)
        arguments += [llvm.zeros(result), every_lane, current_rounding]
    return e.call(_ROUND_TO_INT[lanes], result, arguments)


def _index_cast(e: _KernelEmitter, op: Any) -> None:
    value, kind = e[op.operands[0]], e.kind(op.results[0])
    narrow = int(value.kind[1:]) > int(kind[1:])
    e.set(op, e.body.convert("trunc" if narrow else "sext", value, kind))


def _select(e: _KernelEmitter, op: Any) -> None:
    condition, a, b = (e[v] for v in op.operands)
    e.set(op, e.body.value(a.kind, f"select {condition}, {a}, {b}"))


def _any(e: _KernelEmitter, op: Any) -> None:
    truths = e[op.input]
    lanes, _ = llvm.lanes_and_element(truths.kind)
    bits = e.body.convert("bitcast", truths, f"i{lanes}")
    e.set(op, e.body.compare("icmp ne", bits, llvm.number(bits.kind, 0)))


def _negate(e: _KernelEmitter, op: Any) -> None:
    value = e[op.operands[0]]
    e.set(op, e.body.value(value.kind, f"fneg {value}"))


# --- vectors --------------------------------------------------------------------------------------


def _broadcast(e: _KernelEmitter, op: Any) -> None:
    kind = e.kind(op.results[0])
    undefined = Value(kind, "undef")
    first = e.body.value(
        kind, f"insertelement {undefined}, {e[op.operands[0]]}, {llvm.number(WORD, 0)}"
    )
    e.set(op, e.body.shuffle(first, undefined, [0] * llvm.lanes_and_element(kind)[0]))


def _shuffle(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.body.shuffle(e[op.v1], e[op.v2], op.mask.get_values()))


def _bitcast(e: _KernelEmitter, op: Any) -> None:
    e.set(op, e.body.convert("bitcast", e[op.operands[0]], e.kind(op.results[0])))


def _extract(e: _KernelEmitter, op: Any) -> None:
    (lane,) = op.static_position.get_values()
    e.set(op, e.body.extract(e[op.operands[0]], int(lane)))


def _instruction(e: _KernelEmitter, op: Any) -> None:
    row = BY_NAME[op.row.data]
    arguments = [
        _seen_as(e, e[value], kind) for value, kind in zip(op.arguments, row.operands, strict=True)
    ]
    value = e.call(row.intrinsic, row.result, arguments)
    e.set(op, _seen_as(e, value, e.kind(op.result)))


def _seen_as(e: _KernelEmitter, value: Value, wanted: str) -> Value:
    return value if value.kind == wanted else e.body.convert("bitcast", value, wanted)


# --- tiles ----------------------------------------------------------------------------------------


def _configure(e: _KernelEmitter, op: Any) -> None:
    content = llvm.numbers(BYTE, list(op.content))
    place = e.body.place(content.kind)
    e.body.store(content, place, align=64)
    e.run("llvm.x86.ldtilecfg", [place])


def _tile_instruction(e: _KernelEmitter, op: Any) -> None:
    arguments = [llvm.number(BYTE, number) for number in op.numbers]
    if op.memory:
        base, offset, stride = op.memory
        arguments += [e.pointer(base, offset), e[stride]]
    e.run(tile_registers.BY_NAME[op.row.data].intrinsic, arguments)


_EMIT: dict[type[Operation], Callable[[_KernelEmitter, Any], None]] = {
    # memory
    loop.AddressOp: _address,
    loop.ScratchOp: _scratch,
    loop.LoadOp: _load,
    loop.StoreOp: _store,
    loop.LoadPartOp: _load_part,
    loop.StorePartOp: _store_part,
    loop.PrefetchOp: _prefetch,
    loop.RenewOp: _opaque("=r,0"),
    loop.PinOp: _opaque("=v,0"),  # any vector register that the target has
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
    arith.AndIOp: _binary("and"),
    arith.OrIOp: _binary("or"),
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
