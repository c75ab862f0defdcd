"""Runs a target's code on this CPU where it can, else in this process on an emulated one.

    model = lpr.load(path, target="avx512", invoke=invoke_for("avx512"))

The emulator (tests/emulator) executes AVX-512 and VNNI kernels of this very process, one thread at
a time; the two older targets need no more than what every machine that runs these tests has.

LPC_TEST_EMULATE=1    emulates the AVX-512 targets although this CPU has them
LPC_TEST_NATIVE=1     only the targets that this CPU runs, and no emulator
REQUIRE_EMULATOR=1    a missing emulator is an error, not a skipped test
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lpc.compiler.codegen.host import runs_here
from lpc.compiler.codegen.targets import Target, by_name

Invoke = Callable[..., int]

EMULATED = ("avx512", "avx512_vnni")
#: One model per process: it has VNNI, which the code for avx512 must not use; see test_emulation.
CPU_MODEL = "tigerlake"


def is_emulated(target: str) -> bool:
    """Whether code for the target does not run on this CPU, or is not to."""
    if os.environ.get("LPC_TEST_EMULATE") and target in EMULATED:
        return True
    return not runs_here(by_name(target))


def thread_counts(target: str) -> tuple[int, ...]:
    """Numbers of threads to test with; the emulator has one."""
    return (1,) if is_emulated(target) else (1, 2)


def tested(targets: Sequence[Target]) -> list[Target]:
    """Those to test: all, or with LPC_TEST_NATIVE those that this CPU runs."""
    only_native = bool(os.environ.get("LPC_TEST_NATIVE"))
    return [target for target in targets if not only_native or runs_here(target)]


def invoke_for(target: str) -> Invoke | None:
    """The `invoke` argument of `lpc.runtime.load` for the target; None: this CPU runs it.

    Skips the calling test where neither this CPU nor an emulator can."""
    if not is_emulated(target):
        return None
    if os.environ.get("LPC_TEST_NATIVE"):
        pytest.skip(f"this CPU does not run {target}, and LPC_TEST_NATIVE is set")
    if target not in EMULATED:
        pytest.skip(f"this CPU does not run {target}, and it is not emulated")
    call: Invoke = emulator().call
    return call


def emulator() -> Any:
    """The emulator of this process; skips the calling test where there is none."""
    found = _emulator()
    if isinstance(found, str):
        if os.environ.get("REQUIRE_EMULATOR"):
            raise RuntimeError(f"no emulator, but REQUIRE_EMULATOR is set: {found}")
        pytest.skip(f"no emulator: {found}")
    return found


@cache
def _emulator() -> Any:
    """The emulator of this process, or why there is none."""
    folder = str(Path(__file__).parent / "emulator")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        from avx512emu import Emulator

        return Emulator(CPU_MODEL)
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        return str(error)
