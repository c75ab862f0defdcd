"""Benchmark results as data, and as JSON, terminal table, Markdown and plot."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import import_module, metadata
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from .metrics import ColdStart, CompileCost
from .peers import Timing

PACKAGES = ("lpc", "onnxruntime", "openvino", "numpy")
Row = tuple[str, ...]
HEADER: Row = ("model", "engine", "min ms", "median ms", "GMAC/s", "lpc / best peer")
COST_HEADER: Row = (
    "model",
    "engine",
    "build s",
    "build MB",
    "load ms",
    "cold start s",
    "run MB",
    "deploy MB",
)
LEGEND = (
    "Build: lpc's compilation. MB: peak resident memory of the compiling process, and of one that "
    "loads the model and infers once. Cold start: from interpreter start to first output. "
    "Deploy: the model or library plus the installed Python package of its engine, without numpy."
)


@dataclass(frozen=True)
class Machine:
    cpu: str
    cores: int
    system: str
    date: str
    versions: dict[str, str]


@dataclass
class ModelResult:
    """One model in one precision: figures by engine; `failures` says why an engine has none."""

    model: str
    precision: str
    macs: int
    timings: dict[str, Timing] = field(default_factory=dict)
    cold_starts: dict[str, ColdStart] = field(default_factory=dict)
    deploy_mb: dict[str, float] = field(default_factory=dict)
    compile: CompileCost | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.model} {self.precision}"

    @property
    def best_peer_ms(self) -> float | None:
        return min((t.minimum for e, t in self.timings.items() if e != "lpc"), default=None)

    @property
    def ratio(self) -> float | None:
        """lpc's time over the best peer's: below 1 lpc is faster."""
        if "lpc" not in self.timings or self.best_peer_ms is None:
            return None
        return self.timings["lpc"].minimum / self.best_peer_ms


@dataclass(frozen=True)
class Report:
    machine: Machine
    isa: str
    mask: str  # what the peers were shown, in words
    threads: int
    results: list[ModelResult]


def this_machine() -> Machine:
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    today = time.strftime("%Y-%m-%d")
    cores = len(os.sched_getaffinity(0))
    return Machine(names[0] if names else "unknown CPU", cores, platform.system(), today, versions)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def headline(report: Report) -> str:
    """One sentence: machine, instruction set, threads, versions."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.date}; batch 1, {threads}, "
        f"instruction set {report.isa} ({report.mask}); {versions}."
    )


def speed_rows(results: Iterable[ModelResult]) -> list[Row]:
    rows: list[Row] = []
    for result in results:
        for engine, timing in result.timings.items():
            ratio = f"{result.ratio:.2f}" if engine == "lpc" and result.ratio else ""
            speed = result.macs / timing.minimum / 1e6
            figures = (f"{timing.minimum:.2f}", f"{timing.median:.2f}", f"{speed:.1f}")
            rows.append((result.title, engine, *figures, ratio))
    return rows


def cost_rows(results: Iterable[ModelResult]) -> list[Row]:
    rows: list[Row] = []
    for result in results:
        for engine, cold in result.cold_starts.items():
            compiled: Row = ("", "")
            if engine == "lpc" and result.compile:
                compiled = (f"{result.compile.seconds:.1f}", f"{result.compile.peak_mb:.0f}")
            load = f"{timing.load_ms:.1f}" if (timing := result.timings.get(engine)) else ""
            process = (f"{cold.seconds:.2f}", f"{cold.peak_mb:.0f}")
            deploy = f"{result.deploy_mb[engine]:.1f}"
            rows.append((result.title, engine, *compiled, load, *process, deploy))
    return rows


def quantization_lines(results: Iterable[ModelResult]) -> list[str]:
    """lpc's int8 against its own fp32, for every model that ran in both."""
    lpc = {(r.model, r.precision): r.timings["lpc"] for r in results if "lpc" in r.timings}
    return [
        f"{model}: lpc int8 is {fp32.minimum / lpc[model, 'int8'].minimum:.2f}× as fast as lpc fp32"
        for (model, precision), fp32 in lpc.items()
        if precision == "fp32" and (model, "int8") in lpc
    ]


def notes(report: Report) -> list[str]:
    failures = [f"{r.title}: {text}" for r in report.results for text in r.failures]
    return quantization_lines(report.results) + failures


def print_tables(report: Report, console: Console) -> None:
    tables = ((HEADER, speed_rows(report.results)), (COST_HEADER, cost_rows(report.results)))
    for header, rows in tables:
        if not rows:
            continue
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for index, column in enumerate(header):
            table.add_column(column, justify="right" if index > 1 else "left", no_wrap=index < 2)
        for index, row in enumerate(rows):
            ends_model = index + 1 == len(rows) or rows[index + 1][0] != row[0]
            table.add_row(*row, end_section=ends_model)
        console.print(table)
    for note in (headline(report), LEGEND, *notes(report)):
        console.print(note, highlight=False, markup=False)


def markdown(report: Report) -> str:
    parts = ["# Benchmarks", "", "Written by `python -m benchmarks.run --write-docs`.", ""]
    parts += [headline(report), ""]
    parts += _markdown_table(HEADER, speed_rows(report.results))
    parts += _markdown_table(COST_HEADER, cost_rows(report.results))
    parts += [LEGEND, ""]
    parts += [f"- {note}" for note in notes(report)]
    return "\n".join(parts).rstrip() + "\n"


def _markdown_table(header: Row, rows: list[Row]) -> list[str]:
    if not rows:
        return []
    rule = ["---", "---"] + ["---:"] * (len(header) - 2)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)] + [""]


def write_json(report: Report, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(report), indent=1) + "\n")


def write_plot(report: Report, path: Path) -> None:
    """Bars of the minimum time per model and engine (needs matplotlib, extra `bench`)."""
    import_module("matplotlib").use("Agg")
    pyplot = import_module("matplotlib.pyplot")
    engines = list(dict.fromkeys(e for r in report.results for e in r.timings))
    figure, axes = pyplot.subplots(figsize=(1.5 + 1.6 * len(report.results), 4))
    width = 0.8 / max(1, len(engines))
    for index, engine in enumerate(engines):
        having = [(i, r) for i, r in enumerate(report.results) if engine in r.timings]
        places = [i + width * (index - (len(engines) - 1) / 2) for i, _ in having]
        bars = axes.bar(places, [r.timings[engine].minimum for _, r in having], width, label=engine)
        axes.bar_label(bars, fmt="%.3g", fontsize=7)
    axes.set_xticks(range(len(report.results)), [r.title for r in report.results])
    axes.set_yscale("log")
    axes.set_ylabel("ms per inference (minimum)")
    axes.set_title(f"{report.machine.cpu}, {report.isa}, {report.threads} thread(s)", fontsize=9)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    pyplot.close(figure)
