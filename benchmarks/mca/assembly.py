"""Hot loops in assembly text: what multiplies or transforms, and what LLVM left in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

_FUNCTION = re.compile(r"^([\w.$]+):")
_LABEL = re.compile(r"^(\.L\w+):")
_JUMP = re.compile(r"^\tj\w+\t(\S+)")
_WIDTHS = {"%tmm": 64, "%zmm": 64, "%ymm": 32, "%xmm": 16}
#: Opcodes of dot products, less the v of their VEX forms → names that the bound knows, too.
DOTS = {
    "pmaddubsw": "vpmaddubsw",
    "pmaddwd": "vpmaddwd",
    "pdpbusd": "vpdpbusd",
    "pdpbssd": "vpdpbssd",
    "pdpbuud": "vpdpbuud",
    "pdpwssd": "vpdpwssd",
    "paddw": "vpaddw",
    "tdpbusd": "tdpbusd",
}
#: Of float kernels, which have no other.
FLOAT_DOTS = {**dict.fromkeys(("fmadd132ps", "fmadd213ps", "fmadd231ps"), "fma"), "mulps": "mulps"}
#: Code without dot products that adds, shifts and multiplies at least so many vectors of integers,
#: and no floats, is a transform of Winograd's: epilogues work on floats, and copies add little.
TRANSFORMS_FROM = 24
_ARITHMETIC = ("padd", "psub", "psll", "psra", "psrl", "pmull")
_FLOAT = ("addps", "subps", "mulps", "divps", "maxps", "minps", "cvt", "fmadd", "fnmadd")
_SLOT = re.compile(r"-?\d*\(%\w+\)")

#: How often a loop's body has each of the instructions that tell loops apart.
Signature = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Loop:
    """The instructions of an innermost loop, one a line; `stack`: the registers that lead there.
    Or of a block within a loop, which is treated like a loop of its own."""

    function: str
    lines: tuple[str, ...]
    stack: tuple[str, ...]

    @property
    def signature(self) -> Signature:
        return signature_of(opcode(line) for line in self.lines)

    @property
    def is_float(self) -> bool:
        return all(name in FLOAT_DOTS.values() for name, _ in self.signature)

    @property
    def is_tiled(self) -> bool:
        """Whether it multiplies tile registers."""
        return any(name == "tdpbusd" for name, _ in self.signature)

    @property
    def is_transform(self) -> bool:
        others = self.signature or any(name.startswith(_FLOAT) for name in self.opcodes)
        return self.arithmetic >= TRANSFORMS_FROM and not others

    @property
    def arithmetic(self) -> int:
        """As HotLoop.arithmetic."""
        return sum(name.startswith(_ARITHMETIC) for name in self.opcodes)

    @property
    def width(self) -> int:
        """Bytes of the registers of its dot products, or of all if it has none."""
        dots = [line for line in self.lines if opcode(line) in {**DOTS, **FLOAT_DOTS}]
        lines = dots if self.signature else self.lines
        return max(size for name, size in _WIDTHS.items() if any(name in line for line in lines))

    @property
    def opcodes(self) -> tuple[str, ...]:
        return tuple(map(opcode, self.lines))

    @property
    def broadcasts(self) -> int:
        """Inputs that are repeated in all lanes."""
        names = ("vpbroadcast", "vbroadcast", "pshufd\t$0", "shufps\t$0")
        return sum(line.startswith(names) or "{1to" in line for line in self.lines)

    @property
    def spills(self) -> int:
        """Instructions that touch the stack: nothing but spilled values is kept there, except for
        the scratch of a transform, which it reads by an index or only writes."""
        touching = [line for line in self.lines if any(f"({r}" in line for r in self.stack)]
        if not self.is_transform:
            return len(touching)
        slots = [(found[0], line) for line in touching if (found := _SLOT.search(line))]
        read = {slot for slot, line in slots if not line.endswith(slot)}
        return sum(slot in read for slot, _ in slots)


def opcode(line: str) -> str:
    """Without the v of a VEX or EVEX form, and the {vex} that chooses between the two."""
    return line.removeprefix("{vex}").split()[0].removeprefix("v")


def signature_of(opcodes: Iterable[str]) -> Signature:
    counts = Counter(opcodes)
    for names in (DOTS, FLOAT_DOTS):
        found = Counter[str]()
        for name, count in counts.items():
            if name in names:
                found[names[name]] += count
        if found.keys() - {"vpaddw"}:
            return tuple(sorted(found.items()))
    return ()


def hot_loops(text: str) -> list[Loop]:
    """The innermost loops that contain dot products; blocks within loops that multiply tile
    registers, and transforms."""
    loops = [found for function in _functions(text) for found in _hot_loops(function)]
    # Where codes are multiplied, loops that only scale sums are epilogues.
    whole = {loop.function for loop in loops if loop.signature and not loop.is_float}
    return [
        loop
        for loop in loops
        if not loop.signature or not loop.is_float or loop.function not in whole
    ]


@dataclass
class _Function:
    """Its lines, and where labels point; `jumps`: places of jumps → where they lead back to, if
    they do."""

    name: str
    lines: list[str] = field(default_factory=list)
    stack: tuple[str, ...] = ("%rsp",)
    labels: dict[str, int] = field(default_factory=dict)
    jumps: dict[int, int | None] = field(default_factory=dict)

    def read(self, line: str) -> None:
        if found := _LABEL.match(line):
            self.labels[found[1]] = len(self.lines)
        elif line.startswith("\t") and not line.startswith("\t."):
            if jump := _JUMP.match(line):
                self.jumps[len(self.lines)] = self.labels.get(jump[1])
            self.lines.append(line.strip())
            if self.lines[-1].split() == ["movq", "%rsp,", "%rbp"]:
                self.stack = ("%rsp", "%rbp")

    def between(self, start: int, end: int) -> Loop:
        return Loop(self.name, tuple(self.lines[start:end]), self.stack)


def _functions(text: str) -> list[_Function]:
    functions = [_Function("")]
    for line in text.splitlines():
        if not _LABEL.match(line) and (found := _FUNCTION.match(line)):
            functions.append(_Function(found[1].removesuffix(".body")))
        else:
            functions[-1].read(line)
    return functions


def _hot_loops(function: _Function) -> list[Loop]:
    """In the order of the text."""
    innermost, found = dict[int, int](), list[tuple[int, Loop]]()
    for jump, target in function.jumps.items():
        if target is not None and not any(target <= other < jump for other in function.jumps):
            innermost[target] = jump + 1
    for start, end in innermost.items():
        loop = function.between(start, end)
        if loop.signature or loop.is_transform:
            found.append((start, loop))
    bounds = sorted({0, *function.labels.values(), *(place + 1 for place in function.jumps)})
    for start, end in pairwise(bounds):
        block = function.between(start, end)
        if start not in innermost and (block.is_tiled or block.is_transform):
            found.append((start, block))
    return [loop for _, loop in sorted(found, key=lambda entry: entry[0])]
