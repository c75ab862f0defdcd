"""Runs a model in hostile memory: inputs, outputs and the workspace end (or start) at unmapped
pages, and the workspace is full of garbage. Emulated runs are watched besides (watched.py).

What leaves a process's address space in disorder runs in a child (`in_a_child`)."""

from __future__ import annotations

import ctypes
import mmap
import os
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lpc.runtime import Model
from watched import watched

Array = npt.NDArray[Any]
PAGE = mmap.PAGESIZE
NORESERVE = 0x4000  # what Linux calls MAP_NORESERVE
_LIBC = ctypes.CDLL(None, use_errno=True)


def guarded(shape: Sequence[int], dtype: Any, at_end: bool = True, shift: int = 0) -> Array:
    """An array that ends (or starts) `shift` bytes from an unmapped page."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    room = -(-(size + shift) // PAGE) * PAGE
    memory = mmap.mmap(-1, room + 2 * PAGE)  # the array keeps it, and nothing else
    whole = np.frombuffer(memory, np.uint8)
    for start in (0, PAGE + room):
        status = _LIBC.mprotect(ctypes.c_void_p(whole.ctypes.data + start), PAGE, 0)
        assert status == 0
    start = PAGE + (room - size - shift if at_end else shift)
    return np.asarray(whole[start : start + size].view(dtype).reshape(tuple(shape)))


def guarded_copy(array: Array, at_end: bool = True) -> Array:
    result = guarded(array.shape, array.dtype, at_end)
    result[...] = array
    return result


def run(
    model: Model,
    arrays: Sequence[Array],
    threads: int = 1,
    at_end: bool = True,
    opcodes: Counter[str] | None = None,
) -> list[Array]:
    """One run, inputs and outputs in the model's order. `opcodes` gets what is emulated."""
    model.num_threads = threads
    named = zip(model.inputs, arrays, strict=True)
    inputs = {spec.name: guarded_copy(array, at_end) for spec, array in named}
    out = {s.name: guarded(s.shape, s.dtype, at_end) for s in model.outputs}
    for array in out.values():
        array.reshape(-1).view(np.uint8)[...] = 0xA5
    size = int(model._plan["workspace_size"])
    workspace = guarded((max(size, 64),), np.uint8, at_end)
    workspace[...] = np.random.default_rng(threads).integers(0, 256, len(workspace), np.uint8)
    model._workspaces.clear()
    model._workspaces.append((workspace.ctypes.data, workspace))
    if model._invoke is not None:
        buffers = [workspace, *inputs.values(), *out.values()]
        model._invoke = watched(Path(model._source), buffers, opcodes)
    return list(model.run(inputs, out).values())


def in_a_child(check: Callable[[], None]) -> None:
    """Runs the check in a process of its own, which keeps huge mappings and holes to itself."""
    child = os.fork()
    if child == 0:
        try:
            check()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with status {status:#x}; its error is on stderr"
