"""Runs a target's code on this CPU where it can, else in this process on an emulated one.

    model = lpr.load(path, target="avx512", invoke=invoke_for("avx512"))

The emulator (tests/emulator) executes kernels of this very process, one thread at a time. It holds
one CPU model: one that runs all of `EMULATED`, or, if a single target is tested, the oldest that
has what the target requires, so that an instruction from beyond it faults. None of them has tile
registers: a CPU with VNNI, or the emulator, runs the code for amx_int8, and what it lacks, the tile
unit, is software (tile_unit.py).

LPC_TEST_EMULATE=1      emulates the AVX-512 targets although this CPU has them
LPC_TEST_EMULATE=avx2   tests this target alone, emulated on its own CPU model (make test-emulated)
LPC_TEST_NATIVE=1       only the targets that this CPU runs, and no emulator
REQUIRE_EMULATOR=1      a missing emulator is an error, not a skipped test
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
import tile_unit
from lpc.compiler.codegen.host import runs_here
from lpc.compiler.codegen.targets import Target, by_name

Invoke = Callable[..., int]

#: Target → the oldest CPU model of tests/emulator/avx512emu.py that has all that it requires.
#: Targets without a row are tested on silicon alone.
CPU_MODELS = {
    "sse42": "lynnfield",
    "avx2": "haswell",
    "avx512": "skylake_x",
    "avx_vnni": "arrow_lake",
    "avx10": "arrow_lake",
    "avx512_vnni": "icelake",
    "amx_int8": "sapphire_rapids",
}
#: What runs in the emulator where this CPU does not run it; the older ones run everywhere.
EMULATED = tuple(name for name in CPU_MODELS if name not in ("sse42", "avx2"))
#: Models that together have what all of `EMULATED` require.
COMMON_MODEL, COMMON_ADDITION = "sapphire_rapids", "arrow_lake"
TILES = "amx_int8"


def only_target() -> str | None:
    """The one target that is tested, emulated; None: all are, and most natively."""
    name = os.environ.get("LPC_TEST_EMULATE", "")
    return name if name in CPU_MODELS else None


def targets_tested(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Those of `targets` that this process tests: the one that is emulated; with LPC_TEST_NATIVE
    those that this CPU runs; else all."""
    only, native = only_target(), bool(os.environ.get("LPC_TEST_NATIVE"))
    wanted = (target for target in targets if only in (None, target.name))
    return tuple(target for target in wanted if not native or runs_here(target))


def is_emulated(target: str) -> bool:
    """Whether code for the target does not run on this CPU, or is not to."""
    if only_target() == target or (os.environ.get("LPC_TEST_EMULATE") and target in EMULATED):
        return True
    return not runs_here(by_name(target))


def thread_counts(target: str) -> tuple[int, ...]:
    """Numbers of threads to test with; the emulator has one."""
    return (1,) if is_emulated(target) else (1, 2)


def invoke_for(target: str) -> Invoke | None:
    """The `invoke` argument of `lpc.runtime.load` for the target; None: this CPU runs it.

    Skips the calling test where neither this CPU nor an emulator can, or the target is not
    tested."""
    if not targets_tested([by_name(target)]):
        pytest.skip(f"this run does not test {target}")
    if not is_emulated(target):
        if target == TILES:
            tile_unit.request_permission()
        return None
    if target == TILES:
        return _with_tiles()
    if target not in CPU_MODELS or (only_target() is None and target not in EMULATED):
        pytest.skip(f"this CPU does not run {target}, and it is not emulated")
    call: Invoke = emulator().call
    return call


def _with_tiles() -> Invoke:
    if missing := tile_unit.available():
        if os.environ.get("REQUIRE_EMULATOR"):
            raise RuntimeError(f"no tile unit, but REQUIRE_EMULATOR is set: {missing}")
        pytest.skip(f"no tile unit in software: {missing}")
    implied = by_name(TILES).implies
    assert implied is not None
    if os.environ.get("LPC_TEST_EMULATE") or not runs_here(by_name(implied)):
        return tile_unit.emulated(emulator())
    return tile_unit.call


def emulator() -> Any:
    """The emulator of this process; skips the calling test where there is none."""
    found = _emulator()
    if isinstance(found, str):
        if os.environ.get("REQUIRE_EMULATOR"):
            raise RuntimeError(f"no emulator, but REQUIRE_EMULATOR is set: {found}")
        pytest.skip(f"no emulator: {found}")
    return found


def emulator_missing() -> str | None:
    """Why there is no emulator, if so."""
    found = _emulator()
    return found if isinstance(found, str) else None


@cache
def _emulator() -> Any:
    """The emulator of this process, or why there is none."""
    folder = str(Path(__file__).parent / "emulator")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    only = only_target()
    try:
        from avx512emu import Emulator

        if only is not None:
            found = Emulator(CPU_MODELS[only])
        else:
            found = Emulator(COMMON_MODEL, COMMON_ADDITION)
        if not tile_unit.available():
            tile_unit.attach(found)
        return found
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        return str(error)
