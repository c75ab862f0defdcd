"""The fast verifier refuses what xDSL's refuses, in any op of a kernel, also after good ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from lpc.compiler.codegen.builder import KernelBuilder
from lpc.compiler.dialects import loop
from lpc.compiler.dialects.loop import vector_of
from lpc.compiler.verification import verify
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, f32, i32, i64
from xdsl.ir import Block, ErasedSSAValue, Operation
from xdsl.utils.exceptions import VerifyException

Damage: TypeAlias = Callable[[Operation], None]


def kernel() -> ModuleOp:
    """Two equal rounds of loads, a broadcast, a sum, a conversion and a store, in a loop."""
    b = KernelBuilder("kernel", 2)
    with b.unit_loop() as unit:
        for offset in (0, 64):
            place = b.add(b.mul(unit, 128), offset)
            a = b.load(b.buffers[0], place, vector_of(i32, 16))
            total = b.binary(arith.AddiOp, a, b.splat(b.load(b.buffers[0], 0, i32), 16))
            b.store(b.convert("int_to_float", total, f32), b.buffers[1], place)
    return ModuleOp([b.finish()])


def last(module: ModuleOp, kind: type[Operation]) -> Operation:
    return [op for op in module.walk() if isinstance(op, kind)][-1]


def test_a_good_kernel_passes() -> None:
    module = kernel()
    module.verify()
    verify(module)


def wrong_source(op: Operation) -> None:
    op.operands[0] = Block(arg_types=[f32]).args[0]


def wrong_operand(op: Operation) -> None:
    op.operands[1] = Block(arg_types=[f32]).args[0]


def erased_operand(op: Operation) -> None:
    value = op.operands[1]
    op.operands[1] = ErasedSSAValue(value.type, value)


def unknown_property(op: Operation) -> None:
    op.properties["colour"] = StringAttr("red")


def wrong_conversion(op: Operation) -> None:
    op.properties["kind"] = StringAttr("guess")


def missing_property(op: Operation) -> None:
    op.properties.clear()


def no_constant(op: Operation) -> None:
    op.properties["value"] = StringAttr("seven")


def other_constant(op: Operation) -> None:
    op.properties["value"] = IntegerAttr(7, i64)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        (arith.AddiOp, wrong_operand),
        (arith.AddiOp, erased_operand),
        (arith.AddiOp, unknown_property),
        (loop.ConvertOp, missing_property),
        (arith.ConstantOp, no_constant),
        (arith.ConstantOp, other_constant),
        (loop.StoreOp, wrong_operand),
        (loop.LoadOp, wrong_operand),
        (loop.ConvertOp, wrong_conversion),
        (vector.BroadcastOp, wrong_source),
    ],
)
def test_what_xdsl_refuses_is_refused(kind: type[Operation], damage: Damage) -> None:
    module = kernel()
    damage(last(module, kind))
    with pytest.raises((VerifyException, ValueError)):
        module.verify()
    with pytest.raises((VerifyException, ValueError)):
        verify(module)


def test_a_block_needs_its_terminator() -> None:
    module = kernel()
    end = next(op for op in module.walk() if op.name == "scf.yield")
    block = end.parent
    assert block is not None
    block.detach_op(end)
    with pytest.raises(VerifyException, match="terminat"):
        verify(module)
