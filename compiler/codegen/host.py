"""Which targets the CPU of this machine runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ..errors import LpcError
from .targets import TARGETS, Target, by_name, required_features


@cache
def cpu_features() -> frozenset[str]:
    """The flags of the first core in /proc/cpuinfo; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
    return frozenset(next(flags, ()))


@cache
def cpu_name() -> str:
    """What tells CPUs of different speed apart, as the first core of /proc/cpuinfo has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return "unknown"
    fields = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    return " ".join(
        fields.get(key, "") for key in ("model name", "cpu family", "model", "stepping")
    )


def runs_here(target: Target) -> bool:
    return cpu_features().issuperset(required_features(target))


def native_target() -> Target:
    """The preferred one of the targets that this CPU runs, which are listed in that order."""
    supported = [target for target in TARGETS if runs_here(target)]
    if not supported:
        raise LpcError(
            "this CPU runs none of lpc's targets, so 'native' names none; see `lpc targets`"
        )
    return supported[-1]


def resolve_targets(names: str) -> Sequence[Target]:
    """The rows for "native" or "avx2,avx512_vnni", preferred ones last, each once."""
    asked = {name.strip() for name in names.split(",") if name.strip()}
    if not asked:
        raise LpcError(f"'{names}' names no target; try native")
    rows = {native_target() if name == "native" else by_name(name) for name in asked}
    return [target for target in TARGETS if target in rows]
