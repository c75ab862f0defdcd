"""Counters: one row per layer of the source model, times from the library's clock."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import lpc.runtime as lpr
import pytest
from lpc.compiler.codegen.jit import JitLibrary
from tiny_models import INFO, program, program_of, slow_step, x


def test_rows_follow_the_source_model(library: Path) -> None:
    rows = lpr.load(library, num_threads=1, target="sse42").profile({"x": x()}, iterations=3)
    assert [(r.layer, r.exec_status, r.layer_type, r.exec_type) for r in rows] == [
        ("scale", "EXECUTED", "Mul", "jit_sse42_I8"),
        ("relu", "NOT_RUN", "Relu", "undef"),
        ("bias", "EXECUTED", "Add", "jit_sse42_I8"),
        ("slow", "NOT_RUN", "Loop", "undef"),
    ]
    assert rows[0].real_time_ms > 0
    assert rows[1].real_time_ms == rows[1].cpu_time_ms == 0


def _profile(steps: int, threads: int) -> tuple[list[lpr.LayerCounter], float]:
    jit = JitLibrary(program_of("sse42", (slow_step("sse42"),) * steps), INFO)
    model = lpr.Model(jit.address, "slow", num_threads=threads)
    model.profile({"x": x()})
    start = time.perf_counter()
    rows = model.profile({"x": x()}, iterations=5)
    return rows, (time.perf_counter() - start) * 1000 / 5


@pytest.mark.parametrize("threads", [1, 2])
def test_times_of_a_layer_add_up(threads: int) -> None:
    rows, elapsed = _profile(3, threads)
    slow = rows[-1]
    assert 0 < slow.real_time_ms <= elapsed
    assert slow.cpu_time_ms > 0  # how it compares depends on what else the machine does
    if threads == 1:
        assert slow.cpu_time_ms == slow.real_time_ms


def test_a_step_of_no_source_layer_gets_its_own_row() -> None:
    base = program("sse42", 1)
    steps = (*base.steps, slow_step("sse42", layer="reorder"))
    model = lpr.Model(JitLibrary(replace(base, steps=steps), INFO).address, "tiny", num_threads=1)
    assert model.profile({"x": x()})[-1].layer == "reorder"


def test_csv() -> None:
    rows = [
        lpr.LayerCounter("conv", "EXECUTED", "Conv", "jit_avx2_I8", 0.25, 0.5),
        lpr.LayerCounter("relu", "NOT_RUN", "Relu", "undef", 0.0, 0.0),
        lpr.LayerCounter("a;b", "EXECUTED", "Add", "jit_avx2_I8", 1.0, 1.0),
    ]
    assert lpr.counters_csv(rows).splitlines() == [
        "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)",
        "conv;EXECUTED;Conv;jit_avx2_I8;0.250000;0.500000",
        "relu;NOT_RUN;Relu;undef;0.000000;0.000000",
        '"a;b";EXECUTED;Add;jit_avx2_I8;1.000000;1.000000',
        "Total;;;;1.250000;1.500000",
    ]


def test_bad_iterations(library: Path) -> None:
    with pytest.raises(lpr.LpcRuntimeError, match="iterations is 0"):
        lpr.load(library).profile({"x": x()}, iterations=0)
