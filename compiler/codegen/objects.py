"""Text of an LLVM module → x86-64 object code, for the parts of a library that are the same on all
targets: tables, executor, thread pool, weights."""

from __future__ import annotations

from functools import cache

import llvmlite.binding as llvm

TRIPLE = "x86_64-unknown-linux-gnu"


@cache
def _initialize() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()  # for `cpuid` and `xgetbv`


def baseline_machine() -> llvm.TargetMachine:
    """Position-independent code for any x86-64."""
    _initialize()
    target = llvm.Target.from_triple(TRIPLE)
    return target.create_target_machine(cpu="x86-64", opt=2, reloc="pic", codemodel="default")


def parse_optimized(text: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def emit_object(text: str) -> bytes:
    machine = baseline_machine()
    data: bytes = machine.emit_object(parse_optimized(text, machine))
    return data
