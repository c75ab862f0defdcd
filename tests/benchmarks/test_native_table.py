"""What `make bench-native` prints of its times."""

from __future__ import annotations

import json
from dataclasses import asdict

from benchmarks.native import Suite, table_of
from benchmarks.peers import Timing
from benchmarks.report import ModelResult, Report, this_machine


def test_times_are_milliseconds_as_measured() -> None:
    timings = {"lpc": Timing(minimum=2.65, median=3.0, iterations=9, load_ms=1.0)}
    results = [ModelResult("here", "int8", macs=10**8, timings=timings)]
    report = Report(this_machine(), "avx2", "lpc alone", results, {1: 95.4})
    suite = Suite(0, cases={"avx2": 300}, generated={"avx2": 200})
    table = table_of([report], ["here", "absent"], suite)
    assert [column.header for column in table.columns] == ["", "avx2"]
    titles, values = ([*column.cells] for column in table.columns)
    assert titles == ["generated", "compared", "peak GMAC/s", "here ms", "absent ms"]
    assert values == ["200", "300", "95", "2.65", "failed"]
    assert table_of([report], ["here"], None).row_count == 2


def test_tallies_of_the_tests_go_into_the_json() -> None:
    suite = Suite(0, cases={"avx2": 300}, generated={"avx2": 200})
    assert json.loads(json.dumps(asdict(suite)))["cases"] == {"avx2": 300}
