"""Linux gives the tile registers of AMX to processes that ask: a library asks once it needs them.

No CPU here has them, so their CPUID bits are taken for others that every CPU has. The kernel's
answer comes from a system call filter in a process of its own, or is the kernel's own, a refusal.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lpc.compiler.codegen import features, tables
from lpc.compiler.codegen.host import runs_here
from lpc.compiler.codegen.library import write_library
from lpc.compiler.codegen.targets import by_name, required_features
from tiny_models import BIAS, INFO, program

#: argv: the library, what arch_prctl(ARCH_REQ_XCOMP_PERM, …) does ("kernel" for no filter).
SELECT = """
import ctypes, struct, sys

path, answer = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
actions = {"granted": 0x00050000, "refused": 0x00050000 | 22, "fatal": 0x80000000}


class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_void_p)]


if answer != "kernel":
    number, argument, equal, done = 0x20, 0x20, 0x15, 0x06
    code = [
        (number, 0, 0, 0), (equal, 0, 3, 158), (argument, 0, 0, 16), (equal, 0, 1, 0x1023),
        (done, 0, 0, actions[answer]), (done, 0, 0, 0x7FFF0000),
    ]
    data = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *row) for row in code))
    filter = Program(len(code), ctypes.addressof(data))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(filter), 0, 0):
        sys.exit("no filters")
library = ctypes.CDLL(path)
library.lpc_select.argtypes = [ctypes.c_char_p]
library.lpc_run.argtypes = [ctypes.c_int32, *(ctypes.c_void_p,) * 3, ctypes.c_int32]
tiles = library.lpc_target_count() - 1
print(
    library.lpc_select(None), library.lpc_select(b"amx_int8"), library.lpc_select(b"sse42"),
    library.lpc_run(tiles, None, None, None, 1),
)
"""


@pytest.fixture
def _cpu_with_everything(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every feature is that of the oldest target."""
    known = next(row for row in features.FEATURES if row.name == "ssse3")
    rows = tuple(replace(row, word=known.word, bit=known.bit, saved=0) for row in features.FEATURES)
    monkeypatch.setattr(tables, "FEATURES", rows)
    tables.support_object.cache_clear()
    yield
    tables.support_object.cache_clear()


def select(library: Path, answer: str) -> list[int]:
    """What lpc_select(NULL), ("amx_int8"), ("sse42") and lpc_run(last target, nothing) return."""
    command = [sys.executable, "-c", SELECT, str(library), answer]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "no filters" in done.stderr:
        pytest.skip("this system does not let a process filter its system calls")
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.mark.usefixtures("_cpu_with_everything")
def test_the_kernel_decides(tmp_path: Path) -> None:
    library = tmp_path / "fat.so"
    names = ("sse42", "avx512_vnni", "amx_int8")
    write_library(library, [program(name, BIAS[name]) for name in names], INFO)
    # Permission granted: the newest target runs (and finds its pointers null).
    assert select(library, "granted") == [2, 2, 0, -1]
    # Refused: the next one is taken, and the newest is an error, whoever asks for it.
    assert select(library, "refused") == [1, -5, 0, -5]


@pytest.mark.usefixtures("_cpu_with_everything")
def test_who_has_no_tiles_does_not_ask(tmp_path: Path) -> None:
    library = tmp_path / "fat.so"
    write_library(library, [program(name, BIAS[name]) for name in ("sse42", "avx2")], INFO)
    assert select(library, "fatal") == [1, -4, 0, -1]


def test_a_cpu_without_them_is_not_asked(tmp_path: Path) -> None:
    if runs_here(by_name("amx_int8")):
        pytest.skip("this CPU has tile registers")
    library = tmp_path / "fat.so"
    write_library(library, [program(name, BIAS[name]) for name in ("sse42", "amx_int8")], INFO)
    assert select(library, "fatal") == [0, -5, 0, -5]


def test_the_row_asks() -> None:
    names = {row.name for row in features.FEATURES if row.on_request}
    assert names == {"amx_tile", "amx_int8"}
    assert names <= set(required_features(by_name("amx_int8")))
