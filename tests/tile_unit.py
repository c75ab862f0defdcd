"""Calls machine code that contains AMX instructions on a CPU that has none.

Everything else runs on this CPU, or on an emulated one; each instruction of the tile unit traps,
and is decoded and executed by tests/emulator/tiles.c. One thread at a time.
tests/codegen/test_tile_instructions.py compares this model of the instructions with the one in
numpy (compiler/interpreters/tiles.py).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

NAMES = (
    "ldtilecfg", "tilezero", "tileloadd", "tdpbusd", "tdpbssd", "tilestored", "tilerelease",
    "sttilecfg",
)  # fmt: skip
_FAULTS = (
    "", "the tile unit is not configured", "a bad configuration", "a register that may not be used",
    "registers of shapes that do not fit", "an instruction that is not AMX-INT8",
    "the tile unit is still configured at the end",
)  # fmt: skip


class TileFault(RuntimeError):
    """What the CPU would refuse, or a call that leaves the unit in use behind."""


@cache
def _library() -> Any:
    folder = Path(__file__).parent / "emulator"
    source, library = folder / "tiles.c", folder / "libtiles.so"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        beside = folder / f"libtiles.so.{os.getpid()}"
        compiler = os.environ.get("CC", "cc")
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(beside), str(source)]
        subprocess.run(command, check=True)
        beside.replace(library)
    return ctypes.CDLL(str(library))


def available() -> str:
    """Why there is no tile unit; empty if there is one."""
    try:
        _library()
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return ""


def call(function: Any, *arguments: Any) -> int:
    """Calls a function of up to six integers or pointers; TileFault if the tile unit faults."""
    table = (ctypes.c_int64 * 6)(*(_signed(_integer(value)) for value in arguments))
    result = ctypes.c_int64()
    address = ctypes.c_void_p(_integer(function))
    fault = _library().tiles_call(address, table, ctypes.byref(result))
    if fault:
        raise TileFault(f"{_FAULTS[fault]}, at {_info()[-1]:#x}")
    return int(result.value)


def request_permission() -> None:
    """Asks Linux for tile registers, as a library does for itself; RuntimeError if it refuses."""
    if ctypes.CDLL(None).syscall(158, 0x1023, 18):  # arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA)
        raise RuntimeError("the kernel refuses the tile registers that this CPU has")


def attach(emulator: Any) -> None:
    """Lets an emulated CPU ask for what it does not know."""
    emulator._l.emu_other(_library().tiles_step)


def emulated(emulator: Any) -> Callable[..., int]:
    """As `call`, on an emulated CPU."""

    def call(function: Any, *arguments: Any) -> int:
        _library().tiles_release()
        result = int(emulator.call(function, *arguments))
        if _library().tiles_release():
            raise TileFault(_FAULTS[-1])
        return result

    return call


def _integer(value: Any) -> int:
    """An integer, or the address that a pointer, an array or a function is."""
    if value is None or isinstance(value, int):
        return value or 0
    if hasattr(value, "ctypes"):
        return int(value.ctypes.data)
    if isinstance(value, ctypes.Array):
        return ctypes.addressof(value)
    return ctypes.cast(value, ctypes.c_void_p).value or 0


def _signed(value: int) -> int:
    return ctypes.c_int64(value & (2**64 - 1)).value


def counts() -> dict[str, int]:
    """How often each instruction ran in this process so far."""
    return dict(zip(NAMES, _info(), strict=False))


def _info() -> list[int]:
    info = (ctypes.c_uint64 * (len(NAMES) + 1))()
    _library().tiles_info(info)
    return list(info)
