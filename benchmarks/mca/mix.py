"""A loop's necessary operations as instructions that do not depend on one another.

Registers 0 and 1 are only read, all others are written in turn, so that even instructions that add
to their destination wait for none that is less than a dozen instructions old."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from .necessary import Work

#: Operation → instructions; {z} stands for the width's letter, {d} for the number of a register.
_THREE_OPERANDS = "{name} %{z}mm0, %{z}mm1, %{z}mm{d}"
_TWO_OPERANDS = "{name} %{z}mm0, %{z}mm{d}"
_FROM_MEMORY = "{name} (%rdi), %{z}mm1, %{z}mm{d}"
_TEMPLATES: dict[str, tuple[str, ...]] = {
    "load": ("vmovups (%rdi), %{z}mm{d}",),
    "store": ("vmovups %{z}mm0, (%rsi)",),
    "scalar_load": ("movslq (%rdi), %rax",),
    "copy": ("vmovaps %{z}mm0, %{z}mm{d}",),
    "shuffle": ("vpunpcklbw %{z}mm0, %{z}mm1, %{z}mm{d}",),
    "broadcast32": ("vbroadcastss (%rdi), %{z}mm{d}",),
    "broadcast16": ("vpbroadcastw (%rdi), %{z}mm{d}",),
    "fma": ("vfmadd231ps %{z}mm0, %{z}mm1, %{z}mm{d}",),
    "zext8to16": ("vpmovzxbw %{h}mm0, %{z}mm{d}",),
    "sext8to16": ("vpmovsxbw %{h}mm0, %{z}mm{d}",),
    "vpmaxsb": ("vpabsb %{z}mm0, %{z}mm{d}",),
    "negation": (),
}
#: Without a load that repeats one element.
_SSE_TEMPLATES: dict[str, tuple[str, ...]] = {
    "broadcast32": ("vmovd (%rdi), %xmm{d}", "vpshufd $0, %xmm0, %xmm{d}"),
    "broadcast16": ("movzwl (%rdi), %eax", "vmovd %r8d, %xmm{d}", "vpshufd $0, %xmm0, %xmm{d}"),
}
_WIDE_TEMPLATES: dict[str, tuple[str, ...]] = {
    "vpand": ("vpandd %zmm0, %zmm1, %zmm{d}",),
    "vpor": ("vpord %zmm0, %zmm1, %zmm{d}",),
    "vpxor": ("vpxord %zmm0, %zmm1, %zmm{d}",),
    "compare": ("vpmovb2m %zmm0, %k1",),
    "loop.select": ("vpsubb %zmm0, %zmm1, %zmm{d} {{%k1}}",),
}
_SPECIAL: dict[int, dict[str, tuple[str, ...]]] = {16: _SSE_TEMPLATES, 64: _WIDE_TEMPLATES}
_SHIFTS = ("vpsrl", "vpsra", "vpsll")
_ONE_SOURCE = ("vcvt",)
_LETTERS = {16: "x", 32: "y", 64: "z"}
#: May take an operand from memory instead of a load of its own.
_FOLDING = (
    "vpmaddubsw", "vpmaddwd", "vpaddw", "vpdpbusd", "vpdpbssd", "vpdpbuud", "vpdpwssd",
    "fma", "mulps",
)  # fmt: skip
#: Have a VEX form as well, which has to be asked for by name.
_EITHER_FORM = ("vpdpbusd", "vpdpwssd")


def mixes(work: Work, width: int, registers: int) -> list[tuple[list[str], int]]:
    """Ways to order and encode the work in registers of `width` bytes, and how many iterations each
    block holds; the fastest counts."""
    # Not all instructions on narrow vectors have names for 32 registers.
    usable = registers if width == 64 else 16
    apart, folded = _operations(work, width, False), _operations(work, width, True)
    if registers == 16:
        apart, folded = ([list(map(_vex, group)) for group in ways] for ways in (apart, folded))
    orders = (_in_turn(apart), _in_turn(folded), [line for group in folded for line in group])
    # Several times, so that all registers are written before one is written again.
    repeats = [-(-64 // len(order)) for order in orders]
    return [
        (_numbered([*order] * repeat, usable), repeat)
        for order, repeat in zip(orders, repeats, strict=True)
    ]


def _operations(work: Work, width: int, folds: bool) -> list[list[str]]:
    """The instructions of each kind of operation, registers still open."""
    loads, groups = work["load"] if folds else 0, []
    for name, count in sorted(work.items()):
        lines = _lines(name, width)
        if name == "load":
            count -= loads
        groups.append([line for _ in range(count) for line in lines])
    if not folds:
        return groups
    for group, name in zip(groups, sorted(work), strict=True):
        # As many loads as there are instructions that can take them.
        if name in _FOLDING and loads:
            taken = min(loads, len(group))
            group[:taken] = [_lines(name, width, memory=True)[0]] * taken
            loads -= taken
    return [*groups, list(_lines("load", width)) * loads]


def _lines(name: str, width: int, memory: bool = False) -> tuple[str, ...]:
    special = _SPECIAL.get(width, {})
    letters = {"z": _LETTERS[width], "h": _LETTERS[max(16, width // 2)], "d": "{d}"}
    if memory:
        lines: tuple[str, ...] = (_FROM_MEMORY,)
        name = {"fma": "vfmadd231ps", "mulps": "vmulps"}.get(name, name)
    elif (found := special.get(name, _TEMPLATES.get(name))) is not None:
        lines = found
    elif name.startswith(_SHIFTS):
        lines = ("{name} $8, %{z}mm0, %{z}mm{d}",)
    elif name.startswith(_ONE_SOURCE):
        lines = (_TWO_OPERANDS,)
    else:
        lines = (_THREE_OPERANDS,)
        name = name if name.startswith("v") else f"v{name}"
    return tuple(line.format(name=name, **letters) for line in lines)


def _vex(line: str) -> str:
    return f"{{vex}} {line}" if line.startswith(_EITHER_FORM) else line


def _in_turn(groups: Sequence[Sequence[str]]) -> list[str]:
    """Every kind spread evenly over the whole."""
    placed = [
        (Fraction(2 * i + 1, 2 * len(group)), number, line)
        for number, group in enumerate(groups)
        for i, line in enumerate(group)
    ]
    return [line for _, _, line in sorted(placed, key=lambda entry: entry[:2])]


def _numbered(lines: Sequence[str], registers: int) -> list[str]:
    written, numbered = 0, []
    for line in lines:
        numbered.append(line.replace("{d}", str(2 + written % (registers - 2))))
        written += "{d}" in line
    return numbered
