"""LLVM IR → optimized IR, assembly and object code for one target."""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.binding as llvm

from .targets import Target


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


def target_machine(target: Target) -> Any:
    """Position-independent x86-64 code for the target's instruction set."""
    _initialize()
    triple = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    return triple.create_target_machine(
        cpu=target.llvm_cpu,
        features=target.llvm_features,
        opt=3,
        reloc="pic",
        codemodel="small",
    )


def optimize(text: str, target: Target) -> Any:
    """Parses, verifies and optimizes LLVM IR.

    Each function goes once through LLVM's simplification, whose cleaning up and hoisting is all
    that kernels need: the pipeline for modules does most of that twice, for code that is as fast.
    The generators decide on vectors, which this pipeline does not make, and on unrolling."""
    _initialize()
    module = llvm.parse_assembly(text)
    module.triple = "x86_64-unknown-linux-gnu"
    module.verify()
    machine = target_machine(target)
    module.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    simplification = builder.getFunctionPassManager()
    for function in module.functions:
        if not function.is_declaration:
            simplification.run(function, builder)
    return module


def assembly(text: str, target: Target) -> str:
    return str(target_machine(target).emit_assembly(optimize(text, target)))


def object_code(text: str, target: Target) -> bytes:
    return bytes(target_machine(target).emit_object(optimize(text, target)))
