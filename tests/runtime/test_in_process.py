"""Programs that LLVM places in this process: wherever that has room."""

from __future__ import annotations

import ctypes
import mmap

import lpc.runtime as lpr
import numpy as np
import pytest
from hostile import NORESERVE, PAGE, in_a_child
from lpc.compiler.codegen.jit import JitLibrary
from tiny_models import INFO, expected, program, x

REACH = 1 << 31  # of a 32-bit displacement
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_size_t
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def reserve(size: int) -> int:
    """Address of `size` bytes that nothing else can have."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
    address = int(_LIBC.mmap(None, size, 0, flags, -1, 0))
    assert address % PAGE == 0, "no such room in the address space"
    return address


def scatter_free_memory(hole: int) -> None:
    """Leaves this process holes of `hole` bytes, each out of reach of the others.

    Linux takes the highest hole that is large enough, so holes above the reserved range go first.
    """
    holes = 64
    base = reserve(holes * (REACH + PAGE))
    for size in (1 << 24, 1 << 20, 1 << 16, PAGE):
        while (address := reserve(size)) > base:
            pass
        _LIBC.munmap(address, size)
    for index in range(holes):
        _LIBC.munmap(base + index * (REACH + PAGE), hole)


@pytest.mark.parametrize("pages", [1, 4, 8, 16])
def test_sections_may_find_no_room_beside_each_other(pages: int) -> None:
    compiled = program("sse42", 3)

    def check() -> None:
        scatter_free_memory(pages * PAGE)
        model = lpr.Model(JitLibrary(compiled, INFO).address, "tiny", num_threads=2)
        for seed in range(3):
            np.testing.assert_array_equal(model(x(seed)), expected(x(seed), 3))

    in_a_child(check)


def test_unknown_names_have_no_address() -> None:
    library = JitLibrary(program("sse42", 3), INFO)
    assert library.address("lpc_run")
    assert not library.address("lpc_no_such_function")
