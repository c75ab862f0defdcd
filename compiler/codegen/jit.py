"""Run a program inside this process, without a linker.

The object code of the kernels and the same support code as in a library go to LLVM's JITLink;
weights stay where they are.  `JitLibrary.address` answers for the names of lpc.h, so that the
runtime treats it like a loaded library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .library import WEIGHTS_ALIGNMENT, lpc_version
from .native import addresses_of
from .objects import emit_object
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


def _aligned(blob: ReadableBytes) -> npt.NDArray[np.uint8]:
    """The blob at an aligned address; copied only if it lies elsewhere."""
    data = as_array(blob)
    if data.nbytes and data.ctypes.data % WEIGHTS_ALIGNMENT == 0:
        return data
    room = np.empty(data.nbytes + WEIGHTS_ALIGNMENT, np.uint8)
    aligned = room[-room.ctypes.data % WEIGHTS_ALIGNMENT :][: data.nbytes]
    aligned[:] = data
    return aligned
