"""packed graph → loop: one kernel function per `graph.kernel`, and the program that calls them.

Kernels whose code is equal share one function: what differs between layers of equal shape (weights,
multipliers, zero points) is in their constants. All constants lie in one blob, equal ones once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, ModuleOp, StringAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from ..dialects import graph
from ..dialects.loop import StepOp
from ..dialects.tensors import Array, shape_of
from ..passes.kernel_classes import CONVOLUTIONS, MATMULS, anchor_of
from ..passes.rewriting import defining, view_source
from .generate import generate_kernel
from .kernels.common import LoweredKernel
from .program import Argument, Step, TargetProgram
from .targets import Target

ALIGNMENT = 64
#: Work (rough cycles) below which waking a second thread costs more than it saves.
_SERIAL_BELOW = 20_000


class Blob:
    """Read-only bytes, 64-byte aligned pieces, each content once."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._offsets: dict[bytes, int] = {}
        self._size = 0

    def add(self, data: Array) -> int:
        content = np.ascontiguousarray(data).tobytes()
        if content not in self._offsets:
            self._offsets[content] = self._size
            padding = -len(content) % ALIGNMENT
            self._pieces += [content, bytes(padding)]
            self._size += len(content) + padding
        return self._offsets[content]

    def bytes(self) -> bytes:
        return b"".join(self._pieces) + bytes(ALIGNMENT)


@dataclass
class LoweredProgram:
    """`module`: the loop-level kernels, preceded by one `loop.step` per step."""

    target: Target
    module: ModuleOp
    steps: list[Step]
    workspace_size: int
    weights: bytes

    def compiled(self, objects: tuple[bytes, ...]) -> TargetProgram:
        """The program with the object code of its kernels."""
        steps = tuple(self.steps)
        return TargetProgram(
            self.target.name, steps, self.workspace_size, self.weights, objects, slack=ALIGNMENT
        )


@dataclass
class _Lowering:
    target: Target
    layer_types: dict[str, str]
    blob: Blob = field(default_factory=Blob)
    functions: dict[tuple[object, ...], FuncOp] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def kernel(self, kernel: graph.KernelOp) -> None:
        lowered = generate_kernel(kernel, self.target)
        arguments = [self.argument(v) for v in (*kernel.inputs, kernel.outputs[0])]
        arguments += [Argument("weights", 0, self.blob.add(c)) for c in lowered.constants]
        layer = kernel.attributes.get("layer")
        name = layer.data if isinstance(layer, StringAttr) else ""
        self.steps.append(
            Step(
                self._shared(lowered),
                lowered.units,
                1 if _work(kernel, lowered) < _SERIAL_BELOW else 1 << 20,
                tuple(arguments),
                name,
                self.layer_types.get(name, ""),
                lowered.exec_type,
            )
        )

    def _shared(self, lowered: LoweredKernel) -> str:
        """Symbol of the function with this code."""
        key = (len(lowered.func.args), *lowered.fingerprint)
        if key not in self.functions:
            symbol = f"lpc_kernel{len(self.functions)}_{self.target.name}"
            lowered.func.properties["sym_name"] = StringAttr(symbol)
            self.functions[key] = lowered.func
        return self.functions[key].sym_name.data

    def argument(self, value: SSAValue) -> Argument:
        source = view_source(value)
        if isinstance(source, BlockArgument):
            return Argument("input", source.index, 0)
        while (concat := defining(source, graph.ConcatOp)) is not None:
            source = concat.inputs[0]  # a concatenation begins where its first part does
        producer: Any = source.owner
        if isinstance(producer, graph.ConstantOp):
            return Argument("weights", 0, self.blob.add(producer.array))
        offset = producer.attributes["offset"].value.data
        if producer.attributes["placement"].data == "output":
            return Argument("output", producer.attributes["index"].value.data, offset)
        return Argument("workspace", 0, offset)


def _work(kernel: graph.KernelOp, lowered: LoweredKernel) -> float:
    """Rough cycles of one call."""
    if not lowered.parallel:
        return 0.0
    elements = sum(prod(shape_of(v)) for v in (*kernel.inputs, *kernel.outputs))
    return elements / 4 + _multiplications(anchor_of(kernel)) / 32


def _multiplications(anchor: Operation) -> int:
    if isinstance(anchor, CONVOLUTIONS):
        return prod(shape_of(anchor.results[0])) * prod(shape_of(anchor.operands[1])[1:])
    if isinstance(anchor, graph.WinogradQConv2dOp):
        return prod(shape_of(anchor.results[0])) * prod(shape_of(anchor.weight)[1:]) // 4
    if isinstance(anchor, MATMULS):
        return prod(shape_of(anchor.results[0])) * shape_of(anchor.operands[0])[-1]
    return 0


def lower_to_loop(module: ModuleOp, target: Target) -> LoweredProgram:
    """Generates all kernels of a packed module."""
    func = next(op for op in module.body.block.ops if isinstance(op, FuncOp))
    layers: Any = func.attributes.get("layers", ArrayAttr([]))
    lowering = _Lowering(target, {row.data[0].data: row.data[1].data for row in layers})
    for op in func.body.block.ops:
        if isinstance(op, graph.KernelOp):
            lowering.kernel(op)
    size: Any = func.attributes["workspace_size"]
    steps = [_step_op(step) for step in lowering.steps]
    result = ModuleOp([*steps, *lowering.functions.values()])
    return LoweredProgram(target, result, lowering.steps, size.value.data, lowering.blob.bytes())


def _step_op(step: Step) -> StepOp:
    buffers = [StringAttr(f"{a.kind}[{a.index}] + {a.offset}") for a in step.arguments]
    return StepOp(
        step.symbol,
        {
            "buffers": ArrayAttr(buffers),
            "units": IntegerAttr(step.units, i64),
            "layer": StringAttr(step.layer),
            "exec_type": StringAttr(step.exec_type),
        },
    )
