"""Hot loops in assembly text: the innermost loops that multiply, and what LLVM left in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_FUNCTION = re.compile(r"^([\w.$]+):")
_LABEL = re.compile(r"^(\.L\w+):")
_JUMP = re.compile(r"^\tj\w+\t(\.L\w+)")
_WIDTHS = {"%zmm": 64, "%ymm": 32, "%xmm": 16}
#: Opcodes of dot products, less the v of their VEX forms → names that the bound knows, too.
DOTS = {
    "pmaddubsw": "vpmaddubsw",
    "pmaddwd": "vpmaddwd",
    "pdpbusd": "vpdpbusd",
    "pdpbssd": "vpdpbssd",
    "pdpbuud": "vpdpbuud",
    "pdpwssd": "vpdpwssd",
    "paddw": "vpaddw",
}
#: Of float kernels, which have no other.
FLOAT_DOTS = {**dict.fromkeys(("fmadd132ps", "fmadd213ps", "fmadd231ps"), "fma"), "mulps": "mulps"}

#: How often a loop's body has each of the instructions that tell loops apart.
Signature = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Loop:
    """The instructions of an innermost loop, one a line; `stack`: the registers that lead there."""

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
    def width(self) -> int:
        """Bytes of the registers of its dot products."""
        dots = [line for line in self.lines if opcode(line) in {**DOTS, **FLOAT_DOTS}]
        return max(size for name, size in _WIDTHS.items() if any(name in line for line in dots))

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
        """Instructions that touch the stack: nothing but spilled values is kept there."""
        return sum(any(f"({register}" in line for register in self.stack) for line in self.lines)


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
    """The innermost loops that contain dot products."""
    loops: list[Loop] = []
    function = ""
    stack: tuple[str, ...] = ("%rsp",)
    labels: dict[str, int] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if found := _LABEL.match(line):
            labels[found[1]] = len(lines)
        elif line.startswith("\t") and not line.startswith("\t."):
            lines.append(line.strip())
            if lines[-1].split() == ["movq", "%rsp,", "%rbp"]:
                stack = ("%rsp", "%rbp")
            if (jump := _JUMP.match(line)) and jump[1] in labels:
                loop = Loop(function, tuple(lines[labels[jump[1]] :]), stack)
                branches = any(other.startswith("j") for other in loop.lines[:-1])
                if not branches and loop.signature:
                    loops.append(loop)
        elif found := _FUNCTION.match(line):
            function, stack = found[1].removesuffix(".body"), ("%rsp",)
            labels, lines = {}, []
    # Where codes are multiplied, loops that only scale sums are epilogues.
    whole = {loop.function for loop in loops if not loop.is_float}
    return [loop for loop in loops if not loop.is_float or loop.function not in whole]
