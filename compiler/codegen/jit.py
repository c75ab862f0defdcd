"""Run a program inside this process, without a linker.

The object code of the kernels and the same support code as in a library go to LLVM's JITLink;
weights stay where they are.  `JitLibrary.address` answers for the names of lpc.h, so that the
runtime treats it like a loaded library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt

from .library import WEIGHTS_ALIGNMENT, lpc_version
from .objects import baseline_machine, emit_object
from .program import LibraryInfo, ReadableBytes, TargetProgram, as_array
from .tables import EXPORTS, sorted_programs, support_object, tables_text

# Threads of a library's pool sleep in its code, so code lives as long as the process (a shared
# library is linked with -z nodelete for the same reason).
_KEPT: list[Any] = []


class JitLibrary:
    """One compiled program, loaded. The process keeps its code and weights until it ends."""

    def __init__(self, program: TargetProgram, info: LibraryInfo):
        weights = _aligned(program.weights)
        _KEPT.append(weights)
        constant = f"inttoptr (i64 {weights.ctypes.data} to ptr)"
        tables = tables_text(sorted_programs([program]), info, lpc_version(), [constant])
        objects = [emit_object(tables), support_object(), *program.objects]
        self._addresses = addresses_of(EXPORTS, objects)

    def address(self, name: str) -> int:
        """Address of an entry point; 0 for an unknown name."""
        return self._addresses.get(name, 0)


def addresses_of(names: Sequence[str], objects: Sequence[bytes]) -> dict[str, int]:
    """Where these functions are once the objects are linked with each other, in this process.

    Not by MCJIT, which places each section of an object wherever the process has room, and aborts
    if that is out of reach of the others: JITLink places an object as a whole.
    """
    builder = llvm.JITLibraryBuilder().add_current_process()  # for libc
    for content in objects:
        builder.add_object_img(content)
    for name in names:
        builder.export_symbol(name)
    jit = llvm.create_lljit_compiler(baseline_machine(), use_jit_link=True)
    linked = builder.link(jit, "objects")
    _KEPT.append((jit, linked))
    return {name: int(linked[name]) for name in names}


def _aligned(blob: ReadableBytes) -> npt.NDArray[np.uint8]:
    """The blob at an aligned address; copied only if it lies elsewhere."""
    data = as_array(blob)
    if data.nbytes and data.ctypes.data % WEIGHTS_ALIGNMENT == 0:
        return data
    room = np.empty(data.nbytes + WEIGHTS_ALIGNMENT, np.uint8)
    aligned = room[-room.ctypes.data % WEIGHTS_ALIGNMENT :][: data.nbytes]
    aligned[:] = data
    return aligned
