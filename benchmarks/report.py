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
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from .layers import Layer, kernel_totals
from .metrics import ColdStart, CompileCost
from .peers import Timing

PACKAGES = ("lpc", "onnxruntime", "openvino", "numpy")
Row = tuple[str, ...]
SUMMARY_HEADER: Row = (
    "model", "threads", "best int8 peer", "its ms", "lpc ms", "lpc / best peer", "lpc fp32 ms",
    "of peak",
)  # fmt: skip
HEADER: Row = ("model", "engine", "threads", "min ms", "median ms", "GMAC/s", "lpc / best peer")
COST_HEADER: Row = (
    "model", "engine", "build s", "build MB", "load ms", "cold start s", "run MB", "deploy MB",
)  # fmt: skip
KERNEL_HEADER: Row = ("model", "kernel", "threads", "layers", "ms", "share", "GMAC/s", "of peak")
COMMAND = "python -m benchmarks.run"
ABOUT = (
    "`make bench` measures without writing, `python -m benchmarks.run --model FILE.onnx` times a "
    "model file of your own (with one input, of fixed shape). The networks are built from seeds "
    "and quantized as onnxruntime's `quantize_static` does; the engines take turns within a run. "
    "With `--isa`, the peers are shown a CPU without newer instructions (`benchmarks/masking.py`)."
)
LEAST_SHARE = 0.03  # of a kernel that is worth a row
LEGEND = (
    "Build: lpc's compilation. MB: peak resident memory of the compiling process, and of one that "
    "loads the model and infers once. Cold start: from interpreter start to first output; "
    "lpc-buffers: without numpy, by `Model.run_buffers`. "
    "Deploy: the model or library plus the installed Python package of its engine, without numpy. "
    "Of peak: against the plain dot product of the instruction set (`benchmarks/peak.py`)."
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
    """One model in one precision: figures by engine; `failures` says why an engine has none.

    `bfloat16`: engines that compute a float model in less than float32, so no peers of lpc."""

    model: str
    precision: str
    macs: int
    threads: int = 1
    timings: dict[str, Timing] = field(default_factory=dict)
    cold_starts: dict[str, ColdStart] = field(default_factory=dict)
    deploy_mb: dict[str, float] = field(default_factory=dict)
    compile: CompileCost | None = None
    layers: list[Layer] = field(default_factory=list)  # of lpc
    failures: list[str] = field(default_factory=list)
    bfloat16: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.model} {self.precision}"

    @property
    def best_peer(self) -> str | None:
        others = ("lpc", *self.bfloat16)
        peers = {e: t.minimum for e, t in self.timings.items() if e not in others}
        return min(peers, key=peers.__getitem__, default=None)

    @property
    def best_peer_ms(self) -> float | None:
        return self.timings[self.best_peer].minimum if self.best_peer else None

    def gmacs(self, engine: str) -> float:
        return self.macs / self.timings[engine].minimum / 1e6

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
    results: list[ModelResult]
    peaks: dict[int, float] = field(default_factory=dict)  # threads → GMAC/s (see peak.py)


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
    peaks = "".join(
        f"; plain int8 dot products peak at {peak:.0f} GMAC/s with {_threads(threads)}"
        for threads, peak in report.peaks.items()
    )
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.date}; batch 1, "
        f"instruction set {report.isa} ({report.mask}){peaks}; {versions}."
    )


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def summary_rows(report: Report) -> list[Row]:
    """One row per int8 network and number of threads."""
    float_ms = {
        (r.model, r.threads): r.timings["lpc"].minimum
        for r in report.results
        if r.precision == "fp32" and "lpc" in r.timings
    }
    rows: list[Row] = []
    for result in (r for r in report.results if r.precision == "int8"):
        lpc, peer_ms = result.timings.get("lpc"), result.best_peer_ms
        own = float_ms.get((result.model, result.threads))
        rows.append(
            (
                result.model,
                str(result.threads),
                result.best_peer or "",
                f"{peer_ms:.2f}" if peer_ms else "",
                f"{lpc.minimum:.2f}" if lpc else "failed",
                f"{result.ratio:.2f}" if result.ratio else "",
                f"{own:.2f}" if own else "",
                _of_peak(report, result.gmacs("lpc"), result.threads) if lpc else "",
            )
        )
    return rows


def _of_peak(report: Report, gmacs: float, threads: int) -> str:
    peak = report.peaks.get(threads)
    return f"{100 * gmacs / peak:.0f} %" if peak and gmacs else ""


def speed_rows(results: Iterable[ModelResult]) -> list[Row]:
    rows: list[Row] = []
    for result in results:
        for engine, timing in result.timings.items():
            ratio = f"{result.ratio:.2f}" if engine == "lpc" and result.ratio else ""
            times = (f"{timing.minimum:.2f}", f"{timing.median:.2f}")
            speed = f"{result.gmacs(engine):.1f}"
            name = f"{engine} (bfloat16)" if engine in result.bfloat16 else engine
            rows.append((result.title, name, str(result.threads), *times, speed, ratio))
    return rows


def kernel_rows(report: Report) -> list[Row]:
    """What takes lpc's time in each int8 network, the rest left out."""
    rows: list[Row] = []
    for result in (r for r in report.results if r.precision == "int8"):
        for total in kernel_totals(result.layers):
            if total.share < LEAST_SHARE:
                continue
            rows.append(
                (
                    result.title,
                    total.kernel,
                    str(result.threads),
                    str(total.layers),
                    f"{total.ms:.3f}",
                    f"{100 * total.share:.0f} %",
                    f"{total.gmacs:.1f}" if total.gmacs else "",
                    _of_peak(report, total.gmacs, result.threads),
                )
            )
    return rows


def layer_rows(report: Report) -> list[Row]:
    """Every executed layer of every network, as in KERNEL_HEADER; "kernel" also names the layer."""
    return [
        (
            result.title,
            f"{layer.name} ({layer.kernel})",
            str(result.threads),
            "1",
            f"{layer.ms:.3f}",
            f"{100 * layer.ms / sum(other.ms for other in result.layers):.1f} %",
            f"{layer.macs / layer.ms / 1e6:.1f}" if layer.macs else "",
            _of_peak(report, layer.macs / layer.ms / 1e6, result.threads),
        )
        for result in report.results
        for layer in result.layers
        if layer.ms
    ]


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


def notes(report: Report) -> list[str]:
    """Why figures are absent."""
    failures = [f"{r.title}: {text}" for r in report.results for text in r.failures]
    return list(dict.fromkeys(failures))


def _tables(report: Report) -> tuple[tuple[Row, list[Row]], ...]:
    return (
        (HEADER, speed_rows(report.results)),
        (COST_HEADER, cost_rows(report.results)),
        (KERNEL_HEADER, kernel_rows(report)),
        (SUMMARY_HEADER, summary_rows(report)),
    )


def print_tables(report: Report, console: Console, *, layers: bool = False) -> None:
    """`layers`: each layer of lpc's libraries as well."""
    extra = ((KERNEL_HEADER, layer_rows(report)),) if layers else ()
    for header, rows in (*extra, *_tables(report)):
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
    parts = ["# Benchmarks", "", f"Written by `{COMMAND} --write-docs`; {ABOUT}", ""]
    parts += [headline(report), ""]
    parts += _markdown_table(SUMMARY_HEADER, summary_rows(report))
    titles = ("All times", "Around the inference", "Where lpc's time goes")
    for title, (header, rows) in zip(titles, _tables(report), strict=False):
        if rows:
            parts += [f"## {title}", "", *_markdown_table(header, rows)]
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
    groups: dict[tuple[int, str], list[ModelResult]] = {}
    for result in report.results:
        groups.setdefault((result.threads, result.precision), []).append(result)
    width = 1.5 + 1.6 * max(map(len, groups.values()), default=1)
    figure, rows = pyplot.subplots(
        len(groups), squeeze=False, figsize=(width, 3.5 * len(groups)), layout="constrained"
    )
    for (threads, precision), axes in zip(groups, rows[:, 0], strict=True):
        _draw_times(axes, groups[threads, precision])
        axes.set_title(f"{precision}, {_threads(threads)}", fontsize=9)
    figure.suptitle(f"{report.machine.cpu}, {report.isa}: ms per inference (minimum)", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _draw_times(axes: Any, results: list[ModelResult]) -> None:
    engines = list(dict.fromkeys(e for r in results for e in r.timings))
    width = 0.8 / max(1, len(engines))
    for index, engine in enumerate(engines):
        having = [(i, r) for i, r in enumerate(results) if engine in r.timings]
        places = [i + width * (index - (len(engines) - 1) / 2) for i, _ in having]
        bars = axes.bar(places, [r.timings[engine].minimum for _, r in having], width, label=engine)
        axes.bar_label(bars, fmt="%.3g", fontsize=6)
    axes.set_xticks(range(len(results)), [r.model for r in results], fontsize=8)
    axes.set_yscale("log")
    axes.legend(fontsize=8)
