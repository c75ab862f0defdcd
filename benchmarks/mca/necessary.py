"""What a loop must do: the operations of its kernel, counted in the isa dialect, and the same as
instructions without dependencies, whose time in the simulator is the bound. Hot is also code
without dot products that adds and shifts a lot, a transform of Winograd's, wherever it stands in a
loop; and in kernels for tile registers every block that multiplies them (tile_unit.py).

Counted is, once per iteration, every vector operation whose result differs between iterations:

- dot products, additions and conversions, as rows of codegen/instructions.py or lane-wise ops;
- each load of a vector or of a broadcast element, however often its value is used, and of a step's
  offset; each store;
- each shuffle, except where it only renames registers or undoes the one before it.

Not counted: addresses, loop counters, prefetches, register copies (except those that two-operand
instructions cannot do without), and all that does not change in the loop, although weights of a
depthwise kernel, say, find no register and are loaded again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lpc.compiler.codegen.targets import Target
from lpc.compiler.dialects import loop, tile
from lpc.compiler.dialects.loop import element_of, lanes_of
from lpc.compiler.errors import LpcError
from xdsl.dialects import arith, math, scf, vector
from xdsl.dialects.builtin import Float32Type, IntegerType, ModuleOp, VectorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from .assembly import DOTS, FLOAT_DOTS, TRANSFORMS_FROM, Signature, signature_of

#: Operation (a template's name in mix.py) → how often an iteration does it.
Work = Counter[str]

_INTEGER: dict[type[Operation], str] = {
    arith.AddiOp: "vpadd",
    arith.SubiOp: "vpsub",
    arith.MuliOp: "vpmull",
    arith.ShRUIOp: "vpsrl",
    arith.ShRSIOp: "vpsra",
    arith.ShLIOp: "vpsll",
    arith.MaxSIOp: "vpmaxs",
    arith.MinSIOp: "vpmins",
    arith.MaxUIOp: "vpmaxu",
    arith.MinUIOp: "vpminu",
}
_LOGIC: dict[type[Operation], str] = {
    arith.AndIOp: "vpand",
    arith.OrIOp: "vpor",
    arith.XOrIOp: "vpxor",
}
_FLOAT: dict[type[Operation], str] = {
    arith.AddfOp: "addps",
    arith.SubfOp: "subps",
    arith.MulfOp: "mulps",
    arith.DivfOp: "divps",
    arith.MaximumfOp: "maxps",
    arith.MinimumfOp: "minps",
    math.FmaOp: "fma",
}
_CONVERSIONS = {
    "int_to_float": "vcvtdq2ps",
    "round_to_int": "vcvtps2dq",
    "float_to_int": "vcvttps2dq",
}
_SUFFIX = {8: "b", 16: "w", 32: "d"}
_FREE = (
    vector.BitcastOp, arith.ConstantOp, loop.AddressOp, loop.PrefetchOp, loop.RenewOp, loop.PinOp,
    scf.YieldOp,
    scf.ForOp,  # code of its own
)  # fmt: skip
#: Instructions that overwrite their first operand where there is no third.
_MULTIPLIES = {*DOTS.values(), *FLOAT_DOTS.values()} - {"vpaddw"}
_OVERWRITES_FIRST = ("vpmaddubsw", "shuffle")


@dataclass(frozen=True)
class HotLoop:
    """A loop of the isa dialect: its work, in registers of `width` bytes, and by what it is
    recognized in assembly: a transform, which has no `signature`, by its arithmetic."""

    function: str
    work: Work
    width: int
    signature: Signature
    #: Multiply-adds in tile registers.
    tile_macs: int = 0

    @property
    def broadcasts(self) -> int:
        return self.work["broadcast32"] + self.work["broadcast16"]

    @property
    def arithmetic(self) -> int:
        """Additions and shifts of integers, and products of a lane each."""
        names = tuple(_INTEGER.values())
        return sum(count for name, count in self.work.items() if name.startswith(names))


def hot_loops(module: ModuleOp, target: Target) -> list[HotLoop]:
    """All innermost loops that contain dot products, all blocks that multiply tile registers, and
    all transforms."""
    found = []
    for func in module.walk():
        if isinstance(func, FuncOp):
            found += _in_tile_registers(func) or _with_dots(func, target)
            found += _transforms(func, target)
    return found


def _with_dots(func: FuncOp, target: Target) -> list[HotLoop]:
    innermost = [op for op in func.walk() if isinstance(op, scf.ForOp) and _is_innermost(op)]
    found = []
    # Where codes are multiplied, loops that only scale sums are epilogues.
    for op in list(filter(_has_integer_dots, innermost)) or innermost:
        if not any(isinstance(inner, scf.IfOp) for inner in op.walk()):
            counted = _Counter(op, target)
            if signature := signature_of(_opcodes(counted.work)):
                name = func.sym_name.data
                found.append(HotLoop(name, counted.work, counted.width, signature))
    return found


def _in_tile_registers(func: FuncOp) -> list[HotLoop]:
    shapes: list[tile.Shape] = []
    found = []
    for op in func.walk():
        if isinstance(op, tile.ConfigureOp):
            flat = [int(number) for number in op.shapes.get_values()]
            shapes = list(zip(flat[::2], flat[1::2], strict=True))
        for block in (block for region in op.regions for block in region.blocks):
            own = [inner for inner in block.ops if isinstance(inner, tile.InstructionOp)]
            work = Work(inner.row.data for inner in own)
            if signature := signature_of(_opcodes(work)):
                macs = sum(_tile_macs(inner, shapes) for inner in own)
                found.append(HotLoop(func.sym_name.data, work, tile.BYTES, signature, macs))
    return found


def _tile_macs(op: tile.InstructionOp, shapes: Sequence[tile.Shape]) -> int:
    """Rows of sums × sums of a row × codes of a row."""
    if not op.row.data.startswith("tdp"):
        return 0
    (rows, size), (_, depth), _ = (shapes[number] for number in op.numbers)
    return rows * (size // 4) * depth


def _transforms(func: FuncOp, target: Target) -> list[HotLoop]:
    """In the order of the text, outer loops after those within."""
    found = []
    for op in func.walk():
        if isinstance(op, scf.ForOp) and _is_transform(op.body.block):
            width = min(_vector_bytes(op.body.block), target.vector_bytes)
            found.append(HotLoop(func.sym_name.data, _Counter(op, target).work, width, ()))
    return found


def _vector_bytes(block: Block) -> int:
    """Of the widest integers that are added or shifted."""
    results = [op.results[0] for op in block.ops if type(op) in _INTEGER]
    vectors = [result for result in results if isinstance(result.type, VectorType)]
    return max(lanes_of(result) * _width(result) // 8 for result in vectors)


def _is_transform(block: Block) -> bool:
    """As Loop.is_transform, of the operations outside of inner loops."""
    arithmetic = [op for op in block.ops if type(op) in _INTEGER]
    others = [op for op in block.ops if type(op) in _FLOAT or isinstance(op, loop.InstructionOp)]
    vectors = [op for op in arithmetic if isinstance(op.results[0].type, VectorType)]
    return len(vectors) >= TRANSFORMS_FROM and not others


def _is_innermost(op: scf.ForOp) -> bool:
    return not any(isinstance(inner, scf.ForOp) for inner in op.walk() if inner is not op)


def _has_integer_dots(op: scf.ForOp) -> bool:
    rows = (inner.row.data for inner in op.walk() if isinstance(inner, loop.InstructionOp))
    return any(row.startswith(("vpmadd", "vpdp", "tdp")) for row in rows)


def _opcodes(work: Work) -> Iterator[str]:
    """As assembly would name them."""
    for name, count in work.items():
        opcode = "fmadd231ps" if name == "fma" else name.removeprefix("v")
        yield from [opcode] * count


class _Counter:
    """Counts one loop's work. Equal operations on equal operands count once."""

    def __init__(self, op: scf.ForOp, target: Target):
        self.target, self.work, self.width = target, Work(), 16
        self._numbers: dict[SSAValue, int] = {}
        self._known: dict[object, int] = {}
        self._varying: set[int] = set()
        #: Shuffles of one vector, by number: what they shuffle, and how.
        self._shuffled: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._overwritten: Counter[int] = Counter()
        for argument in op.body.block.args:
            self._varying.add(self._number(argument))
        for inner in op.body.block.ops:
            self._visit(inner)
        if target.vector_bytes == 16:
            self.work["copy"] += sum(uses - 1 for uses in self._overwritten.values())
        self.work = +self.work

    def _number(self, value: SSAValue) -> int:
        return self._numbers.setdefault(value, -1 - len(self._numbers))

    def _visit(self, op: Operation) -> None:
        operands = tuple(map(self._number, op.operands))
        if not op.results:
            if isinstance(op, loop.StoreOp | loop.StorePartOp):
                self.work["store"] += self._registers(op.value)
            elif not isinstance(op, _FREE):
                raise LpcError(
                    f"a hot loop with a '{op.name}', whose work is unknown; add it to _visit"
                )
            return
        result = op.results[0]
        properties = str(sorted((k, str(v)) for k, v in op.properties.items()))
        key = (op.name, operands, properties, str(result.type))
        if key in self._known:
            self._numbers[result] = self._known[key]
            return
        number = self._numbers[result] = self._known[key] = len(self._known)
        if any(operand in self._varying for operand in operands):
            self._varying.add(number)
            self._count(op, number, operands)

    def _registers(self, value: SSAValue) -> int:
        return max(1, lanes_of(value) * _width(value) // 8 // self.target.vector_bytes)

    def _count(self, op: Operation, number: int, operands: Sequence[int]) -> None:
        """Adds what the first operation of its kind costs."""
        result = op.results[0]
        if isinstance(op, loop.LoadOp | loop.LoadPartOp):
            self._load(result)
        elif isinstance(op, arith.CmpiOp | arith.CmpfOp):  # typed as one truth value
            self.work["compare"] += self._registers(op.lhs) * isinstance(op.lhs.type, VectorType)
        elif isinstance(op, _FREE) or not isinstance(result.type, VectorType):
            return
        elif isinstance(op, vector.BroadcastOp):
            self.work[f"broadcast{_width(result)}"] += 1
        elif isinstance(op, vector.ShuffleOp):
            self._shuffle(op, number, operands)
        else:
            name = self._name(op)
            self.work[name] += self._registers(result)
            if name in _MULTIPLIES:
                size = lanes_of(result) * _width(result) // 8
                self.width = max(self.width, min(size, self.target.vector_bytes))
            self._overwrite(name, operands)

    def _load(self, result: SSAValue) -> None:
        if isinstance(result.type, VectorType):
            self.work["load"] += self._registers(result)
        elif not any(isinstance(use.operation, vector.BroadcastOp) for use in result.uses):
            self.work["scalar_load"] += 1

    def _name(self, op: Operation) -> str:
        result = op.results[0]
        if isinstance(op, loop.InstructionOp):
            return op.row.data.split(".")[0]
        if (name := _FLOAT.get(type(op)) or _LOGIC.get(type(op))) is not None:
            return name
        if isinstance(op, arith.SubiOp) and _is_zero(op.lhs):
            return "negation"  # part of vpabsb or of a masked subtraction
        if (name := _INTEGER.get(type(op))) is not None:
            return name + _SUFFIX[_width(result)]
        if isinstance(op, loop.ConvertOp):
            kind = op.kind.data
            if kind in _CONVERSIONS:
                return _CONVERSIONS[kind]
            return f"{kind}{_width(op.input)}to{_width(result)}"
        return op.name

    def _shuffle(self, op: vector.ShuffleOp, number: int, operands: Sequence[int]) -> None:
        mask = tuple(int(lane) for lane in op.mask.get_values())
        source, chained = operands[0], operands[0] == operands[1]
        if chained and source in self._shuffled:
            source, before = self._shuffled[source]
            mask = tuple(before[lane % len(before)] for lane in mask)
            self.work["shuffle"] -= self._registers(op.v1)
        if chained:
            self._shuffled[number] = source, mask
        self.work["shuffle"] += self._moved(op, mask)
        self._overwrite("shuffle", operands)

    def _moved(self, op: vector.ShuffleOp, mask: Sequence[int]) -> int:
        """Registers of the result that are not registers of a source as they are."""
        size = self.target.vector_bytes * 8 // _width(op.result)
        moved = 0
        for start in range(0, len(mask), size):
            lanes = mask[start : start + size]
            whole = all(lane == lanes[0] + i for i, lane in enumerate(lanes))
            moved += not (whole and lanes[0] % min(size, lanes_of(op.v1)) == 0)
        return moved

    def _overwrite(self, name: str, operands: Sequence[int]) -> None:
        if name in _OVERWRITES_FIRST:
            self._overwritten[operands[0]] += 1


def _width(value: SSAValue) -> int:
    element = element_of(value)
    if isinstance(element, IntegerType):
        return int(element.width.data)
    assert isinstance(element, Float32Type)
    return 32


def _is_zero(value: SSAValue) -> bool:
    owner = value.owner
    if not isinstance(owner, arith.ConstantOp):
        return False
    return not any(owner.value.get_values()) if hasattr(owner.value, "get_values") else False
