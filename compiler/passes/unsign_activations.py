"""Hold every activation as unsigned codes, as the u8 × s8 dot instructions want them.

    si8 code c with zero point z → ui8 code c + 128 with zero point z + 128, the same real number

    quantize, requantize            zero point, qmin and qmax + 128
    dequantize, qconv2d, qmatmul,
    qsum_pool                       zero point of the activation + 128
    lut                             entries permuted and shifted: t'[i] = t[i ^ 128] ^ 128
    pad                             value + 128
    reshape, concat, max_pool, …    unchanged: they move or compare codes

Exact: (c + 128) − (z + 128) = c − z, and adding 128 keeps the order. `recode` (a flip of the top
bit) stands at si8 inputs and outputs of the model, which keep their type. Weights stay si8, also
those that only a `dequantize` reads; a constant among activations (in a `concat`) is shifted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp, TensorType, f32, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..dialects import graph
from ..dialects.tensors import (
    array_to_numpy,
    dense,
    dense_to_numpy,
    i32_array,
    shape_of,
    si8,
    type_of,
    ui8,
)
from .rewriting import constant_of, inherit_layer

_OFFSET = 128
Properties = dict[str, Attribute]


@dataclass(frozen=True)
class Change:
    """Which operands and whether the result of an op turn from si8 into ui8."""

    operands: tuple[bool, ...]
    result: bool


def _is_signed(value: SSAValue) -> bool:
    return isinstance(value.type, TensorType) and type_of(value).element_type == si8


def _shifted(attribute: IntegerAttr[Any]) -> IntegerAttr[Any]:
    return IntegerAttr(attribute.value.data + _OFFSET, i64)


def _quantize(op: graph.QuantizeOp, change: Change) -> Properties:
    return {
        "zero_point": i32_array(op.zero_points + _OFFSET),
        "qmin": _shifted(op.qmin),
        "qmax": _shifted(op.qmax),
    }


def _requantize(op: graph.RequantizeOp, change: Change) -> Properties:
    return {
        "zero_point": _shifted(op.zero_point),
        "qmin": _shifted(op.qmin),
        "qmax": _shifted(op.qmax),
    }


def _dequantize(op: graph.DequantizeOp, change: Change) -> Properties:
    return {"zero_point": i32_array(op.zero_points + _OFFSET)}


def _convolution(op: graph.QConv2dOp, change: Change) -> Properties:
    zero_points = array_to_numpy(op.input_zero_point)
    return {"input_zero_point": i32_array(zero_points + _OFFSET)} if change.operands[0] else {}


def _sum_pool(op: graph.QSumPoolOp, change: Change) -> Properties:
    return {"input_zero_point": _shifted(op.input_zero_point)} if change.operands[0] else {}


def _matmul(op: graph.QMatMulOp, change: Change) -> Properties:
    properties: Properties = {}
    if change.operands[0]:
        properties["a_zero_point"] = _shifted(op.a_zero_point)
    if change.operands[1]:
        zero_points = np.asarray(graph.ints(op.b_zero_point))
        properties["b_zero_point"] = i32_array(zero_points + _OFFSET)
    return properties


def _lut(op: graph.LutOp, change: Change) -> Properties:
    table = dense_to_numpy(op.table)
    if change.operands[0]:
        table = table[np.arange(256) ^ _OFFSET]
    if change.result:
        table = table.view(np.uint8) ^ np.uint8(_OFFSET)
    return {"table": dense(table)}


def _pad(op: graph.PadOp, change: Change) -> Properties:
    return {"value": FloatAttr(op.value.value.data + _OFFSET, f32)}


def _unchanged(op: Operation, change: Change) -> Properties:
    return {}


_RULES: dict[type[Operation], Callable[[Any, Change], Properties]] = {
    graph.QuantizeOp: _quantize,
    graph.RequantizeOp: _requantize,
    graph.DequantizeOp: _dequantize,
    graph.QConv2dOp: _convolution,
    graph.QSumPoolOp: _sum_pool,
    graph.QMatMulOp: _matmul,
    graph.LutOp: _lut,
    graph.PadOp: _pad,
    **dict.fromkeys(
        (
            graph.MaxPoolOp,
            graph.ReshapeOp,
            graph.TransposeOp,
            graph.ConcatOp,
            graph.SliceOp,
            graph.BroadcastOp,
            graph.GatherOp,
            graph.ResizeNearestOp,
        ),
        _unchanged,
    ),
}


def _reads_weights(op: Operation, index: int) -> bool:
    """Whether operand `index` is a constant that keeps its sign: a weight, or only dequantized."""
    if constant_of(op.operands[index]) is None:
        return False
    is_weight = isinstance(op, graph.QConv2dOp | graph.QMatMulOp) and index == 1
    return is_weight or isinstance(op, graph.DequantizeOp)


class Unsigner:
    """Rewrites one block from top to bottom; `unsigned` maps si8 values to their ui8 twins."""

    def __init__(self, block: Block):
        self.block = block
        self.unsigned: dict[SSAValue, SSAValue] = {}
        self.replaced: list[Operation] = []

    def run(self) -> None:
        for op in list(self.block.ops):
            if isinstance(op, ReturnOp):
                self._restore_signed_operands(op)
            elif isinstance(op, graph.RecodeOp):
                self._look_through(op)
            elif type(op) in _RULES:
                self._rewrite(op)
            elif not isinstance(op, graph.ConstantOp):
                self._restore_signed_operands(op)
        for op in reversed(self.replaced):
            Rewriter.erase_op(op)

    def _insert(self, new: Operation, before: Operation, layer_of: Operation) -> SSAValue:
        inherit_layer(new, layer_of)
        self.block.insert_op_before(new, before)
        return new.results[0]

    def _twin(self, value: SSAValue, user: Operation) -> SSAValue:
        """The ui8 twin of an si8 value, made where `user` first needs it."""
        if value not in self.unsigned:
            constant = constant_of(value)
            if constant is None:
                twin: Operation = graph.RecodeOp(value)
            else:
                twin = graph.ConstantOp(constant.view(np.uint8) ^ np.uint8(_OFFSET))
            self.unsigned[value] = self._insert(twin, user, user)
        return self.unsigned[value]

    def _restore_signed_operands(self, op: Operation) -> None:
        for index, operand in enumerate(op.operands):
            if operand in self.unsigned and isinstance(operand.owner, Operation):
                owner = cast(Operation, self.unsigned[operand].owner)
                op.operands[index] = self._insert(graph.RecodeOp(self.unsigned[operand]), op, owner)

    def _look_through(self, op: graph.RecodeOp) -> None:
        """The two sides of a recode have the same twin."""
        if _is_signed(op.result):
            self.unsigned[op.result] = op.input
        else:
            op.result.replace_all_uses_with(self._twin(op.input, op))
        self.replaced.append(op)

    def _rewrite(self, op: Operation) -> None:
        flags = tuple(
            _is_signed(x) and not _reads_weights(op, i) for i, x in enumerate(op.operands)
        )
        change = Change(flags, _is_signed(op.results[0]))
        if not any(flags) and not change.result:
            return
        operands = [
            self._twin(x, op) if flag else x for x, flag in zip(op.operands, flags, strict=True)
        ]
        old = op.results[0]
        element_type = ui8 if change.result else type_of(old).element_type
        new = type(op).create(
            operands=operands,
            result_types=[TensorType(cast(Any, element_type), shape_of(old))],
            properties={**op.properties, **_RULES[type(op)](op, change)},
            attributes=dict(op.attributes),
        )
        self.block.insert_op_before(new, op)
        if change.result:
            self.unsigned[old] = new.results[0]
        else:
            old.replace_all_uses_with(new.results[0])
        self.replaced.append(op)


@dataclass(frozen=True)
class UnsignActivations(ModulePass):
    name = "unsign-activations"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in op.ops:
            if isinstance(function, FuncOp) and function.body.blocks:
                Unsigner(function.body.block).run()
