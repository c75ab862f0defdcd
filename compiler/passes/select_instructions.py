"""select-instructions: abstract dot products become instruction rows of the target.

`dot4` (u8 × s8, exact for all operands):
- a target with an exact four-way dot (VNNI): that instruction;
- otherwise the bytes are widened, even and odd ones apart:
      acc + vpmaddwd(a & 0x00ff, b << 8 >> 8) + vpmaddwd(a >> 8, b >> 8)

`dot4_chain` (the op states the proof that 16 bits suffice):
      acc + vpmaddwd(Σ vpmaddubsw(aᵢ, bᵢ) [+ offset], 1)
  centred, with a' = a − 128 as sign and magnitude:
      acc + vpmaddwd(Σ vpmaddubsw(|a'ᵢ|, sign(a'ᵢ)·bᵢ), 1)

`dot2` (s16 halves) is vpmaddwd plus an add everywhere. LLVM shares what the dot products of a tile
have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from xdsl.context import Context
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, IntegerType, ModuleOp, i8, i16, i32
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..codegen.targets import Target, by_name
from ..dialects import loop
from ..dialects.loop import lanes_of, vector_of

#: Per input vector: (a − 128, |a − 128|), emitted once per block.
Magnitudes: TypeAlias = dict[SSAValue, tuple[SSAValue, SSAValue]]


@dataclass
class _Rows:
    """Emits in front of one dot product."""

    dot: loop.Dot4Op | loop.Dot2Op | loop.DotChainOp

    @property
    def lanes(self) -> int:
        return lanes_of(self.dot.result)

    def insert(self, op: Operation) -> SSAValue:
        block = self.dot.parent
        assert block is not None
        block.insert_op_before(op, self.dot)
        return op.results[0]

    def halves(self, value: SSAValue) -> SSAValue:
        return self.insert(vector.BitcastOp(value, vector_of(i16, 2 * self.lanes)))

    def bytes(self, value: SSAValue) -> SSAValue:
        return self.insert(vector.BitcastOp(value, vector_of(i8, 4 * self.lanes)))

    def constant(self, value: int, element: IntegerType = i16) -> SSAValue:
        kind = vector_of(element, 32 * self.lanes // element.width.data)
        return self.insert(arith.ConstantOp(DenseIntOrFPElementsAttr.from_list(kind, [value])))

    def row(self, name: str, *arguments: SSAValue, halves: bool = False) -> SSAValue:
        kind = vector_of(i16, 2 * self.lanes) if halves else vector_of(i32, self.lanes)
        return self.insert(loop.InstructionOp(f"{name}.{32 * self.lanes}", arguments, kind))

    def add(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.insert(arith.AddiOp(a, b))


def dot4(op: loop.Dot4Op, target: Target) -> SSAValue:
    rows = _Rows(op)
    if target.dot4 is not None:
        return rows.row(target.dot4, op.accumulator, op.a, op.b)
    return widened(op, rows)


def chain(op: loop.DotChainOp, magnitudes: Magnitudes) -> SSAValue:
    rows = _Rows(op)
    sums: SSAValue | None = None
    for a, w in zip(op.inputs, op.weights, strict=True):
        if op.centred is not None:
            if a not in magnitudes:
                magnitudes[a] = magnitude(a, rows)
            offset, a = magnitudes[a]
            w = signed(w, offset, rows)
        pairs = rows.row("vpmaddubsw", a, w, halves=True)
        sums = pairs if sums is None else rows.add(sums, pairs)
    assert sums is not None
    if op.offset is not None:
        sums = rows.add(sums, rows.halves(op.offset))
    return rows.add(op.accumulator, rows.row("vpmaddwd", sums, rows.constant(1)))


def magnitude(a: SSAValue, rows: _Rows) -> tuple[SSAValue, SSAValue]:
    """a − 128 as s8 bytes (the top bit flipped), and its magnitude as u8 bytes."""
    flipped = rows.insert(arith.XOrIOp(rows.bytes(a), rows.constant(-128, i8)))
    negated = rows.insert(arith.SubiOp(rows.constant(0, i8), flipped))
    return flipped, rows.insert(arith.MaxSIOp(flipped, negated))


def signed(w: SSAValue, offset: SSAValue, rows: _Rows) -> SSAValue:
    """w with the sign of `offset`; where that is 0 the magnitude is too, so any value will do."""
    if rows.lanes < 16:
        return rows.row("vpsignb", w, offset)
    # AVX-512 has no vpsignb: negate under a mask.
    zero = rows.constant(0, i8)
    negative = rows.insert(arith.CmpiOp(offset, zero, "slt"))
    bytes_ = rows.bytes(w)
    negated = rows.insert(arith.SubiOp(zero, bytes_))
    return rows.insert(loop.SelectOp(negative, negated, bytes_))


def widened(op: loop.Dot4Op, rows: _Rows) -> SSAValue:
    """Even and odd bytes apart, as 16-bit halves."""
    eight, a, b = rows.constant(8), rows.halves(op.a), rows.halves(op.b)
    a_even = rows.insert(arith.AndIOp(a, rows.constant(0x00FF)))
    a_odd = rows.insert(arith.ShRUIOp(a, eight))
    b_even = rows.insert(arith.ShRSIOp(rows.insert(arith.ShLIOp(b, eight)), eight))
    b_odd = rows.insert(arith.ShRSIOp(b, eight))
    even = rows.add(op.accumulator, rows.row("vpmaddwd", a_even, b_even))
    return rows.add(even, rows.row("vpmaddwd", a_odd, b_odd))


def dot2(op: loop.Dot2Op) -> SSAValue:
    rows = _Rows(op)
    return rows.add(op.accumulator, rows.row("vpmaddwd", op.a, op.b))


@dataclass(frozen=True)
class SelectInstructions(ModulePass):
    name: ClassVar[str] = "select-instructions"
    target: str = "avx2"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = by_name(self.target)
        # One walk and no worklist: nothing that is inserted here matches again.
        for block in [b for func in op.body.block.ops for b in _blocks(func)]:
            self._rewrite(block, target)

    @staticmethod
    def _rewrite(block: Block, target: Target) -> None:
        magnitudes: Magnitudes = {}
        for dot in list(block.ops):
            if isinstance(dot, loop.Dot4Op):
                result = dot4(dot, target)
            elif isinstance(dot, loop.DotChainOp):
                result = chain(dot, magnitudes)
            elif isinstance(dot, loop.Dot2Op):
                result = dot2(dot)
            else:
                continue
            dot.result.replace_all_uses_with(result)
            Rewriter.erase_op(dot)


def _blocks(op: Operation) -> Iterator[Block]:
    """All blocks inside `op`."""
    for region in op.regions:
        for block in region.blocks:
            yield block
            for inner in block.ops:
                yield from _blocks(inner)
