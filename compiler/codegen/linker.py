"""Objects → shared library, with whatever linker this machine has.

Tried in this order: the command in LPC_LINKER; ld, ld.lld, lld; a C compiler as linker driver; the
lld inside the PyPI package `ziglang` (optional extra).  Only the linker proper is needed: no start
files, no libc headers, no development packages.

The library must name libc.so.6 as its one dependency without binding to the symbol versions of the
build machine, so it is linked against a stub: an empty library of that name that defines the few
functions which `support/*.ll` and LLVM's memory intrinsics call.  Anything else undefined is an
error.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import LpcError
from .objects import TRIPLE, emit_object

LIBC = "libc.so.6"
LIBC_FUNCTIONS = (
    "getpid", "getenv", "strcmp", "clock_gettime", "syscall",
    "pthread_create", "pthread_detach", "pthread_sigmask",
    "memcpy", "memmove", "memset", "memcmp",
)  # fmt: skip

_LINKERS = ("ld", "ld.lld", "lld")
_DRIVERS = ("cc", "gcc", "clang")
_IS_LINKER = re.compile(r"(^|[-.])(ld|lld|mold|wild)($|[-.])")


@dataclass(frozen=True)
class Linker:
    """`command` as argument list; a driver takes the linker's options behind -Wl."""

    command: tuple[str, ...]
    driver: bool

    def link(
        self, output: Path, soname: str, inputs: Sequence[Path], options: Sequence[str]
    ) -> None:
        """Links a shared library; LpcError with the linker's first complaint if it fails."""
        flags = ["-soname", soname, *options]
        if self.driver:
            spelled = [word for flag in flags for word in ("-Xlinker", flag)]
            flags = ["-nostdlib", "-m64", *spelled]
        else:
            flags = ["-m", "elf_x86_64", *flags]
        command = [*self.command, "-shared", *flags, "-o", str(output), *map(str, inputs)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise LpcError(f"linker '{self.command[0]}': {error.strerror}") from error
        if done.returncode:
            complaint = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise LpcError(f"linker '{self.command[0]}' failed: {complaint[0]}")


def find_linker() -> Linker:
    """LpcError that says what to install where there is none."""
    named = os.environ.get("LPC_LINKER", "").strip()
    if named:
        return _from_environment(named)
    for name in _LINKERS:
        if path := shutil.which(name):
            return Linker((path, *_flavor(name)), driver=False)
    for name in _DRIVERS:
        if path := shutil.which(name):
            return Linker((path,), driver=True)
    if importlib.util.find_spec("ziglang") is not None:
        return Linker((sys.executable, "-m", "ziglang", "ld.lld"), driver=False)
    raise LpcError(
        "no linker found (looked for ld, ld.lld, lld, cc, gcc, clang and Python's ziglang); "
        "install binutils or run `pip install ziglang`, or name one in LPC_LINKER"
    )


def _from_environment(named: str) -> Linker:
    words = shlex.split(named)
    path = shutil.which(words[0])
    if path is None:
        raise LpcError(f"LPC_LINKER names '{words[0]}', which is not an executable program")
    name = Path(words[-1]).name
    return Linker((path, *words[1:], *_flavor(name)), driver=not _IS_LINKER.search(name))


def _flavor(name: str) -> tuple[str, ...]:
    return ("-flavor", "gnu") if name == "lld" else ()


def link_library(
    linker: Linker, output: Path, soname: str, objects: Sequence[Path], exports: Sequence[str]
) -> None:
    """Links `objects` into `output`; scratch files go beside the first object."""
    folder = objects[0].parent
    script = folder / "exports.map"
    script.write_text(f"{{ global: {' '.join(f'{name};' for name in exports)} local: *; }};\n")
    options = [
        "-z", "defs",  # complain now about what the loader would miss
        "-z", "noexecstack",
        "-z", "relro", "-z", "now",
        # Sleeping pool threads must not lose their code to dlclose().
        "-z", "nodelete",
        # Two libraries in one process define the same names; each must use its own.
        "-Bsymbolic",
        "--hash-style=gnu", "--build-id=none", "--gc-sections",
        f"--version-script={script}",
    ]  # fmt: skip
    linker.link(output, soname, [*objects, _libc_stub(linker, folder)], options)


def _libc_stub(linker: Linker, folder: Path) -> Path:
    lines = [f'target triple = "{TRIPLE}"']
    lines += [f"define void @{name}() {{ ret void }}" for name in LIBC_FUNCTIONS]
    source, stub = folder / "libc.o", folder / LIBC
    source.write_bytes(emit_object("\n".join(lines)))
    linker.link(stub, LIBC, [source], ["--build-id=none"])
    return stub
