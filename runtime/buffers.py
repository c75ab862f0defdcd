"""Memory of other objects as inputs and outputs, through CPython's buffer protocol: bytes,
bytearray, array.array, mmap, memoryview, numpy arrays. Needs nothing beyond Python."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .errors import LpcRuntimeError
from .tensors import TensorSpec

_WRITABLE, _C_CONTIGUOUS = 0x1, 0x38  # PyBUF_WRITABLE, PyBUF_C_CONTIGUOUS


class _View(ctypes.Structure):
    """`Py_buffer`, as the stable ABI has it."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_acquire = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.py_object, ctypes.POINTER(_View), ctypes.c_int
)(("PyObject_GetBuffer", ctypes.pythonapi))  # fmt: skip
_release = ctypes.PYFUNCTYPE(None, ctypes.POINTER(_View))(
    ("PyBuffer_Release", ctypes.pythonapi)
)  # fmt: skip


@contextmanager
def held(
    source: str, side: str, specs: Sequence[TensorSpec], given: Mapping[str, Any]
) -> Iterator[list[int]]:
    """The address of each buffer, in the order of `specs`; while they are held, none of them moves
    or shrinks. LpcRuntimeError for one that does not suit; those of side "output" are written."""
    flags = _C_CONTIGUOUS | (_WRITABLE if side == "output" else 0)
    views: list[_View] = []
    try:
        for spec in specs:
            what, view = f"{source}: {side} '{spec.name}'", _View()
            try:
                _acquire(given[spec.name], view, flags)
            except (TypeError, BufferError) as error:
                raise LpcRuntimeError(f"{what}: {error}") from error
            views.append(view)
            if view.len != spec.nbytes:
                raise LpcRuntimeError(f"{what}: expected {spec.nbytes} bytes, got {view.len}")
            if (view.buf or 0) % spec.item_bytes:
                raise LpcRuntimeError(
                    f"{what}: not aligned to elements of {spec.item_bytes} bytes; copy it"
                )
        yield [view.buf or 0 for view in views]
    finally:
        for view in views:
            _release(view)
