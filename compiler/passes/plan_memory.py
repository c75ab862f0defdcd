"""plan-memory: a place for every tensor between kernels.

    graph.kernel … {placement = "workspace", offset = 4096 : i64, …}

Tensors live from their kernel to their last reader (views count as readers of what they view). One
arena holds them all: largest first, each at the lowest offset where it overlaps no tensor that
lives at the same time. Results of the model are written to the caller's buffers directly. Every
tensor has `SLACK` bytes after it that kernels may read, and starts at a 64-byte boundary.

The func gets `workspace_size`: the peak, and all the memory an inference uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue
from xdsl.passes import ModulePass

from ..dialects import graph
from ..dialects.layout import SLACK, Layout
from ..dialects.tensors import type_of, value_dtype
from .rewriting import defining, returned_values, view_source

ALIGNMENT = 64


@dataclass
class _Tensor:
    kernel: graph.KernelOp
    size: int
    first: int
    last: int
    offset: int = 0

    def overlaps(self, other: _Tensor) -> bool:
        return self.first <= other.last and other.first <= self.last


def byte_size(value: SSAValue) -> int:
    layout = Layout.of_type(type_of(value))
    size = layout.size * value_dtype(value).itemsize + SLACK
    return -(-size // ALIGNMENT) * ALIGNMENT


def live_tensors(block: Block, returned: set[SSAValue]) -> list[_Tensor]:
    """Workspace tensors with the first and last kernel (by number) that touch them."""
    tensors: dict[SSAValue, _Tensor] = {}
    for number, op in enumerate(block.ops):
        if not isinstance(op, graph.KernelOp):
            continue
        for operand in op.operands:
            source = view_source(operand)
            if source in tensors:
                tensors[source].last = number
        result = op.outputs[0]
        if result not in returned:
            tensors[result] = _Tensor(op, byte_size(result), number, number)
    return list(tensors.values())


def place(tensors: list[_Tensor]) -> int:
    """Sets offsets; returns the arena's size."""
    placed: list[_Tensor] = []
    for tensor in sorted(tensors, key=lambda t: (-t.size, t.first)):
        neighbours = sorted((p for p in placed if p.overlaps(tensor)), key=lambda p: p.offset)
        offset = 0
        for neighbour in neighbours:
            if offset + tensor.size <= neighbour.offset:
                break
            offset = max(offset, neighbour.offset + neighbour.size)
        tensor.offset = offset
        placed.append(tensor)
    return max((t.offset + t.size for t in tensors), default=0)


def _locate(kernel: graph.KernelOp, placement: str, offset: int) -> None:
    kernel.attributes["placement"] = StringAttr(placement)
    kernel.attributes["offset"] = IntegerAttr(offset, i64)


@dataclass(frozen=True)
class PlanMemory(ModulePass):
    name: ClassVar[str] = "plan-memory"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for func in op.body.block.ops:
            if isinstance(func, FuncOp):
                self._plan(func)

    @staticmethod
    def _plan(func: FuncOp) -> None:
        results = [view_source(v) for v in returned_values(func.body.block)]
        for index, value in enumerate(results):
            kernel = defining(value, graph.KernelOp)
            assert kernel is not None
            _locate(kernel, "output", index)
        tensors = live_tensors(func.body.block, set(results))
        func.attributes["workspace_size"] = IntegerAttr(place(tensors), i64)
        for tensor in tensors:
            _locate(tensor.kernel, "workspace", tensor.offset)
