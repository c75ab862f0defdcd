"""Replace elementwise functions between two 8-bit tensors by a table of 256 codes.

    quantize(f(dequantize(q))) → lut(q; table)       table[c] = quantize(f(dequantize(c)))
    lut(lut(q; t); u)          → lut(q; u ∘ t)
    lut(q; t)                  → q                   if t keeps every code that q can hold

f is any expression of elementwise float ops, scalar constants (also as dequantized codes: ONNX
Runtime's quantizer writes √s of an attention so) and per-tensor quantize, dequantize and lut ops
whose only other leaf is q; q may occur several times. Roundings inside f are kept: the
Swish of ONNX Runtime's quantizer is one table,

    quantize(mul(dequantize(q), dequantize(quantize(sigmoid(dequantize(q))))))

Exact: the interpreter computes the table by running the expression itself on all 256 codes.
Side conditions: every value has the shape of q; grids are per-tensor; constants are uniform.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.tensors import (
    Array,
    all_codes,
    dense_to_numpy,
    is_code,
    shape_of,
    tensor_type,
    type_of,
    value_dtype,
)
from ..interpreters.graph import run_graph
from .grids import Grid, code_bounds
from .rewriting import constant_of, defining, forward, inherit_layer, replace, rewrite

_FLOAT_OPS = (graph.UnaryOp, graph.BinaryOp)
_CODE_OPS = (graph.QuantizeOp, graph.LutOp, graph.RecodeOp)


@dataclass
class Expression:
    """Elementwise ops that end in `root`, down to 8-bit leaves."""

    root: graph.QuantizeOp
    ops: set[Operation] = field(default_factory=set)
    leaves: set[SSAValue] = field(default_factory=set)

    def grow(self, op: Operation) -> bool:
        """Take `op` and its sources, down to codes; False if one of them is not elementwise."""
        if op in self.ops:
            return True
        if not _is_elementwise(op) or shape_of(op.results[0]) != shape_of(self.root.result):
            return False
        self.ops.add(op)
        return all(self._reach(operand) for operand in op.operands)

    def _reach(self, value: SSAValue) -> bool:
        scalar = _scalar(value)
        if scalar:
            self.ops.update(scalar)
            return True
        if is_code(value):
            self.leaves.add(value)
            return True
        return isinstance(value.owner, Operation) and self.grow(value.owner)

    @property
    def work(self) -> list[Operation]:
        """What computes, in order, apart from changes between codes and reals."""
        apart = (graph.ConstantOp, graph.QuantizeOp, graph.DequantizeOp)
        return [op for op in _in_order(self.ops, self.root) if not isinstance(op, apart)]

    def expand_latest_leaf(self) -> bool:
        """Take the op that computes the latest leaf; False if no leaf can be taken."""
        computed = [leaf.owner for leaf in self.leaves if isinstance(leaf.owner, _CODE_OPS)]
        if not computed:
            return False
        block = cast(Block, self.root.parent)
        latest = max(computed, key=block.get_operation_index)
        self.leaves.remove(latest.results[0])
        return self.grow(latest)


def _scalar(value: SSAValue) -> tuple[Operation, ...]:
    """The ops that make `value` if it is one number everywhere, whatever its shape; else none."""
    match value.owner:
        case graph.ConstantOp() as constant if _is_uniform(constant.array):
            return (constant,)
        case graph.DequantizeOp() as op if Grid.of(op).is_per_tensor:
            codes = _scalar(op.input)
            return (*codes, op) if codes else ()
    return ()


def _is_uniform(array: Array) -> bool:
    return array.size > 0 and bool(np.all(array == array.reshape(-1)[0]))


def _is_elementwise(op: Operation) -> bool:
    if isinstance(op, graph.QuantizeOp | graph.DequantizeOp):
        return Grid.of(op).is_per_tensor
    return isinstance(op, (*_FLOAT_OPS, *_CODE_OPS))


def function_of_one_tensor(root: graph.QuantizeOp) -> Expression | None:
    """The smallest expression that computes `root` from a single 8-bit tensor."""
    expression = Expression(root)
    grown = expression.grow(root)
    while grown and len(expression.leaves) > 1:
        grown = expression.expand_latest_leaf()
    return expression if grown and len(expression.leaves) == 1 else None


def tabulate(expression: Expression) -> Array:
    """The table of the expression: its ops, run by the interpreter on every code."""
    (leaf,) = expression.leaves
    block = Block(arg_types=[tensor_type((256,), value_dtype(leaf))])
    values: dict[SSAValue, SSAValue] = {leaf: block.args[0]}
    for op in _in_order(expression.ops, expression.root):
        copy = _on_256_elements(op, [values[operand] for operand in op.operands])
        block.add_op(copy)
        values[op.results[0]] = copy.results[0]
    result = values[expression.root.result]
    block.add_op(ReturnOp(result))
    function = FuncOp("main", ([block.args[0].type], [result.type]), Region(block))
    (table,) = run_graph(ModuleOp([function]), [all_codes(value_dtype(leaf))])
    return table


def _in_order(ops: Iterable[Operation], root: Operation) -> list[Operation]:
    block = cast(Block, root.parent)
    return sorted(ops, key=block.get_operation_index)


def _on_256_elements(op: Operation, operands: list[SSAValue]) -> Operation:
    if isinstance(op, graph.ConstantOp):
        return graph.ConstantOp(np.repeat(op.array.reshape(-1)[:1], 256))
    element_type = cast(Any, type_of(op.results[0]).element_type)
    return type(op).create(
        operands=operands,
        result_types=[TensorType(element_type, [256])],
        properties=dict(op.properties),
    )


class Tabulate(RewritePattern):
    """quantize(f(dequantize(q))) → lut(q)."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        expression = function_of_one_tensor(op)
        if expression is None:
            return
        (source,) = expression.leaves
        table = graph.LutOp(source, tabulate(expression))
        for work in expression.work[-1:]:
            inherit_layer(table, work)
        replace(rewriter, op, table)


class ComposeTables(RewritePattern):
    """lut(lut(q; t); u) → lut(q; u ∘ t)."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.LutOp, rewriter: PatternRewriter) -> None:
        inner = defining(op.input, graph.LutOp)
        if inner is None:
            return
        codes = dense_to_numpy(inner.table).view(np.uint8)
        replace(rewriter, op, graph.LutOp(inner.input, dense_to_numpy(op.table)[codes]))


class DropIdentity(RewritePattern):
    """lut(q) → q when no code that q can hold changes."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.LutOp, rewriter: PatternRewriter) -> None:
        if op.input.type != op.result.type or constant_of(op.input) is not None:
            return
        low, high = code_bounds(op.input)
        codes = np.arange(low, high + 1).astype(value_dtype(op.input))
        if np.array_equal(dense_to_numpy(op.table)[codes.view(np.uint8)], codes):
            forward(rewriter, op, op.input)


@dataclass(frozen=True)
class TabulateUnary(ModulePass):
    name = "tabulate-unary"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [Tabulate(), ComposeTables(), DropIdentity()])
