"""CPU features as rows: where cpuid reports each one, what the operating system must save for it.

`Target.requires` names features as /proc/cpuinfo does.  A compiled library checks them itself, with
`support/cpu.ll`: bit i of its feature word stands for row i of `FEATURES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import LpcError
from .targets import Target, required_features

# cpuid leaf and register, in the order in which @read_words of cpu.ll stores them
WORDS = ("leaf 1 ecx", "leaf 7 ebx", "leaf 7 ecx", "leaf 0x80000001 ecx")

# bits of XCR0: registers that the operating system saves when it switches threads
YMM_STATE = 0x06
ZMM_STATE = 0xE6


@dataclass(frozen=True)
class Feature:
    name: str
    word: Literal["leaf 1 ecx", "leaf 7 ebx", "leaf 7 ecx", "leaf 0x80000001 ecx"]
    bit: int
    saved: int = 0


FEATURES: tuple[Feature, ...] = (
    Feature("ssse3", "leaf 1 ecx", 9),
    Feature("sse4_1", "leaf 1 ecx", 19),
    Feature("sse4_2", "leaf 1 ecx", 20),
    Feature("movbe", "leaf 1 ecx", 22),
    Feature("popcnt", "leaf 1 ecx", 23),
    Feature("abm", "leaf 0x80000001 ecx", 5),
    Feature("bmi1", "leaf 7 ebx", 3),
    Feature("bmi2", "leaf 7 ebx", 8),
    Feature("avx", "leaf 1 ecx", 28, YMM_STATE),
    Feature("fma", "leaf 1 ecx", 12, YMM_STATE),
    Feature("f16c", "leaf 1 ecx", 29, YMM_STATE),
    Feature("avx2", "leaf 7 ebx", 5, YMM_STATE),
    Feature("avx512f", "leaf 7 ebx", 16, ZMM_STATE),
    Feature("avx512dq", "leaf 7 ebx", 17, ZMM_STATE),
    Feature("avx512cd", "leaf 7 ebx", 28, ZMM_STATE),
    Feature("avx512bw", "leaf 7 ebx", 30, ZMM_STATE),
    Feature("avx512vl", "leaf 7 ebx", 31, ZMM_STATE),
    Feature("avx512_vnni", "leaf 7 ecx", 11, ZMM_STATE),
)


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
