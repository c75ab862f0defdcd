"""Simplify: fold constants, drop ops that do nothing, merge chains, remove dead and duplicate ops.

    reshape(reshape(x)) = reshape(x)        transpose(transpose(x)) = transpose(x)
    transpose that only moves axes of extent 1 = reshape
    reshape, transpose, slice, pad, broadcast, cast, resize, concat that change nothing = x
    x + 0 = x − 0 = x · 1 = x / 1 = x       when the constant does not widen the shape
    f(broadcast(x), y) = f(x, y)            elementwise f, same result shape
    gather(x, [lo, …, hi − 1]) = reshape(slice(x))
    clamp(clamp(x; a, b); c, d) = clamp(x; clamp(a; c, d), clamp(b; c, d))      relu = clamp(0, ∞)
                                            where both pass NaN: not for maximum(x, constant)

Constants are folded with the interpreter, so a folded value is the value the op would have
computed. Not folded: quantize, dequantize and fake_quantize of constants (these are quantized
weights, whose codes must survive; the option `fold_dequantize` lifts this for what is left of them
once contractions are integer), and results of more than 2^16 elements that are larger than the
operands together (an Expand must not blow up the library). Duplicates: ops of one block that agree
in everything but `layer`; the first one stays.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import inf, prod

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern
from xdsl.rewriter import Rewriter
from xdsl.traits import is_side_effect_free

from ..dialects import graph
from ..dialects.tensors import Array, shape_of
from .clamps import Clamp, clamp_of
from .rewriting import constant_of, defining, forward, replace, rewrite

_MAY_GROW_TO = 1 << 16
_QUANTIZING = (graph.FakeQuantizeOp, graph.QuantizeOp, graph.DequantizeOp)


@dataclass(frozen=True)
class CanonicalizePass(ModulePass):
    name = "canonicalize"

    fold_dequantize: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        kept = tuple(
            k for k in _QUANTIZING if not (self.fold_dequantize and k == graph.DequantizeOp)
        )
        patterns = (
            FoldConstants(kept),
            DropIdentity(),
            MergeReshapes(),
            MergeTransposes(),
            DropNeutralOperand(),
            DropBroadcast(),
            MergeClamps(),
            GatherToSlice(),
        )
        rewrite(op, patterns)
        while remove_duplicates(op):
            rewrite(op, patterns)


# --- constants ------------------------------------------------------------------------------------


def evaluate(op: Operation, operands: list[Array]) -> Array:
    """The result of `op` on these operands, as the interpreter computes it."""
    from xdsl.interpreter import Interpreter

    from ..interpreters.graph import register_graph_implementations

    interpreter = Interpreter(ModuleOp([]))
    register_graph_implementations(interpreter)
    (result,) = interpreter.run_op(op, tuple(operands))
    return np.asarray(result)


@dataclass(frozen=True)
class FoldConstants(RewritePattern):
    """An op on constants is a constant."""

    kept: tuple[type[Operation], ...] = _QUANTIZING

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if not isinstance(op, graph.GraphOp) or isinstance(op, (graph.ConstantOp, *self.kept)):
            return
        operands = [constant_of(operand) for operand in op.operands]
        known = [operand for operand in operands if operand is not None]
        if not known or len(known) != len(operands):
            return
        size = prod(shape_of(op.results[0]))
        if size > _MAY_GROW_TO and size > sum(operand.size for operand in known):
            return
        rewriter.replace(op, graph.ConstantOp(evaluate(op, known)))


# --- ops that do nothing --------------------------------------------------------------------------


def _is_identity(op: Operation) -> bool:
    """Whether `op` returns its first operand."""
    match op:
        case graph.ReshapeOp() | graph.BroadcastOp() | graph.CastOp():
            return op.operands[0].type == op.results[0].type
        case graph.TransposeOp():
            permutation = graph.ints(op.permutation)
            return permutation == tuple(range(len(permutation)))
        case graph.SliceOp():
            return op.input.type == op.result.type
        case graph.PadOp():
            return not any(graph.ints(op.low) + graph.ints(op.high))
        case graph.ResizeNearestOp():
            return op.input.type == op.result.type
        case graph.ConcatOp():
            return len(op.inputs) == 1
    return False


class DropIdentity(RewritePattern):
    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if _is_identity(op):
            forward(rewriter, op, op.operands[0])


class DropNeutralOperand(RewritePattern):
    """x + 0, x − 0, x · 1, x / 1."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.BinaryOp, rewriter: PatternRewriter) -> None:
        sides = [(op.lhs, op.rhs)]
        if isinstance(op, graph.AddOp | graph.MulOp):
            sides.append((op.rhs, op.lhs))
        elif not isinstance(op, graph.SubOp | graph.DivOp):
            return
        neutral = 0 if isinstance(op, graph.AddOp | graph.SubOp) else 1
        for value, other in sides:
            constant = constant_of(other)
            if constant is None or value.type != op.result.type:
                continue
            if np.all(constant == neutral):
                forward(rewriter, op, value)
                return


class DropBroadcast(RewritePattern):
    """An elementwise op broadcasts its operands itself."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.BinaryOp, rewriter: PatternRewriter) -> None:
        operands = [_before_broadcast(operand) for operand in op.operands]
        if operands == list(op.operands):
            return
        narrow = type(op)(*operands)
        if narrow.result.type == op.result.type:
            replace(rewriter, op, narrow)
        else:
            narrow.erase()


def _before_broadcast(value: SSAValue) -> SSAValue:
    broadcast = defining(value, graph.BroadcastOp)
    return value if broadcast is None else broadcast.input


# --- chains ---------------------------------------------------------------------------------------


class MergeReshapes(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.ReshapeOp, rewriter: PatternRewriter) -> None:
        inner = defining(op.input, graph.ReshapeOp)
        if inner is not None:
            replace(rewriter, op, graph.ReshapeOp(inner.input, shape_of(op.result)))


class MergeTransposes(RewritePattern):
    """Two transposes are one; one that moves no data is a reshape."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.TransposeOp, rewriter: PatternRewriter) -> None:
        permutation, shape = graph.ints(op.permutation), shape_of(op.input)
        inner = defining(op.input, graph.TransposeOp)
        if inner is not None:
            first = graph.ints(inner.permutation)
            replace(rewriter, op, graph.TransposeOp(inner.input, [first[p] for p in permutation]))
            return
        moved = [p for p in permutation if shape[p] != 1]
        if moved == sorted(moved):
            replace(rewriter, op, graph.ReshapeOp(op.input, shape_of(op.result)))


class MergeClamps(RewritePattern):
    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        outer = clamp_of(op)
        if outer is None or outer.value.type != op.results[0].type:
            return
        inner = None if outer.value.owner is op else _clamp_defining(outer.value)
        if inner is None or not (inner.passes_equals and outer.passes_equals):
            return  # a clip passes NaN
        low, high = (min(max(bound, outer.low), outer.high) for bound in (inner.low, inner.high))
        if low == high == 0:
            return  # disjoint; a −0 would pass the clip
        merged = (
            graph.UnaryOp("relu", inner.value)
            if (low, high) == (0, inf)
            else graph.UnaryOp("clip", inner.value, low, high)
        )
        replace(rewriter, op, merged)


def _clamp_defining(value: SSAValue) -> Clamp | None:
    return clamp_of(value.owner) if isinstance(value.owner, Operation) else None


class GatherToSlice(RewritePattern):
    """Gathering the indices lo, lo + 1, …, hi − 1 is slicing, whatever the shape of the indices."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.GatherOp, rewriter: PatternRewriter) -> None:
        indices, axis, shape = constant_of(op.indices), op.axis.value.data, shape_of(op.input)
        if indices is None or not indices.size:
            return
        low, high = int(indices.reshape(-1)[0]), int(indices.reshape(-1)[-1]) + 1
        if low < 0 or not np.array_equal(indices.reshape(-1), np.arange(low, high)):
            return
        starts, limits = [0] * len(shape), list(shape)
        starts[axis], limits[axis] = low, high
        part = graph.SliceOp(op.input, starts, limits, [1] * len(shape))
        replace(rewriter, op, [part, graph.ReshapeOp(part.result, shape_of(op.result))])


# --- duplicates -----------------------------------------------------------------------------------


def remove_duplicates(module: ModuleOp) -> bool:
    """Let users of an op read an equal, earlier op of the same block; True if there was one."""
    blocks = [block for op in module.walk() for region in op.regions for block in region.blocks]
    changed = [_remove_duplicates_in(block) for block in blocks]
    return any(changed)


def _remove_duplicates_in(block: Block) -> bool:
    found: dict[Hashable, Operation] = {}
    changed = False
    for op in list(block.ops):
        if op.regions or not op.results or not is_side_effect_free(op):
            continue
        first = found.setdefault(_identity_of(op), op)
        if first is op:
            continue
        for mine, earlier in zip(op.results, first.results, strict=True):
            mine.replace_all_uses_with(earlier)
        Rewriter.erase_op(op)
        changed = True
    return changed


def _identity_of(op: Operation) -> Hashable:
    attributes = {k: v for k, v in op.attributes.items() if k != "layer"}
    return (
        type(op),
        tuple(op.operands),
        frozenset(op.properties.items()),
        frozenset(attributes.items()),
        tuple(result.type for result in op.results),
    )
