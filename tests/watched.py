"""Emulated runs of a library under supervision, and what all of them executed.

    model = lpr.load(path, target=target, invoke=watched(path, buffers))

A watched run faults at the first access outside the buffers that it was given, also where the
memory beside them exists (the library, libc, which has memcpy, and the stack are allowed). It
starts with MXCSR set against the library: denormals flushed, rounding towards zero, all exceptions
trapping.
Then its opcodes are looked through: a library uses no x87 and no MMX, and touches MXCSR when it is
entered and left only.

LPC_TEST_RECORD=DIR   at the end of the session the tallies are written there (tests/emulated.py)
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt
from emulation import emulator, only_target
from hypothesis import currently_in_test_context

Range = tuple[int, int]

#: FTZ, DAZ, round towards zero, no exception masked.
HOSTILE_MXCSR = 0xE040
#: As many ranges as the emulator compares an access with.
MOST_BUFFERS = 250
#: How Bochs spells opcodes of x87 (and FXSAVE), and of MMX.
_LEGACY = re.compile(r"^F[A-Z]|Pq|^EMMS|^XSAVE|^XRSTOR")
_MXCSR_ACCESSES = {"STMXCSR": 1, "LDMXCSR": 2}
_DOT = re.compile(r"VPDPB[US]{2}D|PMADDUBSW|PMADDWD|TDPBUSD")
#: Operands named V (a vector register), or a mask register's opcode.
_VECTOR = re.compile(
    r"_[VW][a-z]+|[VHW](dq|ps|ss|pd|sd|d|q)|^(EVEX_)?K[A-Z]+_K|PREFETCH|^T(ILE|DP)"
)


@dataclass
class Record:
    """Tallies of a test process: per target the outputs that were compared, and how many of their
    layers were generated from a seed; the number of watched runs, and their opcodes."""

    cases: Counter[str] = field(default_factory=Counter)
    generated: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    opcodes: Counter[str] = field(default_factory=Counter)

    def add_cases(self, target: str, count: int) -> None:
        self.cases[target] += count
        if currently_in_test_context():  # of hypothesis
            self.generated[target] += count

    def write(self) -> None:
        folder = os.environ.get("LPC_TEST_RECORD")
        if folder and (self.cases or self.runs):
            path = Path(folder) / f"{only_target() or 'all'}-{os.getpid()}.json"
            path.write_text(json.dumps(vars(self)))


#: Of this process.
RECORD = Record()


def watched(
    library: Path, buffers: Sequence[npt.NDArray[Any]], opcodes: Counter[str] | None = None
) -> Callable[..., int]:
    """An `invoke` for `lpc.runtime` that allows the library its own pages and `buffers`.

    `opcodes` gets what a run executed, by Bochs' names."""
    assert len(buffers) <= MOST_BUFFERS, "more buffers than the emulator can watch"
    own = [mapped(os.path.realpath(library)), _libc()]
    allowed = [(a.ctypes.data, a.ctypes.data + a.nbytes) for a in buffers]

    def invoke(entry: int, sources: int, results: int, workspace: int, threads: int) -> int:
        # Both tables of pointers together have no more entries than there are buffers.
        tables = [(table, table + 8 * len(buffers)) for table in (sources, results)]
        executed: dict[str, int] = {}
        status: int = emulator().call(
            entry, sources, results, workspace, threads,
            limit=None, strict=[*own, *allowed, *tables], hist=executed, mxcsr=HOSTILE_MXCSR,
        )  # fmt: skip
        check_opcodes(executed)
        RECORD.runs += 1
        for tally in (RECORD.opcodes, opcodes):
            if tally is not None:
                tally.update(executed)
        return status

    return invoke


@cache
def _libc() -> Range:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return mapped(next(line.split()[-1] for line in lines if "/libc.so" in line))


def mapped(library: str) -> Range:
    """Addresses of a loaded library, which may be deleted by now: all segments and its bss."""
    low = high = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        begin, end = (int(word, 16) for word in fields[0].split("-"))
        path = fields[5] if len(fields) > 5 else ""
        if path.removesuffix(" (deleted)") == library:
            low, high = low or begin, end
        elif high == begin and not path:
            high = end
    assert low < high, f"{library} is not loaded"
    return low, high


def check_opcodes(executed: dict[str, int]) -> None:
    """What no run of a library may execute, and what each must."""
    legacy = sorted(name for name in executed if _LEGACY.search(name))
    assert not legacy, f"x87 or MMX instructions: {legacy}"
    accesses = {name: n for name, n in executed.items() if "MXCSR" in name}
    assert accesses == _MXCSR_ACCESSES, f"MXCSR is to be saved, set and restored: {accesses}"


def share_of_dots(executed: Counter[str]) -> float:
    """Multiply-adds among all instructions."""
    return _share(executed, _DOT)


def share_of_vectors(executed: Counter[str]) -> float:
    """Instructions with a vector operand among all; the rest are addresses and loops."""
    return _share(executed, _VECTOR)


def _share(executed: Counter[str], pattern: re.Pattern[str]) -> float:
    real = {name: n for name, n in executed.items() if name != "BX_INSERTED_OPCODE"}
    return sum(n for name, n in real.items() if pattern.search(name)) / sum(real.values())
