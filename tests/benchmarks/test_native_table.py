"""What `make bench-native` prints of its times."""

from __future__ import annotations

from collections import Counter

from benchmarks.native import Suite, table_of
from benchmarks.peers import Timing
from benchmarks.report import ModelResult, Report, this_machine


def test_times_are_milliseconds_as_measured() -> None:
    timings = {"lpc": Timing(minimum=2.65, median=3.0, iterations=9, load_ms=1.0)}
    results = [ModelResult("here", "int8", macs=10**8, timings=timings)]
    report = Report(this_machine(), "avx2", "lpc alone", results, {1: 95.4})
    suite = Suite(0, cases=Counter(avx2=300), generated=Counter(avx2=200))
    table = table_of([report], ["here", "absent"], suite)
    cells = [list(column.cells) for column in table.columns]
    assert [column.header for column in table.columns][4:] == ["here ms", "absent ms"]
    assert cells == [["avx2"], ["200"], ["300"], ["95"], ["2.65"], ["failed"]]
    assert len(table_of([report], ["here"], None).columns) == 3
