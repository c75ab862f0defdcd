"""select-instructions: abstract dot products and byte ops become instruction rows of the target.

`dot4` (u8 × s8, exact for all operands):
- a target with an exact four-way dot (VNNI): that instruction, or its sisters for other signs;
- otherwise the bytes are widened, even and odd ones apart:
      acc + vpmaddwd(a & 0x00ff, b << 8 >> 8) + vpmaddwd(a >> 8, b >> 8)

`dot4_chain` (the op states the proof that 16 bits suffice):
      acc + vpmaddwd(Σ vpmaddubsw(aᵢ, bᵢ) [+ offset], 1)

`dot2` (s16 halves) is vpdpwssd, or vpmaddwd plus an add. LLVM shares what the dot products of a
tile have in common.

`narrow` packs four registers of i32 to one of bytes, saturating twice, adds a zero point between,
and undoes the instructions' order, which is that of 128-bit lanes:
      shuffle(vpackuswb(vpackssdw(a, b) + z, vpackssdw(c, d) + z))

`lookup` in a table of chained rows (codegen/byte_tables.py): for each row, a shuffle and an XOR.

Ops on tiles get registers by number, and a configuration (codegen/tile_registers.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from xdsl.context import Context
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    ModuleOp,
    VectorType,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, Operation, SSAValue, Use
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..codegen import byte_tables
from ..codegen.targets import Target, by_name
from ..codegen.tile_registers import assign_registers
from ..dialects import loop
from ..dialects.layout import LANES
from ..dialects.loop import element_of, lanes_of, vector_of


@cache
def _splat(kind: VectorType[Any], value: int) -> DenseIntOrFPElementsAttr:
    return DenseIntOrFPElementsAttr.from_list(kind, [value])


@dataclass
class _Inserter:
    """Emits in front of `op`."""

    op: Operation

    def insert(self, op: Operation) -> SSAValue:
        block = self.op.parent
        assert block is not None
        block.insert_op_before(op, self.op)
        return op.results[0]

    def instruction(self, row: str, kind: Attribute, *arguments: SSAValue) -> SSAValue:
        return self.insert(loop.InstructionOp(row, arguments, kind))

    def splat(self, value: int, lanes: int) -> SSAValue:
        kind = vector_of(i8, lanes)
        return self.insert(arith.ConstantOp(DenseIntOrFPElementsAttr.from_list(kind, [value])))

    def shuffle(self, a: SSAValue, b: SSAValue, mask: Sequence[int]) -> SSAValue:
        if a is b and list(mask) == list(range(lanes_of(a))):
            return a
        lanes = DenseArrayBase.from_list(i64, list(mask))
        kind = vector_of(element_of(a), len(mask))
        return self.insert(vector.ShuffleOp(a, b, lanes, result_type=kind))

    def pieces(self, value: SSAValue, size: int, smallest: int) -> list[SSAValue]:
        """`value` in vectors of `size` lanes; lanes that fill up the last one repeat others."""
        lanes = lanes_of(value)
        size = min(size, max(smallest, 1 << (lanes - 1).bit_length()))
        starts = range(0, lanes, size)
        return [self.shuffle(value, value, [(s + i) % lanes for i in range(size)]) for s in starts]

    def joined(self, pieces: Sequence[SSAValue], lanes: int) -> SSAValue:
        """The first `lanes` lanes of equally long pieces, one after the other."""
        parts = list(pieces)
        while len(parts) > 1:
            parts += [parts[-1]] * (len(parts) % 2)
            both = range(2 * lanes_of(parts[0]))
            parts = [self.shuffle(a, b, both) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return self.shuffle(parts[0], parts[0], range(lanes))


@dataclass
class _Rows(_Inserter):
    """Emits in front of one dot product."""

    op: loop.Dot4Op | loop.Dot2Op | loop.DotChainOp

    @property
    def lanes(self) -> int:
        return lanes_of(self.op.result)

    def halves(self, value: SSAValue) -> SSAValue:
        kind = vector_of(i16, 2 * self.lanes)
        return self.insert(loop.create(vector.BitcastOp, [value], kind))

    def bytes(self, value: SSAValue) -> SSAValue:
        kind = vector_of(i8, 4 * self.lanes)
        return self.insert(loop.create(vector.BitcastOp, [value], kind))

    def constant(self, value: int, element: IntegerType = i16) -> SSAValue:
        kind = vector_of(element, 32 * self.lanes // element.width.data)
        properties = {"value": _splat(kind, value)}
        return self.insert(loop.create(arith.ConstantOp, [], kind, properties))

    def binary(self, kind: type[Operation], a: SSAValue, b: SSAValue) -> SSAValue:
        return self.insert(loop.create(kind, [a, b], a.type))

    def row(self, name: str, *arguments: SSAValue, halves: bool = False) -> SSAValue:
        kind = vector_of(i16, 2 * self.lanes) if halves else vector_of(i32, self.lanes)
        return self.insert(loop.InstructionOp(f"{name}.{32 * self.lanes}", arguments, kind))

    def add(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.binary(arith.AddiOp, a, b)


def dot4(op: loop.Dot4Op, target: Target) -> SSAValue:
    rows, signs = _Rows(op), op.sign_of_each
    if target.dot4 is None:
        assert signs == "us", "only targets with a four-way dot product have other signs"
        return widened(op, rows)
    if signs in ("us", "su"):
        operands = (op.a, op.b) if signs == "us" else (op.b, op.a)
        return rows.row(target.dot4, op.accumulator, *operands)
    assert signs in target.dot4_signs, f"{target.name} has no dot product of signs {signs}"
    return rows.row(f"vpdpb{signs}d", op.accumulator, op.a, op.b)


def chain(op: loop.DotChainOp) -> SSAValue:
    rows = _Rows(op)
    sums: SSAValue | None = None
    for a, w in zip(op.inputs, op.weights, strict=True):
        pairs = rows.row("vpmaddubsw", a, w, halves=True)
        sums = pairs if sums is None else rows.add(sums, pairs)
    assert sums is not None
    if op.offset is not None:
        sums = rows.add(sums, rows.halves(op.offset))
    return rows.add(op.accumulator, rows.row("vpmaddwd", sums, rows.constant(1)))


def widened(op: loop.Dot4Op, rows: _Rows) -> SSAValue:
    """Even and odd bytes apart, as 16-bit halves."""
    eight, a, b = rows.constant(8), rows.halves(op.a), rows.halves(op.b)
    a_even = rows.binary(arith.AndIOp, a, rows.constant(0x00FF))
    a_odd = rows.binary(arith.ShRUIOp, a, eight)
    b_even = rows.binary(arith.ShRSIOp, rows.binary(arith.ShLIOp, b, eight), eight)
    b_odd = rows.binary(arith.ShRSIOp, b, eight)
    even = rows.add(op.accumulator, rows.row("vpmaddwd", a_even, b_even))
    return rows.add(even, rows.row("vpmaddwd", a_odd, b_odd))


def dot2(op: loop.Dot2Op, target: Target) -> SSAValue:
    rows = _Rows(op)
    if target.dot2 is not None:
        return rows.row(target.dot2, op.accumulator, op.a, op.b)
    return rows.add(op.accumulator, rows.row("vpmaddwd", op.a, op.b))


def narrow(op: loop.NarrowOp, target: Target) -> SSAValue:
    e, signed = _Inserter(op), op.signed is not None
    registers = [p for v in op.inputs for p in e.pieces(v, target.lanes, 4)]
    lanes, used = lanes_of(registers[0]), min(lanes_of(op.inputs[0]), target.lanes)
    halves = _halves(e, op, registers)
    pack = f"{'vpacksswb' if signed else 'vpackuswb'}.{32 * lanes}"
    pairs = zip(halves[::2], halves[1::2], strict=True)
    packed = [e.instruction(pack, vector_of(i8, 4 * lanes), *pair) for pair in pairs]
    mask = [16 * (i // 4) + 4 * q + i % 4 for q in range(4) for i in range(used)]
    uses = list(op.result.uses)
    if len(mask) == 32 and uses and all(map(_is_short_part, uses)):
        sixteens = [e.shuffle(p, p, part) for p in packed for part in (mask[:16], mask[16:])]
        _take_parts(e, uses, sixteens)
        return packed[0]  # for nobody
    return e.joined([e.shuffle(p, p, mask) for p in packed], lanes_of(op.result))


def _is_short_part(use: Use) -> bool:
    """Whether an op takes some neighbouring bytes, which lie within sixteen."""
    shuffle = use.operation
    if not isinstance(shuffle, vector.ShuffleOp) or shuffle.v1 is not shuffle.v2:
        return False
    first, *_ = lanes = list(shuffle.mask.get_values())
    is_contiguous = lanes == list(range(first, first + len(lanes)))
    return is_contiguous and first % LANES + len(lanes) <= LANES


def _take_parts(e: _Inserter, uses: Sequence[Use], sixteens: Sequence[SSAValue]) -> None:
    """What takes parts of the whole takes them of its sixteens instead, which wait for less: two
    unpacks of a register's halves, not `vpermd`."""
    parts = [use.operation for use in uses]
    lengths = {lanes_of(part.results[0]) for part in parts}
    # Else LLVM looks through them, and does both: `vpermd` as well.
    sources = sixteens if lengths == {LANES} else [e.insert(loop.PinOp(v)) for v in sixteens]
    for part in parts:
        assert isinstance(part, vector.ShuffleOp)
        lanes = list(part.mask.get_values())
        source = sources[lanes[0] // LANES]
        part.result.replace_all_uses_with(
            e.shuffle(source, source, [lane % LANES for lane in lanes])
        )
        Rewriter.erase_op(part)


def _halves(e: _Inserter, op: loop.NarrowOp, registers: Sequence[SSAValue]) -> list[SSAValue]:
    """Two registers of each four, in 16 bits: saturated, with the zero point added, saturated."""
    lanes, result = 2 * lanes_of(registers[0]), list[SSAValue]()
    kind = vector_of(i16, lanes)
    zero_point = None
    if op.zero_point is not None:
        zero_point = e.insert(vector.BroadcastOp(op.zero_point, kind))
    for start in range(0, len(registers), 4):
        four = (list(registers[start : start + 4]) * 4)[:4]
        for pair in (four[:2], four[2:]):
            half = e.instruction(f"vpackssdw.{16 * lanes}", kind, *pair)
            if zero_point is not None:
                half = e.instruction(f"vpaddsw.{16 * lanes}", kind, half, zero_point)
            result.append(half)
    return result


def lookup(op: loop.LookupOp, target: Target) -> list[SSAValue]:
    """All vectors advance together from row to row, so that a row is loaded once and not kept."""
    e = _Inserter(op)
    cut = [e.pieces(index, target.vector_bytes, byte_tables.ROW) for index in op.indices]
    size = max(lanes_of(pieces[0]) for pieces in cut)
    cut = [e.pieces(index, size, size) for index in op.indices]
    indices = [piece for pieces in cut for piece in pieces]
    sums = _chain(e, op.table, indices)
    results = []
    for index, pieces in zip(op.indices, cut, strict=True):
        results.append(e.joined(sums[: len(pieces)], lanes_of(index)))
        sums = sums[len(pieces) :]
    return results


def _chain(e: _Inserter, table: SSAValue, indices: list[SSAValue]) -> list[SSAValue]:
    """The sum in byte_tables.py for every register of indices."""
    size = lanes_of(indices[0])
    kind, back = vector_of(i8, size), e.splat(-byte_tables.ROW, size)
    sums: list[SSAValue] = []
    for number in range(byte_tables.ROWS):
        if number == 9:
            indices = [e.insert(arith.MaxSIOp(index, back)) for index in indices]
        if number:
            indices = [e.insert(arith.AddiOp(index, back)) for index in indices]
        row = _table_row(e, table, number, size)
        found = [e.instruction(f"vpshufb.{8 * size}", kind, row, index) for index in indices]
        if number:
            found = [e.insert(arith.XOrIOp(s, f)) for s, f in zip(sums, found, strict=True)]
        sums = found
    return sums


def _table_row(e: _Inserter, table: SSAValue, number: int, size: int) -> SSAValue:
    """Row `number` in every 128-bit lane."""
    offset = e.insert(arith.ConstantOp(IntegerAttr(number * byte_tables.ROW, IndexType())))
    row = e.insert(loop.LoadOp(table, offset, vector_of(i8, byte_tables.ROW), byte_tables.ROW))
    return e.shuffle(row, row, [i % byte_tables.ROW for i in range(size)])


@dataclass(frozen=True)
class SelectInstructions(ModulePass):
    name: ClassVar[str] = "select-instructions"
    target: str = "avx2"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = by_name(self.target)
        # One walk and no worklist: nothing that is inserted here matches again.
        for block in [b for func in op.body.block.ops for b in _blocks(func)]:
            self._rewrite(block, target)
        for func in op.walk():
            if isinstance(func, FuncOp):
                assign_registers(func, target)

    @staticmethod
    def _rewrite(block: Block, target: Target) -> None:
        for dot in list(block.ops):
            results: Sequence[SSAValue]
            if isinstance(dot, loop.Dot4Op):
                results = [dot4(dot, target)]
            elif isinstance(dot, loop.DotChainOp):
                results = [chain(dot)]
            elif isinstance(dot, loop.Dot2Op):
                results = [dot2(dot, target)]
            elif isinstance(dot, loop.NarrowOp):
                results = [narrow(dot, target)]
            elif isinstance(dot, loop.LookupOp):
                results = lookup(dot, target)
            else:
                continue
            for old, new in zip(dot.results, results, strict=True):
                old.replace_all_uses_with(new)
            Rewriter.erase_op(dot)


def _blocks(op: Operation) -> Iterator[Block]:
    """All blocks inside `op`."""
    for region in op.regions:
        for block in region.blocks:
            yield block
            for inner in block.ops:
                yield from _blocks(inner)
