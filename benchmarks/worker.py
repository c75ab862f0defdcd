"""A process that holds one engine and runs it on command: `python -m benchmarks.worker`.

Talks in JSON lines. First, unasked: {"load_ms", "mask_active"}. Then for a request
{"run": n} → {"ms": [n times]}; {"output": true} → {"output": [values]}; end of input ends it.
Any failure → {"error": text}, and the process ends.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
import time
from typing import Any, TextIO

from .engines import ENGINES, PACKAGES, Inference, Job


def mask_active() -> bool:
    """Whether the preloaded CPUID mask (maskcpuid.c) works in this process."""
    probe = getattr(ctypes.CDLL(None), "lpc_cpuid_mask_active", None)
    return probe is not None and bool(probe())


def timed_runs(infer: Inference, count: int) -> list[float]:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        infer()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def answer(infer: Inference, request: dict[str, Any]) -> dict[str, Any]:
    if "run" in request:
        return {"ms": timed_runs(infer, request["run"])}
    return {"output": infer().ravel().tolist()}


def serve(engine: str, job: Job, requests: TextIO, answers: TextIO) -> None:
    def send(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    try:
        importlib.import_module(PACKAGES[engine])
        start = time.perf_counter()
        infer = ENGINES[engine](job)
        send({"load_ms": 1e3 * (time.perf_counter() - start), "mask_active": mask_active()})
        for line in requests:
            send(answer(infer, json.loads(line)))
    except Exception as error:  # whatever an engine raises belongs into the report
        send({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


def main() -> None:
    # Engines may print: keep the answers on a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine, job, core = sys.argv[1], Job(**json.loads(sys.argv[2])), int(sys.argv[3])
    if core >= 0:
        os.sched_setaffinity(0, {core})
    serve(engine, job, sys.stdin, answers)


if __name__ == "__main__":
    main()
