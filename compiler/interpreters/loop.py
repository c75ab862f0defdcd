"""Executable semantics of the loop dialect in numpy, before and after instruction selection.

    outputs = run_program(program, info, inputs)       # all steps, on byte buffers

An index is an int, any other scalar a numpy scalar, a vector a one-dimensional array, a buffer an
address in a `Memory`. Every access is checked: outside a memory, or a write to one that is
read-only, is an `AccessError`. Instructions mean what their row in `codegen/instructions.py` says;
a `loop.dot4_chain` that leaves 16 bits is an error, since the op claims a proof that it cannot.
A tile is an array of bytes, [rows, bytes]; instructions on tiles run on a `TileUnit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from xdsl.dialects import arith, math, vector
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    Float32Type,
    IndexType,
    IntegerType,
    VectorType,
)
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    impl,
    register_impls,
)
from xdsl.interpreters.func import FuncFunctions
from xdsl.interpreters.scf import ScfFunctions
from xdsl.ir import Attribute, Operation

from ..codegen.byte_tables import table_of
from ..codegen.instructions import BY_NAME
from ..codegen.lower import LoweredProgram
from ..codegen.program import Argument, LibraryInfo, Step
from ..dialects import loop
from ..dialects.loop import element_of, lanes_of
from ..dialects.tensors import Array
from ..numerics import LANES
from .tile_ops import tile_evaluators
from .tiles import TileUnit

_INT32 = np.iinfo(np.int32)


class AccessError(Exception):
    """A kernel touched bytes that are not its own."""


@dataclass(frozen=True)
class Memory:
    """The bytes that one argument of a program may touch."""

    name: str
    data: Array
    writable: bool

    def at(self, offset: int, size: int) -> Array:
        """A view of `size` bytes."""
        if not 0 <= offset <= offset + size <= len(self.data):
            raise AccessError(
                f"bytes [{offset}, {offset + size}) of {self.name}, which has {len(self.data)}"
            )
        return self.data[offset : offset + size]

    def write(self, offset: int, value: Array) -> None:
        if not self.writable:
            raise AccessError(f"a write to {self.name}")
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        self.at(offset, len(data))[:] = data


@dataclass(frozen=True)
class Address:
    memory: Memory
    offset: int


def dtype_of(element: Attribute) -> np.dtype[Any]:
    if isinstance(element, Float32Type):
        return np.dtype(np.float32)
    if isinstance(element, IndexType):
        return np.dtype(np.int64)
    assert isinstance(element, IntegerType), element
    width = element.width.data
    return np.dtype(np.bool_) if width == 1 else np.dtype(f"i{width // 8}")


Evaluate: TypeAlias = Callable[[Any, PythonValues], Any]


# --- memory ---------------------------------------------------------------------------------------


def _address(op: loop.AddressOp, args: PythonValues) -> Address:
    base, offset = args
    return Address(base.memory, base.offset + offset)


def _scratch(op: loop.ScratchOp, args: PythonValues) -> Address:
    size = op.size.value.data
    return Address(Memory("scratch", np.full(size, 0xA5, np.uint8), True), 0)


def _load(op: loop.LoadOp, args: PythonValues) -> Any:
    base, offset = args
    dtype, lanes = dtype_of(element_of(op.result)), lanes_of(op.result)
    align = 1 if op.align is None else op.align.value.data
    if (base.offset + offset) % align:
        raise AccessError(f"offset {base.offset + offset} is no multiple of {align}")
    values = base.memory.at(base.offset + offset, lanes * dtype.itemsize).view(dtype).copy()
    if isinstance(op.result.type, VectorType):
        return values
    return int(values[0]) if isinstance(op.result.type, IndexType) else values[0]


def _store(op: loop.StoreOp, args: PythonValues) -> None:
    value, base, offset = args
    base.memory.write(base.offset + offset, np.asarray(value))


def _load_part(op: loop.LoadPartOp, args: PythonValues) -> Array:
    base, offset = args
    dtype, count = dtype_of(element_of(op.result)), op.count.value.data
    result = np.zeros(lanes_of(op.result), dtype)
    start = base.offset + offset
    result[:count] = base.memory.at(start, count * dtype.itemsize).view(dtype)
    return result


def _store_part(op: loop.StorePartOp, args: PythonValues) -> None:
    value, base, offset = args
    base.memory.write(base.offset + offset, value[: op.count.value.data])


def _prefetch(op: loop.PrefetchOp, args: PythonValues) -> None:
    """Nothing that a program could see."""


def _same(op: loop.RenewOp | loop.PinOp, args: PythonValues) -> Any:
    return args[0]


def _lookup(op: loop.LookupOp, args: PythonValues) -> tuple[Array, ...]:
    table, *indices = args
    entries = table_of(table.memory.at(table.offset, 256)).view(np.int8)
    return tuple(np.asarray(entries[index.view(np.uint8)]) for index in indices)


# --- arithmetic -----------------------------------------------------------------------------------


def _constant(op: arith.ConstantOp, args: PythonValues) -> Any:
    value: Any = op.value
    if isinstance(value, DenseIntOrFPElementsAttr):
        dtype = dtype_of(value.get_element_type())
        lanes = np.fromiter(value.iter_values(), np.float64)
        return np.broadcast_to(lanes, value.get_shape()).astype(dtype)
    number = value.value.data
    if isinstance(op.result.type, IndexType):
        return int(number)
    return dtype_of(op.result.type).type(number)


def _binary(compute: Callable[[Any, Any], Any]) -> Evaluate:
    return lambda op, args: compute(*args)


def _unsigned(compute: Callable[[Any, Any], Any]) -> Evaluate:
    def evaluate(op: Any, args: PythonValues) -> Any:
        a, b = args
        if isinstance(a, int):
            return compute(a, b)  # indices are not negative where this is asked of them
        kind = f"u{a.dtype.itemsize}"
        return compute(a.view(kind), b.view(kind)).view(a.dtype)

    return evaluate


def _unary(compute: Callable[[Any], Any]) -> Evaluate:
    return lambda op, args: compute(args[0])


def _select(op: Any, args: PythonValues) -> Any:
    condition, first, second = args
    chosen: Any = np.where(condition, first, second)
    return int(chosen) if isinstance(op.result.type, IndexType) else chosen


def _any(op: loop.AnyOp, args: PythonValues) -> Any:
    return np.any(args[0])


_SIGNED = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)


def _cmpi(op: arith.CmpiOp, args: PythonValues) -> Any:
    number = op.predicate.value.data
    if number < len(_SIGNED):
        return _SIGNED[number](*args)
    a, b = args
    if not isinstance(a, int):
        a, b = (v.view(f"u{v.dtype.itemsize}") for v in (a, b))
    return _SIGNED[number - 4](a, b)


#: By number: false, then ordered eq, gt, ge, lt, le, ne; the unordered ones follow the ordered.
_ORDERED = {
    1: np.equal, 2: np.greater, 3: np.greater_equal, 4: np.less, 5: np.less_equal, 6: np.not_equal,
}  # fmt: skip


def _cmpf(op: arith.CmpfOp, args: PythonValues) -> Any:
    number, (a, b) = op.predicate.value.data, args
    unordered = np.isnan(a) | np.isnan(b)
    if number in (0, 15):
        return np.full_like(unordered, number == 15)
    if number in (7, 14):
        return unordered if number == 14 else ~unordered
    if number < 7:
        return _ORDERED[number](a, b) & ~unordered
    return _ORDERED[number - 7](a, b) | unordered


def _index_cast(op: arith.IndexCastOp, args: PythonValues) -> Any:
    if isinstance(op.result.type, IndexType):
        return int(args[0])
    return np.asarray(args[0]).astype(dtype_of(op.result.type))[()]


def _fma(op: math.FmaOp, args: PythonValues) -> Any:
    """The product is exact; the sum is rounded to extended precision on the way to float32."""
    a, b, c = (np.asarray(v).astype(np.longdouble) for v in args)
    return (a * b + c).astype(np.float32)


def _to_int32(real: Any) -> Any:
    """x86: everything that does not fit, NaN included, becomes −2³¹."""
    fits = (real >= _INT32.min) & (real < -float(_INT32.min))
    return np.where(fits, real, _INT32.min).astype(np.int32)[()]


def _convert(op: loop.ConvertOp, args: PythonValues) -> Any:
    (value,), kind, dtype = args, op.kind.data, dtype_of(element_of(op.result))
    if kind == "float_to_int":
        return _to_int32(np.trunc(value))
    if kind == "round_to_int":
        return _to_int32(np.rint(value))
    if kind == "zext" and value.dtype != np.bool_:
        value = value.view(f"u{value.dtype.itemsize}")
    return value.astype(dtype)


def _products(a: Array, b: Array) -> Array:
    """The four u8·s8 products of every i32 lane, [lanes, 4]."""
    left = a.view(np.uint8).astype(np.int64)
    return (left * b.view(np.int8)).reshape(-1, 4)


def _wrap(sums: Array) -> Array:
    return sums.astype(np.int64).astype(np.int32)


def _dot4(op: loop.Dot4Op, args: PythonValues) -> Array:
    accumulator, a, b = args
    kinds = [np.uint8 if sign == "u" else np.int8 for sign in op.sign_of_each]
    wide = [v.view(kind).astype(np.int64) for v, kind in zip((a, b), kinds, strict=True)]
    return _wrap(accumulator + (wide[0] * wide[1]).reshape(-1, 4).sum(1))


def _dot4_chain(op: loop.DotChainOp, args: PythonValues) -> Array:
    count = len(op.inputs)
    accumulator, inputs, weights = args[0], args[1 : 1 + count], args[1 + count : 1 + 2 * count]
    total: Any = 0 if op.offset is None else args[-1].view(np.int16).reshape(-1, 2)
    for a, w in zip(inputs, weights, strict=True):
        pairs = _products(a, w).reshape(-1, 2, 2).sum(2)
        _check_halves(pairs)
        total = total + pairs
    _check_halves(total)
    return _wrap(accumulator + total.sum(1))


def _check_halves(sums: Array) -> None:
    if np.abs(sums + 0.5).max() > 32768:
        raise OverflowError("a 16-bit sum of a dot4_chain leaves its range")


def _dot2(op: loop.Dot2Op, args: PythonValues) -> Array:
    accumulator, a, b = args
    products = a.view(np.int16).astype(np.int64) * b.view(np.int16)
    return _wrap(accumulator + products.reshape(-1, 2).sum(1))


def _narrow(op: loop.NarrowOp, args: PythonValues) -> Array:
    limits = np.iinfo(np.uint8 if op.signed is None else np.int8)
    lanes = np.concatenate(args[: len(op.inputs)]).astype(np.int64)
    codes = np.clip(lanes + sum(args[len(op.inputs) :]), limits.min, limits.max)
    return np.asarray(codes.astype(limits.dtype).view(np.int8))


def _instruction(op: loop.InstructionOp, args: PythonValues) -> Array:
    result = BY_NAME[op.row.data].semantics(*args)
    return result.view(dtype_of(element_of(op.result)))


# --- vectors --------------------------------------------------------------------------------------


def _broadcast(op: vector.BroadcastOp, args: PythonValues) -> Array:
    return np.full(lanes_of(op.results[0]), args[0])


def _shuffle(op: Any, args: PythonValues) -> Array:
    return np.asarray(np.concatenate(args)[list(op.mask.get_values())])


def _bitcast(op: vector.BitcastOp, args: PythonValues) -> Array:
    return np.asarray(args[0].view(dtype_of(element_of(op.results[0]))))


def _extract(op: Any, args: PythonValues) -> Any:
    (lane,) = op.static_position.get_values()
    return args[0][int(lane)]


_EVALUATE: dict[type[Operation], Evaluate] = {
    # memory
    loop.AddressOp: _address,
    loop.ScratchOp: _scratch,
    loop.LoadOp: _load,
    loop.StoreOp: _store,
    loop.LoadPartOp: _load_part,
    loop.StorePartOp: _store_part,
    loop.PrefetchOp: _prefetch,
    loop.RenewOp: _same,
    loop.PinOp: _same,
    loop.LookupOp: _lookup,
    # integers and indices
    arith.ConstantOp: _constant,
    arith.AddiOp: _binary(lambda a, b: a + b),
    arith.SubiOp: _binary(lambda a, b: a - b),
    arith.MuliOp: _binary(lambda a, b: a * b),
    arith.DivUIOp: _unsigned(lambda a, b: a // b),
    arith.RemUIOp: _unsigned(lambda a, b: a % b),
    arith.AndIOp: _binary(lambda a, b: a & b),
    arith.OrIOp: _binary(lambda a, b: a | b),
    arith.XOrIOp: _binary(lambda a, b: a ^ b),
    arith.ShLIOp: _binary(lambda a, b: a << b),
    arith.ShRUIOp: _unsigned(lambda a, b: a >> b),
    arith.ShRSIOp: _binary(lambda a, b: a >> b),
    arith.MinSIOp: _binary(lambda a, b: min(a, b) if isinstance(a, int) else np.minimum(a, b)),
    arith.MaxSIOp: _binary(lambda a, b: max(a, b) if isinstance(a, int) else np.maximum(a, b)),
    arith.MinUIOp: _unsigned(np.minimum),
    arith.MaxUIOp: _unsigned(np.maximum),
    arith.CmpiOp: _cmpi,
    arith.IndexCastOp: _index_cast,
    # floats
    arith.AddfOp: _binary(lambda a, b: a + b),
    arith.SubfOp: _binary(lambda a, b: a - b),
    arith.MulfOp: _binary(lambda a, b: a * b),
    arith.DivfOp: _binary(lambda a, b: a / b),
    arith.NegfOp: _unary(lambda a: -a),
    arith.CmpfOp: _cmpf,
    math.FmaOp: _fma,
    math.SqrtOp: _unary(np.sqrt),
    math.AbsFOp: _unary(np.abs),
    math.FloorOp: _unary(np.floor),
    math.CeilOp: _unary(np.ceil),
    math.TruncOp: _unary(np.trunc),
    math.RoundEvenOp: _unary(np.rint),
    # dot products, conversions, instructions
    loop.Dot4Op: _dot4,
    loop.DotChainOp: _dot4_chain,
    loop.Dot2Op: _dot2,
    loop.ConvertOp: _convert,
    loop.NarrowOp: _narrow,
    loop.SelectOp: _select,
    loop.AnyOp: _any,
    loop.InstructionOp: _instruction,
    # vectors
    vector.BroadcastOp: _broadcast,
    vector.ShuffleOp: _shuffle,
    vector.BitcastOp: _bitcast,
    vector.ExtractOp: _extract,
}


def _method(evaluate: Evaluate) -> Any:
    def run(
        self: InterpreterFunctions, _: Interpreter, op: Operation, args: PythonValues
    ) -> PythonValues:
        result = evaluate(op, args)
        if isinstance(result, tuple):
            return result
        return (result,) if op.results else ()

    return run


def loop_functions(unit: TileUnit | None = None) -> InterpreterFunctions:
    """The table above as xDSL wants it: one method per op. `unit`: runs instructions on tiles."""
    table = {**_EVALUATE, **tile_evaluators(TileUnit() if unit is None else unit)}
    methods = {kind.name: impl(kind)(_method(e)) for kind, e in table.items()}
    functions: type[InterpreterFunctions] = type("LoopFunctions", (InterpreterFunctions,), methods)
    register_impls(functions)
    return functions()


# --- programs -------------------------------------------------------------------------------------


def run_program(program: LoweredProgram, info: LibraryInfo, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of one inference. The workspace starts as garbage.

    Each step runs as two calls, the second half of its units first: units must be independent."""
    interpreter, unit = Interpreter(program.module), TileUnit()
    for functions in (FuncFunctions(), ScfFunctions(), loop_functions(unit)):
        interpreter.register_implementations(functions)
    outputs = [np.full(t.shape, 0xA5).astype(t.dtype) for t in info.outputs]
    memories = _memories(program, inputs, outputs)
    kernels = {op.sym_name.data: op for op in program.module.ops if isinstance(op, FuncOp)}
    with np.errstate(all="ignore"):
        for step in program.steps:
            _run_step(interpreter, kernels[step.symbol], step, memories)
            assert unit.released, f"{step.symbol} leaves the tile unit in use"
    return outputs


def _memories(
    program: LoweredProgram, inputs: Sequence[Array], outputs: Sequence[Array]
) -> dict[tuple[str, int], Memory]:
    generator = np.random.default_rng(LANES)
    workspace = generator.integers(0, 256, program.workspace_size, np.uint8)
    weights = np.frombuffer(program.weights, np.uint8)
    memories = {
        ("workspace", 0): Memory("the workspace", workspace, True),
        ("weights", 0): Memory("the weights", weights, False),
    }
    for i, array in enumerate(inputs):
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        memories["input", i] = Memory(f"input {i}", data, False)
    for i, array in enumerate(outputs):
        memories["output", i] = Memory(f"output {i}", array.reshape(-1).view(np.uint8), True)
    return memories


def _run_step(
    interpreter: Interpreter,
    kernel: FuncOp,
    step: Step,
    memories: dict[tuple[str, int], Memory],
) -> None:
    def address(argument: Argument) -> Address:
        return Address(memories[argument.kind, argument.index], argument.offset)

    buffers = [address(argument) for argument in step.arguments]
    middle = step.units // 2
    for begin, end in ((middle, step.units), (0, middle)):
        interpreter.call_op(kernel, (*buffers, begin, end))
