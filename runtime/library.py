"""Open a library file: everything that can be wrong with it becomes one line of text."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

from .errors import LpcRuntimeError
from .model import Model

# identities (device, inode, change time) of the files that were loaded from each path
_loaded: dict[str, list[tuple[int, int, int]]] = {}


def load(
    path: str | os.PathLike[str],
    num_threads: int | None = None,
    target: str | None = None,
    invoke: Callable[..., int] | None = None,
) -> Model:
    """Loads a library that lpc made.

    `num_threads`: threads of each run; None takes what affinity and cgroup quota allow. `target`:
    one of the library's instruction sets; None takes LPC_TARGET, or the best that this CPU runs.
    `invoke(function_pointer, *arguments)` calls the library's entry points instead of this CPU,
    which is then not checked; it gets integers and returns the status.
    LpcRuntimeError: no such file, not a library of lpc, wrong ABI version, wrong CPU.
    """
    file = os.fspath(path)
    _check_elf(file)
    try:
        library = ctypes.CDLL(_fresh_name(file))
    except OSError as error:
        raise LpcRuntimeError(f"{file}: cannot load: {error}") from error

    def address(name: str) -> int:
        try:
            function = getattr(library, name)
        except AttributeError:
            return 0
        return ctypes.cast(function, ctypes.c_void_p).value or 0

    return Model(address, file, num_threads=num_threads, target=target, invoke=invoke)


def _check_elf(file: str) -> None:
    """The loader trusts the program headers: a truncated file would crash the process."""
    try:
        size = os.stat(file).st_size
        with open(file, "rb") as stream:
            head = stream.read(64)
            if len(head) < 64 or head[:4] != b"\x7fELF" or head[4] != 2:
                raise LpcRuntimeError(f"{file}: not a library made by lpc (no 64-bit ELF file)")
            offset, entry_size, count = *struct.unpack_from("<Q", head, 32), *_counts(head)
            stream.seek(offset)
            headers = stream.read(entry_size * count)
    except OSError as error:
        raise LpcRuntimeError(f"{file}: cannot read: {error.strerror}") from error
    ends = [offset + entry_size * count]
    for at in range(0, len(headers) - 55, max(entry_size, 56)):
        (begin,), (length,) = (struct.unpack_from("<Q", headers, at + field) for field in (8, 32))
        ends.append(begin + length)
    if max(ends) > size:
        raise LpcRuntimeError(f"{file}: truncated: {size} of at least {max(ends)} bytes")


def _counts(head: bytes) -> tuple[int, int]:
    """Size and number of program headers."""
    entry_size, count = struct.unpack_from("<HH", head, 54)
    return entry_size, count


def _fresh_name(file: str) -> str:
    """A spelling of the path under which the loader will not find an older file.

    The loader recognizes what it has by the spelling of the path; a library that was compiled again
    since its last load would silently be the old one. `./` is repeated as often as needed.
    """
    status = os.stat(file)
    identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
    name = os.path.abspath(file)
    versions = _loaded.setdefault(name, [])
    if identity not in versions:
        versions.append(identity)  # perhaps by two threads: the first one counts
    repeats = versions.index(identity)
    folder, base = os.path.split(name)
    return f"{folder}/{'./' * repeats}{base}"
