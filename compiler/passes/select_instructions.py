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
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, ModuleOp, VectorType, i32
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from ..codegen.builder import i16
from ..codegen.targets import Target, by_name
from ..dialects import loop
from ..dialects.loop import lanes_of, vector_of


@dataclass
class _Rows:
    """Emits into the place of one dot product."""

    rewriter: PatternRewriter
    target: Target
    lanes: int

    def halves(self, value: SSAValue) -> SSAValue:
        return self.rewriter.insert(vector.BitcastOp(value, vector_of(i16, 2 * self.lanes))).result

    def constant(self, value: int) -> SSAValue:
        kind: VectorType = vector_of(i16, 2 * self.lanes)  # type: ignore[type-arg]
        attribute = DenseIntOrFPElementsAttr.from_list(kind, [value])
        return self.rewriter.insert(arith.ConstantOp(attribute)).result

    def row(self, name: str, *arguments: SSAValue, halves: bool = False) -> SSAValue:
        bits = 32 * self.lanes
        kind = vector_of(i16, 2 * self.lanes) if halves else vector_of(i32, self.lanes)
        op = loop.InstructionOp(f"{name}.{bits}", arguments, kind)
        return self.rewriter.insert(op).result

    def add(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.rewriter.insert(arith.AddiOp(a, b)).result


@dataclass
class _Dot4(RewritePattern):
    target: Target

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: loop.Dot4Op, rewriter: PatternRewriter) -> None:
        rows = _Rows(rewriter, self.target, lanes_of(op.result))
        if self.target.dot4 is not None and rows.lanes == self.target.lanes:
            arguments = (op.accumulator, op.a, op.b)
            instruction = loop.InstructionOp(self.target.dot4, arguments, op.result.type)
            rewriter.replace_op(op, instruction)
            return
        if op.pairs_fit is not None:
            pairs = rows.row("vpmaddubsw", op.a, op.b, halves=True)
            sums = rows.row("vpmaddwd", pairs, rows.constant(1))
            total = rows.add(op.accumulator, sums)
        else:
            total = self._widened(op, rows)
        rewriter.replace_op(op, [], [total])

    def _widened(self, op: loop.Dot4Op, rows: _Rows) -> SSAValue:
        insert, eight = rows.rewriter.insert, rows.constant(8)
        a, b = rows.halves(op.a), rows.halves(op.b)
        a_even = insert(arith.AndIOp(a, rows.constant(0x00FF))).result
        a_odd = insert(arith.ShRUIOp(a, eight)).result
        b_even = insert(arith.ShRSIOp(insert(arith.ShLIOp(b, eight)).result, eight)).result
        b_odd = insert(arith.ShRSIOp(b, eight)).result
        even = rows.add(op.accumulator, rows.row("vpmaddwd", a_even, b_even))
        return rows.add(even, rows.row("vpmaddwd", a_odd, b_odd))


@dataclass
class _Dot2(RewritePattern):
    target: Target

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: loop.Dot2Op, rewriter: PatternRewriter) -> None:
        rows = _Rows(rewriter, self.target, lanes_of(op.result))
        sums = rows.row("vpmaddwd", op.a, op.b)
        rewriter.replace_op(op, [], [rows.add(op.accumulator, sums)])


@dataclass(frozen=True)
class SelectInstructions(ModulePass):
    name: ClassVar[str] = "select-instructions"
    target: str = "avx2"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = by_name(self.target)
        patterns = GreedyRewritePatternApplier(
            [_Dot4(target), _Dot2(target)], dce_enabled=False
        )
        PatternRewriteWalker(patterns, apply_recursively=False).rewrite_module(op)
