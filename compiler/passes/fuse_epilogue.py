"""fuse-epilogue: ops become `graph.kernel`s, an anchor with the elementwise ops around it.

    %a = graph.qconv2d %x, %w, %b          %q = graph.kernel %x, %r {
    %q0 = graph.requantize %a                 qconv2d, requantize, dequantize,
    %s = graph.dequantize %q0         ⇒       dequantize %r, add, unary relu, quantize
    %t = graph.dequantize %r               }
    %u = graph.add %s, %t
    %v = graph.unary %u {kind = "relu"}
    %q = graph.quantize %v

Forward, a kernel takes its only user as long as that is elementwise and keeps the shape. Sideways,
it takes the dequantize (or table) that turns an operand's codes into reals: bytes travel through
memory, not floats. Backward, pools, row ops and movement take such producers the same way. A kernel
that would end in a dequantize hands it to the consumers that can take it.

Nothing is rounded differently: the body is the same ops in the same order (numeric contract 5).
Reshapes stay outside: they are views, unless layouts make them copies (assign-layouts).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, OpResult, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..dialects import graph
from ..dialects.shapes import Shape
from ..dialects.tensors import is_code, shape_of
from .kernel_classes import (
    ANCHORS,
    MATMULS,
    MOVEMENT,
    POOLS,
    ROWS,
    has_constant_weight,
    is_channel_constant,
    is_channel_gather,
    is_elementwise,
)
from .rewriting import constant_of, defining

_CHEAP = (graph.DequantizeOp, graph.LutOp, graph.RecodeOp, graph.CastOp)


@dataclass
class _Group:
    """The ops of one kernel in order; `anchor` names its source layer."""

    anchor: Operation
    ops: list[Operation] = field(default_factory=list)

    @property
    def result(self) -> SSAValue:
        return self.ops[-1].results[0]


def only_user(value: SSAValue) -> Operation | None:
    users = {use.operation for use in value.uses}
    return next(iter(users)) if len(users) == 1 else None


def takes_producers(op: Operation) -> bool:
    """Whether an anchor can compute its operand from codes while loading it."""
    return isinstance(op, (*POOLS, *ROWS))


def _is_held(shape: Shape, result: Shape) -> bool:
    """Whether an operand is as large as the result, or one value per channel of a whole image.

    Kernels convert the latter, such as a gate, once for a row of pixels."""
    return shape == result or (
        len(shape) == len(result) == 4 and shape[1:] == (1, 1, result[3]) and result[3] > 1
    )


def is_deferred(op: Operation) -> bool:
    """A cheap producer of reals from codes, all of whose users will take a copy of it."""
    return (
        isinstance(op, _CHEAP)
        and is_code(op.operands[0])
        and op.results[0].type != op.operands[0].type
        and all(
            takes_producers(use.operation)
            or (
                is_elementwise(use.operation)
                and _is_held(shape_of(op.results[0]), shape_of(use.operation.results[0]))
            )
            for use in op.results[0].uses
        )
        and bool(list(op.results[0].uses))
    )


class _Fuser:
    def __init__(self, block: Block):
        self.block = block
        self.taken: set[Operation] = set()

    def run(self) -> None:
        for op in list(self.block.ops):
            if op in self.taken or not self._starts_kernel(op):
                continue
            if not op.results[0].uses:
                continue  # all its users took copies
            group = self._grow(op)
            self._outline(group)
        for op in reversed(list(self.block.ops)):
            # Producers that every user copied.
            if op.results and not op.results[0].uses and isinstance(op, graph.GraphOp):
                Rewriter.erase_op(op)

    def _starts_kernel(self, op: Operation) -> bool:
        if isinstance(op, graph.ReshapeOp):
            return False
        if isinstance(op, graph.ConcatOp) and _gathered_concat(op.result) is not None:
            return False
        return isinstance(op, ANCHORS) or (is_elementwise(op) and not is_deferred(op))

    def _grow(self, anchor: Operation) -> _Group:
        group = _Group(anchor, [anchor])
        while (user := only_user(group.result)) is not None and self._absorbs(group, user):
            group.ops.append(user)
        self._drop_trailing_dequantize(group)
        return group

    def _absorbs(self, group: _Group, user: Operation) -> bool:
        if not is_elementwise(user) or user in self.taken or user.parent is not self.block:
            return False
        if shape_of(user.results[0]) != shape_of(group.result):
            return False
        if isinstance(group.anchor, MOVEMENT):
            return False
        if _is_depthwise(group.anchor):
            # Depthwise sums hold channels in another order: only constants join them.
            return all(v is group.result or is_channel_constant(v) for v in user.operands)
        return not (isinstance(group.anchor, ROWS) and not _keeps_rows(group.anchor))

    def _drop_trailing_dequantize(self, group: _Group) -> None:
        last = group.ops[-1]
        if len(group.ops) > 1 and isinstance(last, graph.DequantizeOp) and is_deferred(last):
            group.ops.pop()

    # --- outlining --------------------------------------------------------------------------------

    def _outline(self, group: _Group) -> None:
        """Moves the group's ops into a kernel at the place of its last op."""
        result, last = group.result, group.ops[-1]
        inside = set(group.ops)
        self.taken |= inside
        ordered: list[Operation] = []
        self._pull_concat(group.anchor, ordered)
        for op in group.ops:
            for operand in op.operands:
                self._pull(operand, inside, ordered)
            ordered.append(op)
        inputs = list(
            dict.fromkeys(v for op in ordered for v in op.operands if self._is_input(v, ordered))
        )
        body = Block(arg_types=[v.type for v in inputs])
        kernel = graph.KernelOp(inputs, [result.type], Region(body))
        if "layer" in group.anchor.attributes:
            kernel.attributes["layer"] = group.anchor.attributes["layer"]
        self.block.insert_op_after(kernel, last)
        result.replace_all_uses_with(kernel.outputs[0])
        mapping: dict[SSAValue, SSAValue] = dict(zip(inputs, body.args, strict=True))
        for op in ordered:
            self._copy(op, body, mapping)
        body.add_op(graph.YieldOp(mapping[result]))
        for op in reversed(group.ops):
            Rewriter.erase_op(op)

    def _pull(self, value: SSAValue, inside: set[Operation], ordered: list[Operation]) -> None:
        """Copies of cheap producers (and, for those, of their own cheap producers) go in first."""
        if not isinstance(value, OpResult) or value.op in inside or value.op in ordered:
            return
        producer = value.op
        if isinstance(producer, _CHEAP) and is_deferred(producer):
            self._pull(producer.operands[0], inside, ordered)
            ordered.append(producer)

    def _pull_concat(self, anchor: Operation, ordered: list[Operation]) -> None:
        """Channels that are chosen from a concat are read where they come from."""
        if is_channel_gather(anchor) and (concat := _gathered_concat(anchor.input)) is not None:
            ordered.append(concat)

    def _is_input(self, value: SSAValue, ordered: list[Operation]) -> bool:
        if isinstance(value, OpResult) and value.op in ordered:
            return False
        return not _embedded(value, ordered)

    def _copy(self, op: Operation, body: Block, mapping: dict[SSAValue, SSAValue]) -> None:
        for operand in op.operands:
            if operand not in mapping and (constant := defining(operand, graph.ConstantOp)):
                copy = constant.clone()
                body.add_op(copy)
                mapping[operand] = copy.result
        clone = op.clone(value_mapper=mapping)
        body.add_op(clone)
        mapping[op.results[0]] = clone.results[0]


def _embedded(value: SSAValue, ordered: list[Operation]) -> bool:
    """Constants that live inside the kernel: weights, indices, and one value per channel."""
    if constant_of(value) is None:
        return False
    users = [op for op in ordered if value in op.operands]
    if isinstance(users[0], MATMULS) and not has_constant_weight(users[0]):
        return value not in users[0].operands[:2]
    if isinstance(users[0], MOVEMENT):
        return isinstance(users[0], graph.GatherOp) and value is not users[0].input
    return is_channel_constant(value) or any(
        has_constant_weight(op) and value in op.operands[1:] for op in users
    )


def _gathered_concat(value: SSAValue) -> graph.ConcatOp | None:
    """The concat of codes along the last axis that makes `value`, if readers choose channels."""
    concat = defining(value, graph.ConcatOp)
    if concat is None or not is_code(value):
        return None
    last = concat.axis.value.data == len(shape_of(value)) - 1
    chosen = all(is_channel_gather(use.operation) and use.index == 0 for use in value.uses)
    return concat if last and chosen else None


def _is_depthwise(op: Operation) -> bool:
    return isinstance(op, graph.QConv2dOp) and op.is_depthwise


def _keeps_rows(op: Operation) -> bool:
    return isinstance(op, graph.SoftmaxOp | graph.LayerNormOp)


@dataclass(frozen=True)
class FuseEpilogue(ModulePass):
    name: ClassVar[str] = "fuse-epilogue"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for func in op.body.block.ops:
            if isinstance(func, FuncOp):
                _Fuser(func.body.block).run()
