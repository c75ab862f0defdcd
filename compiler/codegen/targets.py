"""The targets as rows: what a CPU must have, and what the generators may assume.

`implies` makes them a partial order, in which AVX-512 and AVX-VNNI are neighbours: CPUs have the
one, the other, or both. The order of the rows extends it to a total one, which is the order of
preference: a library runs the last of its targets that the CPU has. A row thus stands after those
that it implies, and after those that are slower on CPUs that have both.

Adding an instruction set means adding a row here and its instructions in `instructions.py`;
see docs/add-an-isa.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import LpcError


@dataclass(frozen=True)
class Target:
    """One instruction-set target.

    `vector_bytes`: width of one register; `registers`: how many there are. `requires`: CPU features
    by their `/proc/cpuinfo` names, beside those of the row that it `implies`. `llvm_cpu`,
    `llvm_features`: what LLVM may emit, and schedule for; nothing that `requires` lacks. `dot4`:
    name of the instruction row that computes four exact u8×s8 products per i32 lane, if the target
    has one; otherwise dot products are assembled from 16-bit multiplies. `dot4_signs`: which signs
    of the two operands (u8 or s8) such instructions exist for. `dot2`: the row that adds two s16
    products to an i32 lane, if it is one instruction. `tile_dot4`: the row that multiplies tile
    registers, where there are some (tile_registers.py)."""

    name: str
    title: str
    implies: str | None
    requires: tuple[str, ...]
    vector_bytes: int
    registers: int
    llvm_cpu: str
    llvm_features: str
    fma: bool
    dot4: str | None = None
    dot2: str | None = None
    dot4_signs: tuple[str, ...] = ("us",)
    tile_dot4: str | None = None

    def __post_init__(self) -> None:
        if self.vector_bytes not in (16, 32, 64):
            raise ValueError(f"{self.name}: registers of {self.vector_bytes} bytes")
        if self.tile_dot4 and not (self.dot4 and self.vector_bytes == 64):
            raise ValueError(f"{self.name}: rows of tile registers are vectors of 64 bytes")

    @property
    def lanes(self) -> int:
        """32-bit lanes of one register."""
        return self.vector_bytes // 4

    @property
    def adds_fastest(self) -> bool:
        """Whether additions are the cheapest floating-point operations. Near instructions on tile
        registers a core has one unit of 512 bits for products, conversions, comparisons and
        roundings, and two for additions (measured on Granite Rapids, docs/performance.md)."""
        return self.tile_dot4 is not None

    @property
    def masks(self) -> bool:
        """Whether loads and stores of any elements under a mask are single instructions."""
        return self.vector_bytes == 64


TARGETS: tuple[Target, ...] = (
    Target(
        name="sse42",
        title="SSE4.2",
        implies=None,
        requires=("ssse3", "sse4_1", "sse4_2", "popcnt"),
        vector_bytes=16,
        registers=16,
        llvm_cpu="nehalem",
        llvm_features="",
        fma=False,
    ),
    Target(
        name="avx2",
        title="AVX2",
        implies="sse42",
        # all that `llvm_cpu` lets LLVM use
        requires=("avx2", "fma", "bmi1", "bmi2", "abm", "movbe", "f16c"),
        vector_bytes=32,
        registers=16,
        llvm_cpu="haswell",
        llvm_features="",
        fma=True,
    ),
    Target(
        name="avx512",
        title="AVX-512 (F, BW, DQ, VL, CD)",
        implies="avx2",
        requires=("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"),
        vector_bytes=64,
        registers=32,
        llvm_cpu="skylake-avx512",
        llvm_features="-prefer-256-bit",
        fma=True,
    ),
    Target(
        name="avx_vnni",
        title="AVX-VNNI (256 bits)",
        implies="avx2",
        requires=("avx_vnni",),
        vector_bytes=32,
        registers=16,
        llvm_cpu="haswell",
        llvm_features="+avxvnni,+fast-dpwssd",  # else LLVM makes two instructions of vpdpwssd
        fma=True,
        dot4="vpdpbusd",
        dot2="vpdpwssd",
    ),
    Target(
        name="avx10",
        title="AVX-VNNI-INT8 (256 bits)",
        implies="avx_vnni",
        requires=("avx_vnni_int8",),
        vector_bytes=32,
        registers=16,
        llvm_cpu="haswell",
        llvm_features="+avxvnni,+avxvnniint8,+fast-dpwssd",
        fma=True,
        dot4="vpdpbusd",
        dot4_signs=("us", "ss", "uu"),
        dot2="vpdpwssd",
    ),
    Target(
        name="avx512_vnni",
        title="AVX-512 VNNI",
        implies="avx512",
        requires=("avx512_vnni",),
        vector_bytes=64,
        registers=32,
        llvm_cpu="cascadelake",
        llvm_features="-prefer-256-bit,+fast-dpwssd",
        fma=True,
        dot4="vpdpbusd",
        dot2="vpdpwssd",
    ),
    Target(
        name="amx_int8",
        title="AMX-INT8 (tile registers)",
        implies="avx512_vnni",
        requires=("amx_tile", "amx_int8"),
        vector_bytes=64,
        registers=32,
        llvm_cpu="cascadelake",
        llvm_features="-prefer-256-bit,+amx-tile,+amx-int8",
        fma=True,
        dot4="vpdpbusd",
        dot2="vpdpwssd",
        tile_dot4="tdpbusd",
    ),
)


def _check_order() -> None:
    """Every row stands after the one that it implies."""
    for number, target in enumerate(TARGETS):
        if target.implies not in (None, *(earlier.name for earlier in TARGETS[:number])):
            raise ValueError(f"{target.name} implies {target.implies}, which does not precede it")


_check_order()


def by_name(name: str) -> Target:
    for target in TARGETS:
        if target.name == name:
            return target
    known = ", ".join(target.name for target in TARGETS)
    raise LpcError(f"target '{name}' is unknown; known targets: {known}, native")


def required_features(target: Target) -> tuple[str, ...]:
    """CPU features of the whole `implies` chain."""
    inherited = required_features(by_name(target.implies)) if target.implies else ()
    return (*inherited, *target.requires)
