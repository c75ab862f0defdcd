"""select-instructions: abstract dot products become instruction rows of the target.

    dot4(acc, a, b)   a: u8, b: s8, four products per i32 lane

- a target with an exact four-way dot (VNNI): that instruction, nothing to prove;
- `pairs_fit` (proved by prove-accumulation: no pair sum leaves 16 bits):
      acc + vpmaddwd(vpmaddubsw(a, b), 1)
- otherwise the bytes are widened, even and odd ones apart, which is always exact:
      acc + vpmaddwd(a & 0x00ff, b << 8 >> 8) + vpmaddwd(a >> 8, b >> 8)

`dot2` (s16 halves) is vpmaddwd plus an add everywhere. LLVM shares the widening between the dot
products of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, ModuleOp, i32
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ..codegen.builder import i16
from ..codegen.targets import Target, by_name
from ..dialects import loop
from ..dialects.loop import lanes_of, vector_of


@dataclass
class _Rows:
    """Emits in front of one dot product."""

    dot: loop.Dot4Op | loop.Dot2Op

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

    def constant(self, value: int) -> SSAValue:
        kind = vector_of(i16, 2 * self.lanes)
        return self.insert(arith.ConstantOp(DenseIntOrFPElementsAttr.from_list(kind, [value])))

    def row(self, name: str, *arguments: SSAValue, halves: bool = False) -> SSAValue:
        kind = vector_of(i16, 2 * self.lanes) if halves else vector_of(i32, self.lanes)
        return self.insert(loop.InstructionOp(f"{name}.{32 * self.lanes}", arguments, kind))

    def add(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.insert(arith.AddiOp(a, b))


def dot4(op: loop.Dot4Op, target: Target) -> SSAValue:
    rows = _Rows(op)
    if target.dot4 is not None and rows.lanes == target.lanes:
        arguments = (op.accumulator, op.a, op.b)
        return rows.insert(loop.InstructionOp(target.dot4, arguments, op.result.type))
    if op.pairs_fit is not None:
        pairs = rows.row("vpmaddubsw", op.a, op.b, halves=True)
        return rows.add(op.accumulator, rows.row("vpmaddwd", pairs, rows.constant(1)))
    return widened(op, rows)


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
        for dot in list(op.walk()):
            if isinstance(dot, loop.Dot4Op | loop.Dot2Op):
                result = dot4(dot, target) if isinstance(dot, loop.Dot4Op) else dot2(dot)
                dot.result.replace_all_uses_with(result)
                dot.detach()
                dot.erase()
