"""Thread counts under control groups; /proc and /sys are imitated."""

from __future__ import annotations

from pathlib import Path

import pytest
from lpc.runtime import available_threads


def _machine(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.fixture(autouse=True)
def _sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)))


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, 16),
        ({"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, 16),
        ({"sys/fs/cgroup/a/b/cpu.max": "250000 100000\n"}, 3),
        ({"sys/fs/cgroup/a/cpu.max": "200000 100000\n"}, 2),
        ({"sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
        ({"sys/fs/cgroup/a/b/cpu.max": "nonsense"}, 16),
    ],
)
def test_cgroup_v2(tmp_path: Path, files: dict[str, str], threads: int) -> None:
    root = _machine(tmp_path, {"proc/self/cgroup": "0::/a/b\n", **files})
    assert available_threads(root) == threads


@pytest.mark.parametrize(
    ("controllers", "folder", "quota", "threads"),
    [
        ("cpu,cpuacct", "cpu,cpuacct/docker", "400000", 4),
        ("cpu,cpuacct", "cpu", "150000", 2),
        ("cpu", "cpu/docker", "-1", 16),
        ("cpuset", "cpuset/docker", "100000", 16),
    ],
)
def test_cgroup_v1(tmp_path: Path, controllers: str, folder: str, quota: str, threads: int) -> None:
    files = {
        "proc/self/cgroup": f"4:memory:/docker\n3:{controllers}:/docker\n",
        f"sys/fs/cgroup/{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"sys/fs/cgroup/{folder}/cpu.cfs_period_us": "100000\n",
    }
    assert available_threads(_machine(tmp_path, files)) == threads
