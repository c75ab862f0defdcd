"""Timing of inference requests: one after the other (sync) or several in flight (async).

A request is a loaded model with a workspace of its own. Each one in flight has a Python thread,
which spends the inference inside the library, without the interpreter's lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lpc.runtime import Model

Inputs = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Measurement:
    """Times in milliseconds; `first` is the inference that warms up, not part of the rest."""

    batch: int
    first: float
    duration: float
    latencies: npt.NDArray[np.float64]

    @property
    def count(self) -> int:
        return len(self.latencies)

    @property
    def throughput(self) -> float:
        """Samples per second."""
        return self.batch * self.count / self.duration * 1e3

    def percentile(self, percent: float) -> float:
        """The nearest-rank percentile, as benchmark_app has it."""
        return float(np.sort(self.latencies)[math.ceil(self.count * percent / 100) - 1])

    def rows(self) -> list[tuple[str, float, str]]:
        """(name, value, unit) of every result."""
        return [
            ("First inference", self.first, "ms"),
            ("Count", self.count, "iterations"),
            ("Duration", self.duration, "ms"),
            ("Median", self.percentile(50), "ms"),
            ("Average", float(self.latencies.mean()), "ms"),
            ("Min", float(self.latencies.min()), "ms"),
            ("Max", float(self.latencies.max()), "ms"),
            ("Throughput", self.throughput, "FPS"),
        ]

    def lines(self) -> Iterator[str]:
        for name, value, unit in self.rows():
            number = f"{value}" if isinstance(value, int) else f"{value:.3f}"
            yield f"{name + ':':17}{number:>12} {unit}"


def measure(
    requests: Sequence[Model], inputs: Inputs, iterations: int | None, seconds: float | None
) -> Measurement:
    """Runs until `iterations` (rounded up to a multiple of the requests) or `seconds` are
    reached."""
    begin = time.perf_counter()
    requests[0].run(inputs)
    first = time.perf_counter() - begin
    for request in requests[1:]:
        request.run(inputs)
    each = None if iterations is None else -(-iterations // len(requests))
    begin = time.perf_counter()
    deadline = math.inf if seconds is None else begin + seconds
    latencies = _in_parallel(requests, inputs, each, deadline)
    duration = time.perf_counter() - begin
    shape = requests[0].inputs[0].shape
    batch = shape[0] if len(shape) > 1 else 1
    return Measurement(batch, first * 1e3, duration * 1e3, latencies * 1e3)


def _in_parallel(
    requests: Sequence[Model], inputs: Inputs, each: int | None, deadline: float
) -> npt.NDArray[np.float64]:
    if len(requests) == 1:
        return np.array(_latencies(requests[0], inputs, each, deadline))
    results: list[list[float]] = [[] for _ in requests]

    def work(number: int) -> None:
        results[number] = _latencies(requests[number], inputs, each, deadline)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.concatenate([np.array(result) for result in results])


def _latencies(request: Model, inputs: Inputs, each: int | None, deadline: float) -> list[float]:
    """Seconds of every run; at least one."""
    clock = time.perf_counter
    latencies: list[float] = []
    begin = clock()
    while True:
        request.run(inputs)
        end = clock()
        latencies.append(end - begin)
        if len(latencies) == each or end >= deadline:
            return latencies
        begin = end
