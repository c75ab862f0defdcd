"""Timing of inference requests: one after the other (sync) or several in flight (async).

Each request in flight is a Python thread, which spends the inference inside the library, without
the interpreter's lock and with a workspace of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lpc.runtime import LayerCounter, Model

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
    model: Model, inputs: Inputs, iterations: int | None, seconds: float | None, requests: int = 1
) -> Measurement:
    """Runs until `iterations`, rounded up to a multiple of `requests`, or `seconds` are over."""
    begin = time.perf_counter()
    model.run(inputs)
    first = time.perf_counter() - begin
    each = None if iterations is None else -(-iterations // requests)
    begin = time.perf_counter()
    deadline = math.inf if seconds is None else begin + seconds
    with ThreadPoolExecutor(requests) as pool:
        work = [pool.submit(_latencies, model, inputs, each, deadline) for _ in range(requests)]
        latencies = np.concatenate([request.result() for request in work])
    duration = time.perf_counter() - begin
    shape = model.inputs[0].shape
    batch = shape[0] if len(shape) > 1 else 1
    return Measurement(batch, first * 1e3, duration * 1e3, latencies * 1e3)


def profile(model: Model, inputs: Inputs, requests: int) -> list[list[LayerCounter]]:
    """The counters of one inference by each of `requests` in flight at the same time."""
    with ThreadPoolExecutor(requests) as pool:
        return list(pool.map(lambda _: model.profile(inputs), range(requests)))


def _latencies(
    model: Model, inputs: Inputs, each: int | None, deadline: float
) -> npt.NDArray[np.float64]:
    """Seconds of every run; at least one."""
    clock = time.perf_counter
    latencies: list[float] = []
    begin = clock()
    while True:
        model.run(inputs)
        end = clock()
        latencies.append(end - begin)
        if len(latencies) == each or end >= deadline:
            return np.array(latencies)
        begin = end
