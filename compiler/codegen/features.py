"""CPU features as rows: where cpuid reports each one, what the operating system must save for it.

`Target.requires` names features as /proc/cpuinfo does.  A compiled library checks them itself, with
`support/cpu.ll`: bit i of its feature word stands for row i of `FEATURES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import LpcError
from .targets import Target, required_features

Register = Literal["eax", "ebx", "ecx", "edx"]
#: In the order in which cpu.ll stores them.
REGISTERS: tuple[Register, ...] = get_args(Register)


@dataclass(frozen=True)
class Word:
    """32 bits that cpuid reports. Only leaf 7 says how many subleaves it has."""

    leaf: int
    register: Register
    subleaf: int = 0

    def __post_init__(self) -> None:
        if self.subleaf and self.leaf != 7:
            raise ValueError(f"leaf {self.leaf} does not say whether it has subleaf {self.subleaf}")


LEAF_1_ECX = Word(1, "ecx")
LEAF_7_EBX = Word(7, "ebx")
LEAF_7_ECX = Word(7, "ecx")
LEAF_7_EDX = Word(7, "edx")
LEAF_7_1_EAX = Word(7, "eax", subleaf=1)
LEAF_7_1_EDX = Word(7, "edx", subleaf=1)
EXTENDED_1_ECX = Word(0x80000001, "ecx")

# bits of XCR0: registers that the operating system saves when it switches threads
YMM_STATE = 0x06
ZMM_STATE = 0xE6
TILE_STATE = 0x60000


@dataclass(frozen=True)
class Feature:
    """`on_request`: Linux gives its registers only to a process that has asked for them."""

    name: str
    word: Word
    bit: int
    saved: int = 0
    on_request: bool = False


FEATURES: tuple[Feature, ...] = (
    Feature("ssse3", LEAF_1_ECX, 9),
    Feature("sse4_1", LEAF_1_ECX, 19),
    Feature("sse4_2", LEAF_1_ECX, 20),
    Feature("movbe", LEAF_1_ECX, 22),
    Feature("popcnt", LEAF_1_ECX, 23),
    Feature("abm", EXTENDED_1_ECX, 5),
    Feature("bmi1", LEAF_7_EBX, 3),
    Feature("bmi2", LEAF_7_EBX, 8),
    Feature("avx", LEAF_1_ECX, 28, YMM_STATE),
    Feature("fma", LEAF_1_ECX, 12, YMM_STATE),
    Feature("f16c", LEAF_1_ECX, 29, YMM_STATE),
    Feature("avx2", LEAF_7_EBX, 5, YMM_STATE),
    Feature("avx_vnni", LEAF_7_1_EAX, 4, YMM_STATE),
    Feature("avx_vnni_int8", LEAF_7_1_EDX, 4, YMM_STATE),
    Feature("avx512f", LEAF_7_EBX, 16, ZMM_STATE),
    Feature("avx512dq", LEAF_7_EBX, 17, ZMM_STATE),
    Feature("avx512cd", LEAF_7_EBX, 28, ZMM_STATE),
    Feature("avx512bw", LEAF_7_EBX, 30, ZMM_STATE),
    Feature("avx512vl", LEAF_7_EBX, 31, ZMM_STATE),
    Feature("avx512_vnni", LEAF_7_ECX, 11, ZMM_STATE),
    Feature("amx_tile", LEAF_7_EDX, 24, TILE_STATE, on_request=True),
    Feature("amx_int8", LEAF_7_EDX, 25, TILE_STATE, on_request=True),
)

WORDS: tuple[Word, ...] = tuple(dict.fromkeys(feature.word for feature in FEATURES))


def feature_mask(target: Target) -> int:
    """The bits that a CPU must have for `target`."""
    rows = {feature.name: index for index, feature in enumerate(FEATURES)}
    mask = 0
    for name in required_features(target):
        if name not in rows:
            raise LpcError(
                f"target '{target.name}': no row for CPU feature '{name}' in features.py"
            )
        mask |= 1 << rows[name]
    return mask
