"""Functions that the compiler itself calls: built as kernels are, and compiled for this CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import llvmlite.binding as llvm
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from ..dialects.tensors import Array
from . import machine
from .emitter import emit_kernels, module_text
from .host import native_target
from .objects import baseline_machine

#: A function of arrays, one for each of its kernel's buffers. It does not check their sizes.
NativeFunction: TypeAlias = Callable[..., None]

# Code lives as long as the process.
_KEPT: list[Any] = []
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def compile_functions(kernels: Sequence[FuncOp]) -> list[NativeFunction]:
    """Kernels of the loop dialect that need no instruction of one target, as functions."""
    names, target = [kernel.sym_name.data for kernel in kernels], native_target()
    text = module_text(emit_kernels(ModuleOp(list(kernels)), target))
    addresses = addresses_of(names, [machine.object_code(text, target)])
    return [_function(addresses[name]) for name in names]


def _function(address: int) -> NativeFunction:
    code = _SIGNATURE(address)

    def call(*arrays: Array) -> None:
        assert all(array.flags.c_contiguous for array in arrays)
        table = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        code(ctypes.addressof(table), 0, 1)

    return call


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
