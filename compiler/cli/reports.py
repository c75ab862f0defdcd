"""The files of `lpc benchmark -report_type`, with the names and columns of OpenVINO's
benchmark_app.

    benchmark_report.csv                       parameters and results
    benchmark_average_counters_report.csv      one row per layer of the source model, then Total
    benchmark_detailed_counters_report.csv     the same for each request in flight
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpc.runtime.counters import HEADER, counters_csv

from .. import files
from ..errors import LpcError

if TYPE_CHECKING:
    from lpc.runtime import LayerCounter
    from rich.table import Table

    from .measuring import Measurement


@dataclass(frozen=True)
class Report:
    """`counters`: tables of the report type; empty where none were asked for."""

    parameters: Mapping[str, Any]
    result: Measurement
    counters: Sequence[Sequence[LayerCounter]]

    def write(self, folder: Path, report_type: str, as_json: bool) -> list[Path]:
        """The paths written. LpcError for a folder that cannot be."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LpcError(f"{folder}: cannot write: {error.strerror}") from error
        texts = {"benchmark_report.csv": self._summary_csv()}
        if as_json:
            texts["benchmark_report.json"] = _json(self._summary_json())
        if report_type != "no_counters":
            name = f"benchmark_{report_type}_report"
            texts[f"{name}.csv"] = "\n".join(counters_csv(rows) for rows in self.counters)
            if as_json:
                tables = [_json_rows(rows) for rows in self.counters]
                kind = report_type.removesuffix("_counters")
                body = tables[0] if kind == "average" else tables
                texts[f"{name}.json"] = _json({"report_type": kind, f"{kind}_performance": body})
        for name, text in texts.items():
            files.write(folder / name, text)
        return [folder / name for name in texts]

    def _parameters(self) -> Iterator[tuple[str, str]]:
        for name, value in self.parameters.items():
            if value not in (None, (), False):
                yield name, str(value)

    def _summary_csv(self) -> str:
        lines = ["Command line parameters"]
        lines += [f"{name};{value}" for name, value in self._parameters()]
        lines += ["", "Execution results"]
        lines += [f"{_column(name, unit)};{value:.6g}" for name, value, unit in self.result.rows()]
        return "\n".join(lines) + "\n"

    def _summary_json(self) -> dict[str, Any]:
        results = {_column(name, unit): value for name, value, unit in self.result.rows()}
        return {"cmd_options": dict(self._parameters()), "execution_results": results}


def table(rows: Sequence[LayerCounter], executed_only: bool = False) -> Table:
    """The counters for a terminal."""
    from rich import box
    from rich.table import Table

    result = Table(*HEADER[:4], box=box.SIMPLE_HEAD)
    for column in HEADER[4:]:
        result.add_column(column, justify="right")
    for row in rows:
        executed = row.exec_status == "EXECUTED"
        if executed or not executed_only:
            result.add_row(*_cells(row), style="" if executed else "dim")
    real, cpu = _totals(rows)
    result.add_section()
    result.add_row("Total", "", "", "", f"{real:.4f}", f"{cpu:.4f}", style="bold")
    return result


def _totals(rows: Sequence[LayerCounter]) -> tuple[float, float]:
    return sum(row.real_time_ms for row in rows), sum(row.cpu_time_ms for row in rows)


def _cells(row: LayerCounter) -> tuple[str, ...]:
    times = f"{row.real_time_ms:.4f}", f"{row.cpu_time_ms:.4f}"
    return row.layer, row.exec_status, row.layer_type, row.exec_type, *times


def _json_rows(rows: Sequence[LayerCounter]) -> dict[str, Any]:
    nodes = [
        {
            "name": row.layer,
            "status": row.exec_status,
            "node_type": row.layer_type,
            "exec_type": row.exec_type,
            "real_time": row.real_time_ms,
            "cpu_time": row.cpu_time_ms,
        }
        for row in rows
    ]
    real, cpu = _totals(rows)
    return {"nodes": nodes, "total_real_time": real, "total_cpu_time": cpu}


def _json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"


def _column(name: str, unit: str) -> str:
    return name.lower() if unit == "iterations" else f"{name.lower()} ({unit})"
