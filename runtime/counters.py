"""Per-layer performance counters, in the format that users of benchmark_app know.

layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)
conv1;EXECUTED;Convolution;jit_avx2_I8;0.120;0.240
relu1;NOT_RUN;Relu;undef;0.000;0.000
Total;;;;0.120;0.240
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import NamedTuple

HEADER = ("layerName", "execStatus", "layerType", "execType", "realTime (ms)", "cpuTime (ms)")


class LayerCounter(NamedTuple):
    """One layer of the source model: means over all profiled inferences.

    `exec_status` is EXECUTED, or NOT_RUN for a layer that was fused into another or folded away;
    `exec_type` is then "undef". `cpu_time_ms` adds up the threads, `real_time_ms` does not.
    """

    layer: str
    exec_status: str
    layer_type: str
    exec_type: str
    real_time_ms: float
    cpu_time_ms: float


def counters_csv(rows: Sequence[LayerCounter]) -> str:
    """The table as text, with a last row `Total`."""
    import csv  # not above: a program that only runs models starts without it

    text = StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow((row.layer, row.exec_status, row.layer_type, row.exec_type, *_times([row])))
    writer.writerow(("Total", "", "", "", *_times(rows)))
    return text.getvalue()


def _times(rows: Sequence[LayerCounter]) -> tuple[str, str]:
    real = sum(row.real_time_ms for row in rows)
    cpu = sum(row.cpu_time_ms for row in rows)
    return f"{real:.6f}", f"{cpu:.6f}"
