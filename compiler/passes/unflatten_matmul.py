"""unflatten-matmul: a matmul makes the shape that the ops behind it want.

    %m = matmul (reshape %a to 6×K), %w : 6×N        %m = matmul %a, %w : 2×3×N
    %q = requantize %m                          ⇒    %q = requantize %m
    %r = reshape %q to 2×3×N                         lut %q : 2×3×N
    lut %r : 2×3×N

ONNX Runtime's quantizer, and PyTorch, write a linear layer on [batch, tokens, K] as a Gemm between
two reshapes. These cost nothing, but stand between the matmul and the activation or the residual
addition, which would else ride in its epilogue (`fuse-epilogue`). The reshape moves to the matmul's
input, where it is a view and mostly meets its inverse.

Exact: rows are rows, in whatever shape they lie.
Side conditions: the weight is one constant matrix; the reshape keeps the last axis and makes two to
four axes (a matrix; what kernels see), and something elementwise reads it; between the two are only
elementwise ops of one operand, each with one user; grids of several scales lie along the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, TensorType, i64
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph
from ..dialects.shapes import Shape
from ..dialects.tensors import shape_of, type_of
from .kernel_classes import MATMULS, has_constant_weight, is_elementwise
from .rewriting import inherit_layer, rewrite

_MOST_AXES = 4
_PLAIN = (graph.LutOp, graph.RecodeOp, graph.UnaryOp)


@dataclass(frozen=True)
class Chain:
    """A matmul, and what happens to its result up to a reshape."""

    matmul: graph.MatMulBase
    steps: tuple[Operation, ...]


def chain_before(op: graph.ReshapeOp) -> Chain | None:
    """What `op` reshapes, if it can have the new shape from the start."""
    result = shape_of(op.result)
    keeps_rows = result[-1:] == shape_of(op.input)[-1:]
    is_read = any(is_elementwise(use.operation) for use in op.result.uses)
    if not keeps_rows or not 2 <= len(result) <= _MOST_AXES or not is_read:
        return None
    steps: list[Operation] = []
    value = op.input
    while isinstance(source := value.owner, Operation) and value.has_one_use():
        if isinstance(source, MATMULS):
            known = has_constant_weight(source)
            return Chain(source, tuple(reversed(steps))) if known else None
        if not _keeps_any_shape(source):
            return None
        steps.append(source)
        value = source.operands[0]
    return None


def _keeps_any_shape(op: Operation) -> bool:
    match op:
        case graph.RequantizeOp():
            values = len(op.multipliers)
        case graph.QuantizeOp() | graph.DequantizeOp():
            values = max(len(op.scales), len(op.zero_points))
        case _:
            return isinstance(op, _PLAIN)
    return values == 1 or op.axis.value.data == len(shape_of(op.result)) - 1


def _reshaped(op: Operation, operands: list[SSAValue], shape: Shape) -> Operation:
    """`op` on operands, and with a result, of another shape with the same last axis."""
    properties = dict(op.properties)
    if "axis" in properties:
        properties["axis"] = IntegerAttr(len(shape) - 1, i64)
    element_type = type_of(op.results[0]).element_type
    new = type(op).create(
        operands=operands,
        result_types=[TensorType(element_type, shape)],
        properties=properties,
    )
    inherit_layer(new, op)
    return new


class UnflattenMatMul(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.ReshapeOp, rewriter: PatternRewriter) -> None:
        chain = chain_before(op)
        if chain is None:
            return
        shape, (a, *rest) = shape_of(op.result), chain.matmul.operands
        view = graph.ReshapeOp(a, (*shape[:-1], shape_of(a)[-1]))
        inherit_layer(view, op)
        new: list[Operation] = [view, _reshaped(chain.matmul, [view.result, *rest], shape)]
        for step in chain.steps:
            new.append(_reshaped(step, [new[-1].results[0]], shape))
        rewriter.replace(op, new)
        for old in (*reversed(chain.steps), cast(Operation, chain.matmul)):
            rewriter.erase(old)


@dataclass(frozen=True)
class UnflattenMatMulPass(ModulePass):
    name: ClassVar[str] = "unflatten-matmul"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [UnflattenMatMul()])
