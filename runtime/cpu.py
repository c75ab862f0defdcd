"""How many threads this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator


def available_threads(root: str | os.PathLike[str] = "/") -> int:
    """CPUs in this process's affinity mask, or fewer when a cgroup (v1 or v2) limits CPU time.

    A quota of 2.5 CPUs counts as 3 threads. `root` is where /proc and /sys are found.
    """
    cpus = len(os.sched_getaffinity(0))
    quotas = [quota for quota in _quotas(os.fspath(root)) if quota > 0]
    return max(1, min([cpus, *(math.ceil(quota) for quota in quotas)]))


def _quotas(root: str) -> Iterator[float]:
    """CPU limits of this process's control groups and of all groups above them."""
    for line in _read(f"{root}/proc/self/cgroup").splitlines():
        fields = line.split(":", 2)
        if len(fields) != 3:
            continue
        _, controllers, group = fields
        if not controllers:
            for folder in _upwards(f"{root}/sys/fs/cgroup", group):
                yield _ratio(_read(f"{folder}/cpu.max").split())
        elif "cpu" in controllers.split(","):
            for mount in ("cpu", controllers):
                for folder in _upwards(f"{root}/sys/fs/cgroup/{mount}", group):
                    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                    yield _ratio([_read(f"{folder}/{name}").strip() for name in names])


def _upwards(mount: str, group: str) -> Iterator[str]:
    """The group's folder and its parents; inside a container only the mount itself may exist."""
    parts = [part for part in group.split("/") if part]
    for count in range(len(parts), -1, -1):
        yield "/".join((mount, *parts[:count]))


def _ratio(words: list[str]) -> float:
    """quota / period in CPUs; 0 for no limit ("max 100000", -1) or for files that are not there."""
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return 0.0
    return int(words[0]) / int(words[1])


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
