"""Time of instructions on tile registers, by what Intel documents for Sapphire Rapids.

LLVM has no model of the tile unit: it prices each of its instructions like a system instruction, a
quarter of a cycle on ports 0, 1, 5 and 6, with a result after 100 cycles and no load or store. So
blocks that multiply tile registers are not simulated. Their time is the largest of

- what each part of the unit is busy for: a multiplication every 16 cycles, a load every 8, a store
  every 16, whatever the shape of the registers;
- sums that go from iteration to iteration: 52 cycles from a multiplication to the next on the same
  register;
- llvm-mca's cycles for all other instructions.

The bound is the first of these alone. The numbers are those of the Intel 64 and IA-32 Architectures
Optimization Reference Manual, Intel AMX, throughput and latency of instructions. Assumed is that
registers are renamed and that nothing else waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .assembly import opcode

#: Instruction → the part of the unit, and for how many cycles it is busy.
_UNITS = {
    "tdpbusd": ("TileMultiply", 16),
    "tileloadd": ("TileLoad", 8),
    "tilestored": ("TileStore", 16),
}
#: From a multiplication to one that adds to its sums.
_LATENCY = 52


def is_tile_instruction(line: str) -> bool:
    return opcode(line) in {*_UNITS, "tilezero"}


def busy(counts: Mapping[str, int]) -> tuple[tuple[str, float], ...]:
    """(part of the unit, cycles) for so many of each instruction."""
    return tuple(
        (unit, float(cycles * counts[name]))
        for name, (unit, cycles) in _UNITS.items()
        if counts.get(name)
    )


def bound(counts: Mapping[str, int]) -> float:
    return max(cycles for _, cycles in busy(counts))


def carried(lines: Sequence[str]) -> float:
    """Cycles of the longest chain of multiplications from one iteration to the next."""
    chains: Counter[str] = Counter()
    cleared = {line.split()[-1] for line in lines if opcode(line) == "tilezero"}
    for line in lines:
        if opcode(line) == "tdpbusd":
            chains[line.split()[-1]] += 1
    return float(max((_LATENCY * n for r, n in chains.items() if r not in cleared), default=0))
