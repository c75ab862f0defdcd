"""packed graph → loop: one kernel function per `graph.kernel`, and the program that calls them.

Kernels whose code is equal share one function: what differs between layers of equal shape (weights,
multipliers, zero points) is in their constants. All constants lie in one blob, equal ones once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any, Protocol

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

    module: ModuleOp
    steps: list[Step]
    workspace_size: int
    weights: bytes


class CallableKernel(Protocol):
    """What a step has to know of its kernel."""

    @property
    def constants(self) -> tuple[Array, ...]: ...
    @property
    def units(self) -> int: ...
    @property
    def exec_type(self) -> str: ...
    @property
    def parallel(self) -> bool: ...


class ProgramBuilder:
    """The steps of a packed module, and their constants; kernels are added in order."""

    def __init__(self, module: ModuleOp, target: Target):
        func = _main(module)
        layers: Any = func.attributes.get("layers", ArrayAttr([]))
        size: Any = func.attributes["workspace_size"]
        self._layer_types = {row.data[0].data: row.data[1].data for row in layers}
        self._target, self._workspace_size = target, size.value.data
        self._blob = Blob()
        self.steps: list[Step] = []

    def add(self, kernel: graph.KernelOp, symbol: str, called: CallableKernel) -> None:
        arguments = [self._argument(v) for v in (*kernel.inputs, kernel.outputs[0])]
        arguments += [Argument("weights", 0, self._blob.add(c)) for c in called.constants]
        layer = kernel.attributes.get("layer")
        name = layer.data if isinstance(layer, StringAttr) else ""
        self.steps.append(
            Step(
                symbol,
                called.units,
                1 if _work(kernel, called) < _SERIAL_BELOW else 1 << 20,
                tuple(arguments),
                name,
                self._layer_types.get(name, ""),
                called.exec_type,
            )
        )

    def lowered(self, functions: Iterable[FuncOp]) -> LoweredProgram:
        module = ModuleOp([*map(_step_op, self.steps), *functions])
        return LoweredProgram(module, self.steps, self._workspace_size, self._blob.bytes())

    def compiled(self, objects: tuple[bytes, ...]) -> TargetProgram:
        """The program with the object code of its kernels."""
        name, steps, size = self._target.name, tuple(self.steps), self._workspace_size
        return TargetProgram(name, steps, size, self._blob.bytes(), objects, slack=ALIGNMENT)

    def _argument(self, value: SSAValue) -> Argument:
        source = view_source(value)
        if isinstance(source, BlockArgument):
            return Argument("input", source.index, 0)
        while (concat := defining(source, graph.ConcatOp)) is not None:
            source = concat.inputs[0]  # a concatenation begins where its first part does
        producer: Any = source.owner
        if isinstance(producer, graph.ConstantOp):
            return Argument("weights", 0, self._blob.add(producer.array))
        offset = producer.attributes["offset"].value.data
        if producer.attributes["placement"].data == "output":
            return Argument("output", producer.attributes["index"].value.data, offset)
        return Argument("workspace", 0, offset)


def _work(kernel: graph.KernelOp, called: CallableKernel) -> float:
    """Rough cycles of one call."""
    if not called.parallel:
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
    program, functions = ProgramBuilder(module, target), dict[str, FuncOp]()
    for kernel in kernels_of(module):
        lowered = generate_kernel(kernel, target)
        symbol = name_function(lowered, target)
        functions.setdefault(symbol, lowered.func)
        program.add(kernel, symbol, lowered)
    return program.lowered(functions.values())


def kernels_of(module: ModuleOp) -> Iterator[graph.KernelOp]:
    """In the order in which they run."""
    return (op for op in _main(module).body.block.ops if isinstance(op, graph.KernelOp))


def _main(module: ModuleOp) -> FuncOp:
    return next(op for op in module.body.block.ops if isinstance(op, FuncOp))


def name_function(lowered: LoweredKernel, target: Target) -> str:
    """Gives the function a name that others have exactly if their code is the same."""
    code = repr((len(lowered.func.args), *lowered.fingerprint))
    symbol = f"lpc_kernel_{sha256(code.encode()).hexdigest()[:16]}_{target.name}"
    lowered.func.properties["sym_name"] = StringAttr(symbol)
    return symbol


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
