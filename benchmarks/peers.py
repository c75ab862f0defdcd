"""Time engines against each other: long-lived worker processes that take turns.

Only one worker runs at any time; blocks of a fraction of a second alternate, so that a slow phase
of the machine hits every engine alike. One thread is pinned to one core, more threads roam.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .engines import Job
from .masking import Isa, mask_environment

BLOCK_MS = 250.0
PAUSE_S = 0.02  # lets the idle threads of the previous engine stop spinning
ROOT = Path(__file__).resolve().parents[1]


class EngineError(Exception):
    """An engine failed to load or to run; the text is its own."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds per inference."""

    minimum: float
    median: float
    iterations: int
    load_ms: float


def worker_environment(isa: Isa) -> dict[str, str]:
    mask = mask_environment(isa)
    folders = [mask.get("PYTHONPATH"), str(ROOT), os.environ.get("PYTHONPATH")]
    return os.environ | mask | {"PYTHONPATH": os.pathsep.join(filter(None, folders))}


def pinned_core(threads: int) -> int:
    """The core for a single thread (the last one allowed: the first serves interrupts), or -1."""
    return max(os.sched_getaffinity(0)) if threads == 1 else -1


class Worker:
    """A worker process (see worker.py) under the CPU mask `isa`; "native" hides nothing."""

    def __init__(self, engine: str, job: Job, isa: Isa = "native") -> None:
        arguments = [engine, json.dumps(asdict(job)), str(pinned_core(job.threads))]
        self.engine = engine
        self.times: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(isa),
            text=True,
        )
        try:
            ready = self._receive()
            if isa != "native" and not ready["mask_active"]:
                raise EngineError(f"{engine}: the CPU mask did not take effect")
        except EngineError:
            self.close()
            raise
        self.load_ms = float(ready["load_ms"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def run(self, count: int) -> list[float]:
        """Milliseconds of each of `count` inferences."""
        times: list[float] = self._ask({"run": count})["ms"]
        return times

    def output(self) -> list[float]:
        values: list[float] = self._ask({"output": True})["output"]
        return values

    def timing(self) -> Timing:
        middle = statistics.median(self.times)
        return Timing(min(self.times), middle, len(self.times), self.load_ms)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise EngineError(f"{self.engine}: the process ended") from None
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise EngineError(f"{self.engine}: the process ended with status {code}")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise EngineError(f"{self.engine}: {message['error']}")
        return message


def alternate(workers: Sequence[Worker], seconds: float) -> None:
    """Let the workers take turns until each has run for about `seconds`; fills their `times`."""
    warm = {worker.engine: min(worker.run(3)) for worker in workers}
    counts = {engine: max(1, round(BLOCK_MS / ms)) for engine, ms in warm.items()}
    for _ in range(max(1, round(1e3 * seconds / BLOCK_MS))):
        for worker in workers:
            time.sleep(PAUSE_S)
            worker.times += worker.run(counts[worker.engine])
