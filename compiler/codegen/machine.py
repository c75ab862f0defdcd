"""LLVM IR → optimized IR, assembly and object code for one target.

Run as a program, this file compiles what it reads from its standard input; `pieces.py` does so on
every core. Therefore it imports nothing of lpc.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, Protocol

import llvmlite.binding as llvm


class Cpu(Protocol):
    """What of a `targets.Target` matters here."""

    @property
    def llvm_cpu(self) -> str: ...
    @property
    def llvm_features(self) -> str: ...


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


def target_machine(target: Cpu) -> Any:
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


def optimize(text: str, target: Cpu) -> Any:
    """Parses, verifies and optimizes LLVM IR.

    The generators decide on vectors, tiles and unrolling, so LLVM must not: its loop vectorizer,
    SLP vectorizer and unroller stay off."""
    _initialize()
    module = llvm.parse_assembly(text)
    module.triple = "x86_64-unknown-linux-gnu"
    module.verify()
    machine = target_machine(target)
    module.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    options.loop_interleaving = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def assembly(text: str, target: Cpu) -> str:
    return str(target_machine(target).emit_assembly(optimize(text, target)))


def object_code(text: str, target: Cpu) -> bytes:
    return bytes(target_machine(target).emit_object(optimize(text, target)))


# --- as a program ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _NamedCpu:
    llvm_cpu: str
    llvm_features: str


def send(stream: IO[bytes], data: bytes) -> None:
    """One message: its length in 8 bytes, and the bytes."""
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """The next message; EOFError where there is none, or half of one."""
    head = stream.read(8)
    data = stream.read(int.from_bytes(head, "little")) if len(head) == 8 else b""
    if len(head) < 8 or len(data) < int.from_bytes(head, "little"):
        raise EOFError
    return data


def serve(requests: IO[bytes], answers: IO[bytes], target: Cpu) -> None:
    """Answers every text with its object code, until there are no more."""
    _initialize()
    while True:
        try:
            text = receive(requests).decode()
        except EOFError:
            return
        send(answers, object_code(text, target))


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, _NamedCpu(*sys.argv[1:3]))
