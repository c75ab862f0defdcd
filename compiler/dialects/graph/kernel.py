"""Fused kernels: regions of ops that run as one native function."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import IsolatedFromAbove, IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from ..tensors import shape_of
from .base import Tensor


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends the body of a `graph.kernel`."""

    name = "graph.yield"
    values = var_operand_def(Tensor)
    traits = traits_def(IsTerminator())
    assembly_format = "$values attr-dict `:` type($values)"

    def __init__(self, *values: SSAValue):
        super().__init__(operands=[list(values)])


@irdl_op_definition
class KernelOp(IRDLOperation):
    """Ops that become one native kernel: an anchor (contraction, pool, …) and its epilogue.

    The body has the tensor semantics of the ops in it, so fusing cannot change a result: the
    interpreter runs the body, the code generator keeps its values in registers. Operands are
    tensors in memory; constants live inside the body.
    `layer` names the source layer that the counters table reports as EXECUTED."""

    name = "graph.kernel"
    inputs = var_operand_def(Tensor)
    outputs = var_result_def(Tensor)
    body = region_def("single_block")
    traits = traits_def(Pure(), IsolatedFromAbove())

    def __init__(self, inputs: Sequence[SSAValue], result_types: Sequence[Attribute], body: Region):
        super().__init__(operands=[list(inputs)], result_types=[list(result_types)], regions=[body])

    @property
    def block(self) -> Block:
        return self.body.block

    @property
    def yielded(self) -> SSAValue:
        terminator = self.block.last_op
        assert isinstance(terminator, YieldOp)
        return terminator.values[0]

    def verify_(self) -> None:
        terminator = self.block.last_op
        if not isinstance(terminator, YieldOp):
            raise VerifyException("body must end with graph.yield")
        for inner, outer in zip(self.block.args, self.inputs, strict=True):
            if shape_of(inner) != shape_of(outer):
                raise VerifyException(f"argument {inner.type} for operand {outer.type}")
        for value, result in zip(terminator.values, self.outputs, strict=True):
            if shape_of(value) != shape_of(result):
                raise VerifyException(f"yields {value.type} for result {result.type}")
