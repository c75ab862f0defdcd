"""Time of instructions on tile registers, by what Intel documents for Sapphire Rapids.

LLVM has no model of the tile unit: it prices each of its instructions like a system instruction, a
quarter of a cycle on ports 0, 1, 5 and 6, with a result after 100 cycles and no load or store. So
blocks that multiply tile registers are not simulated. Their time is the largest of

- what each part of the unit is busy for: a multiplication every 16 cycles, a load every 8, a store
  every 16, whatever the shape of the registers;
- llvm-mca's cycles for all other instructions.

The bound is the first of these alone. The numbers are those of the Intel 64 and IA-32 Architectures
Optimization Reference Manual, Intel AMX, throughput of instructions. Assumed is that registers are
renamed and that nothing else waits: a multiplication that adds to the sums of the one before, 52
cycles later by that manual, was measured to follow it after 16."""

from __future__ import annotations

from collections.abc import Mapping

from .assembly import opcode

#: Instruction → the part of the unit, and for how many cycles it is busy.
_UNITS = {
    "tdpbusd": ("TileMultiply", 16),
    "tileloadd": ("TileLoad", 8),
    "tilestored": ("TileStore", 16),
}


def is_tile_instruction(line: str) -> bool:
    return opcode(line) in _UNITS


def busy(counts: Mapping[str, int]) -> tuple[tuple[str, float], ...]:
    """(part of the unit, cycles) for so many of each instruction."""
    return tuple(
        (unit, float(cycles * counts[name]))
        for name, (unit, cycles) in _UNITS.items()
        if counts.get(name)
    )


def bound(counts: Mapping[str, int]) -> float:
    return max(cycles for _, cycles in busy(counts))
