"""What every rewrite needs: constants as numpy arrays, source-layer names, a greedy driver.

An op made by a rewrite belongs to the source layer of the op it replaces: `replace` and
`inherit_layer` see to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, OpResult, Region, SSAValue
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
)

from ..dialects import graph
from ..dialects.tensors import Array, shape_of

OpT = TypeVar("OpT", bound=Operation)


def defining(value: SSAValue | None, kind: type[OpT]) -> OpT | None:
    """The op of class `kind` that computes `value`, if there is one."""
    if not isinstance(value, OpResult) or not isinstance(value.op, kind):
        return None
    return value.op


def constant_of(value: SSAValue | None) -> Array | None:
    """The elements of a value that `graph.constant` defines, as a read-only view."""
    constant = defining(value, graph.ConstantOp)
    return None if constant is None else constant.array


def view_source(value: SSAValue) -> SSAValue:
    """What a chain of reshapes looks at."""
    while (reshape := defining(value, graph.ReshapeOp)) is not None:
        value = reshape.input
    return value


def returned_values(block: Block) -> list[SSAValue]:
    terminator = block.last_op
    assert isinstance(terminator, ReturnOp)
    return list(terminator.arguments)


def inherit_layer(new: Operation, old: Operation) -> None:
    """Give `new` the source layer of `old`. A constant has none, and one already set stays."""
    if isinstance(new, graph.ConstantOp) or "layer" not in old.attributes:
        return
    new.attributes.setdefault("layer", old.attributes["layer"])


def copy_kernel(value: SSAValue, layer_of: Operation) -> graph.KernelOp:
    """A kernel that copies `value`, in the source layer of `layer_of`."""
    body = Block(arg_types=[value.type])
    copy = graph.ReshapeOp(body.args[0], shape_of(value))
    body.add_ops([copy, graph.YieldOp(copy.result)])
    kernel = graph.KernelOp([value], [value.type], Region(body))
    inherit_layer(kernel, layer_of)
    return kernel


def replace(
    rewriter: PatternRewriter,
    old: Operation,
    new: Operation | Sequence[Operation],
    results: Sequence[SSAValue] | None = None,
) -> None:
    """Put `new` in the place of `old`, in its source layer. `results`: those of the last new op."""
    ops = [new] if isinstance(new, Operation) else list(new)
    for op in ops:
        inherit_layer(op, old)
    rewriter.replace(old, ops, results)


def forward(rewriter: PatternRewriter, old: Operation, value: SSAValue) -> None:
    """Let the users of `old`'s only result read `value` instead."""
    rewriter.replace(old, [], [value])


def rewrite(module: ModuleOp, patterns: Iterable[RewritePattern]) -> bool:
    """Apply `patterns` until none matches; True if one did. Dead pure ops go on the way."""
    applier = GreedyRewritePatternApplier(list(patterns))
    return PatternRewriteWalker(applier).rewrite_module(module)
