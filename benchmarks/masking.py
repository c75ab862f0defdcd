"""Make an engine believe that it runs on an older CPU (see maskcpuid.c).

Where the CPU does not let cpuid fault, the peers run from patched copies (see patching.py).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Literal, get_args

from .patching import PatchError, patched_packages
from .zoo import cache_folder

Isa = Literal["native", "sse42", "avx2", "avx512", "avx512_vnni"]
ISAS: tuple[Isa, ...] = get_args(Isa)

SOURCE = Path(__file__).with_name("maskcpuid.c")


class MaskUnavailableError(Exception):
    """This machine cannot hide CPU features; the text says why."""


def mask_environment(isa: Isa) -> dict[str, str]:
    """Environment variables under which a new process sees a CPU with no more than `isa`."""
    if isa == "native":
        return {}
    environment = preload(isa)
    if not has_cpuid_faulting():
        try:
            environment["PYTHONPATH"] = str(patched_packages(cache_folder()))
        except PatchError as error:
            raise MaskUnavailableError(f"{error} (this CPU has no CPUID faulting)") from error
    return environment


def preload(isa: Isa) -> dict[str, str]:
    return {"LD_PRELOAD": str(mask_library()), "LPC_MASK_CPUID": isa}


def has_cpuid_faulting() -> bool:
    return "cpuid_fault" in Path("/proc/cpuinfo").read_text().split()


def mask_library() -> Path:
    """The preload library, built once per version of its source."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    library = cache_folder() / f"maskcpuid-{digest}.so"
    if library.exists():
        return library
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MaskUnavailableError("no C compiler to build maskcpuid.c")
    library.parent.mkdir(parents=True, exist_ok=True)
    partial = library.with_suffix(".partial")
    command = [compiler, "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(partial)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode != 0:
        raise MaskUnavailableError(f"maskcpuid.c does not compile: {built.stderr.strip()}")
    partial.replace(library)
    return library
