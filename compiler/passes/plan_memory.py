"""plan-memory: a place for every tensor between kernels.

    graph.kernel … {placement = "workspace", offset = 4096 : i64, …}
    graph.kernel … {placement = "output", index = 0 : i64, offset = 0 : i64, …}

Tensors live from their kernel to their last reader (views count as readers of what they view), and
concatenations in place from the first kernel that writes a part to the last that reads one or the
whole. One arena holds them all: largest first, each at the lowest offset where it overlaps no
tensor that lives at the same time. Results of the model are written to the caller's buffers
directly; `index` says to which. A part lies in its whole, behind the channels before it. Every
other tensor has `SLACK` bytes after it that kernels may read, and starts at a 64-byte boundary.

The func gets `workspace_size`: the peak, and all the memory an inference uses.
"""

from __future__ import annotations

from collections.abc import Collection
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
from .places import place_of
from .rewriting import returned_values, view_source

ALIGNMENT = 64


@dataclass
class _Tensor:
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


def live_tensors(block: Block, returned: Collection[SSAValue]) -> dict[SSAValue, _Tensor]:
    """Workspace tensors with the first and last kernel (by number) that touch them."""
    tensors: dict[SSAValue, _Tensor] = {}
    for number, op in enumerate(block.ops):
        if not isinstance(op, graph.KernelOp):
            continue
        for value in (*op.operands, op.outputs[0]):
            whole = place_of(value).whole
            if whole in tensors:
                tensors[whole].last = number
        if whole not in returned:
            tensors.setdefault(whole, _Tensor(byte_size(whole), number, number))
    return tensors


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


def _locate(
    kernel: graph.KernelOp, results: list[SSAValue], tensors: dict[SSAValue, _Tensor]
) -> None:
    value = kernel.outputs[0]
    place = place_of(value)
    offset = place.channel * value_dtype(value).itemsize
    if place.whole in tensors:
        kernel.attributes["placement"] = StringAttr("workspace")
        offset += tensors[place.whole].offset
    else:
        kernel.attributes["placement"] = StringAttr("output")
        kernel.attributes["index"] = IntegerAttr(results.index(place.whole), i64)
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
        block = func.body.block
        results = [view_source(v) for v in returned_values(block)]
        tensors = live_tensors(block, results)
        func.attributes["workspace_size"] = IntegerAttr(place(list(tensors.values())), i64)
        for op in block.ops:
            if isinstance(op, graph.KernelOp):
                _locate(op, results, tensors)
