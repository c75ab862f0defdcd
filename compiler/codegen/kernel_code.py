"""Kernels of the packed graph → object code, on all cores.

    graph.kernel ─ loop ─ isa ─ LLVM IR ─ object code

A kernel takes this way alone, whichever process it is in: it is sent there as a module that holds
nothing else (`_alone`). Kernels that look alike are one job, so that code they share is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Region, SSAValue

from ..collector import collector_paused
from ..dialects import graph
from ..dialects.tensors import Array
from ..parallel import Helpers, Parallel
from ..passes.kernel_classes import anchor_of
from ..passes.select_instructions import SelectInstructions
from ..verification import verify
from . import machine
from .emitter import emit_kernels, module_text
from .generate import generate_kernel
from .lower import ProgramBuilder, kernels_of, name_function
from .program import TargetProgram
from .targets import Target

#: Whether selected instructions are verified here (tests do), not only what LLVM makes of them.
VERIFIES = False
#: What it takes to make a kernel that is like no other, and one whose code is there already.
_SECONDS_OF_NEW, _SECONDS_OF_KNOWN = 0.1, 0.03


@dataclass(frozen=True)
class KernelCode:
    """What a program needs of a kernel (codegen/kernels/common.py), and its object code, unless a
    kernel before it in its job has the same."""

    symbol: str
    constants: tuple[Array, ...]
    units: int
    exec_type: str
    parallel: bool
    code: bytes | None


def compile_program(
    module: ModuleOp, target: Target, helpers: Helpers | None = None
) -> TargetProgram:
    """All kernels of a packed module."""
    kernels = list(kernels_of(module))
    alike: dict[object, list[int]] = {}
    for number, kernel in enumerate(kernels):
        alike.setdefault(_likeness(kernel), []).append(number)
    codes: dict[int, KernelCode] = {}
    with Parallel(compile_kernels, helpers) as work:
        for numbers in alike.values():
            seconds = _SECONDS_OF_NEW + _SECONDS_OF_KNOWN * (len(numbers) - 1)
            work.add(seconds, [_alone(kernels[number]) for number in numbers], target)
        for numbers, results in zip(alike.values(), work.results(), strict=True):
            codes.update(zip(numbers, results, strict=True))
    program = ProgramBuilder(module, target)
    objects: dict[str, bytes] = {}
    for number, kernel in enumerate(kernels):
        code = codes[number]
        program.add(kernel, code.symbol, code)
        if code.code is not None:
            objects.setdefault(code.symbol, code.code)
    return program.compiled(tuple(objects.values()))


def _likeness(kernel: graph.KernelOp) -> object:
    """Equal for kernels that may have the same code."""
    values = (*kernel.inputs, *kernel.outputs)
    return (anchor_of(kernel).name, *(value.type for value in values))


def _alone(kernel: graph.KernelOp) -> ModuleOp:
    """A module of a copy of the kernel, and of the constants that it reads."""
    block, copies = Block(), dict[SSAValue, SSAValue]()
    for value in kernel.operands:
        if isinstance(value.owner, graph.ConstantOp):
            if value not in copies:
                block.add_op(value.owner.clone(copies))
        elif value not in copies:
            copies[value] = block.insert_arg(value.type, len(block.args))
    block.add_op(kernel.clone(copies))
    return ModuleOp(Region(block))


def compile_kernels(modules: Sequence[ModuleOp], target: Target) -> list[KernelCode]:
    """The kernel of each module."""
    with collector_paused():
        known: set[str] = set()
        return [_compiled(module, target, known) for module in modules]


def _compiled(module: ModuleOp, target: Target, known: set[str]) -> KernelCode:
    kernel = module.body.block.last_op
    assert isinstance(kernel, graph.KernelOp)
    lowered = generate_kernel(kernel, target)
    symbol = name_function(lowered, target)
    code = None
    if symbol not in known:
        known.add(symbol)
        own = ModuleOp([lowered.func])
        SelectInstructions(target.name).apply(Context(), own)
        if VERIFIES:
            verify(own)
        code = machine.object_code(module_text(emit_kernels(own, target)), target)
    return KernelCode(
        symbol, lowered.constants, lowered.units, lowered.exec_type, lowered.parallel, code
    )
