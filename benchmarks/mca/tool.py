"""llvm-mca, a simulator of pipelines: cycles and port pressure of blocks of instructions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lpc.compiler.errors import LpcError

NAMES = ("llvm-mca-19", "llvm-mca")
_OLDEST = 17  # the first with a model of Sapphire Rapids
#: Instructions to simulate of a block, about: then filling the pipeline counts little.
_INSTRUCTIONS = 25_600
#: Shorter blocks are repeated, longer ones have fewer iterations.
_SIZES = (64, 256, 1024)


@dataclass(frozen=True)
class Simulated:
    """Of one iteration in the steady state. `ports`: cycles that each busy port needs, by name."""

    cycles: float
    ports: tuple[tuple[str, float], ...]

    def per(self, count: int, port_count: int | None = None) -> Simulated:
        """The cycles, and those of the ports, divided."""
        divisor = count if port_count is None else port_count
        ports = tuple((name, busy / divisor) for name, busy in self.ports)
        return Simulated(self.cycles / count, ports)

    @property
    def busiest(self) -> tuple[str, float]:
        return max(self.ports, key=lambda port: port[1])


@cache
def llvm_mca() -> str:
    """The program: `LLVM_MCA`, or the first of its usual names on PATH that is recent enough."""
    wanted = os.environ.get("LLVM_MCA")
    found = [p for name in ([wanted] if wanted else NAMES) if (p := shutil.which(name))]
    for path in found:
        if _version(path) >= _OLDEST:
            return path
    what = f"{found[0]} is older than LLVM {_OLDEST}" if found else f"no {wanted or NAMES[0]}"
    raise LpcError(f"{what}; install it (Debian: apt install llvm-19), or set LLVM_MCA")


def _version(path: str) -> int:
    text = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"LLVM version (\d+)", text)
    return int(found[1]) if found else 0


def simulate(cpu: str, blocks: Sequence[Sequence[str]]) -> list[Simulated]:
    """Each block of instructions as the body of an endless loop, all loads from the first cache."""
    results: dict[int, Simulated] = {}
    for size in _SIZES:
        fits = [i for i, b in enumerate(blocks) if _size_of(b) == size]
        repeats = [-(-size // len(blocks[i])) if size == _SIZES[0] else 1 for i in fits]
        texts = [[*blocks[i]] * repeat for i, repeat in zip(fits, repeats, strict=True)]
        found = _run(cpu, texts, _INSTRUCTIONS // size)
        for i, repeat, simulated in zip(fits, repeats, found, strict=True):
            results[i] = simulated.per(repeat)
    return [results[i] for i in range(len(blocks))]


def _size_of(block: Sequence[str]) -> int:
    return next((size for size in _SIZES if len(block) <= size), _SIZES[-1])


def _run(cpu: str, blocks: Sequence[Sequence[str]], iterations: int) -> list[Simulated]:
    if not blocks:
        return []
    lines: list[str] = []
    for number, block in enumerate(blocks):
        lines += [f"# LLVM-MCA-BEGIN {number}", *block, f"# LLVM-MCA-END {number}"]
    # Bounds spell two-operand instructions with three operands, which take the same ports.
    features = ["-mattr=+avx"] if cpu == "nehalem" else []
    command = [llvm_mca(), "-mtriple=x86_64", f"-mcpu={cpu}", *features, "-json"]
    command.append(f"-iterations={iterations}")
    ran = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True)
    if ran.returncode:
        raise LpcError(f"{command[0]} -mcpu={cpu}: {ran.stderr.strip().splitlines()[0]}")
    report = json.loads(ran.stdout)
    # Where there are several units of a kind, their names end in their numbers as raw bytes.
    names = report["TargetInfo"]["Resources"]
    ports = [re.sub(r"\W.*", "", name, flags=re.DOTALL) for name in names]
    return [_of_region(region, ports).per(iterations, 1) for region in report["CodeRegions"]]


def _of_region(region: Any, ports: Sequence[str]) -> Simulated:
    """Cycles of all iterations, and of one on each port."""
    # The row behind the last instruction holds the sums.
    total = len(region["Instructions"])
    entries = region["ResourcePressureView"]["ResourcePressureInfo"]
    sums = {
        e["ResourceIndex"]: e["ResourceUsage"] for e in entries if e["InstructionIndex"] == total
    }
    busy = tuple((ports[index], usage) for index, usage in sorted(sums.items()))
    return Simulated(region["SummaryView"]["TotalCycles"], busy)
