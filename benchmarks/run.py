"""Compare lpc with onnxruntime and OpenVINO on the zoo: `make bench`, or

    python -m benchmarks.run --model resnet50 --isa avx2 --write-docs resnet50.md
    python -m benchmarks.run --model path/to/model.onnx --isa avx2 --layers

All engines of a model take turns within one run; only ratios from one run mean something.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import click
import onnx
from lpc.compiler.codegen.host import cpu_features, resolve_targets, runs_here
from rich.console import Console

from . import report as reports
from . import zoo
from .engines import ENGINES, IN_BFLOAT16, Job, is_installed
from .layers import layer_macs, profile
from .masking import ISAS, Isa, MaskUnavailableError, mask_environment
from .metrics import WAYS_TO_START, CompileCost, cold_start, compile_library, package_mb
from .networks import LARGE
from .peak import peak_gmacs
from .peers import ROOT, EngineError, Worker, alternate
from .report import ModelResult, Report
from .subjects import Subject, input_file, named, subjects

RESULTS, DOCS = Path(__file__).with_name("results"), ROOT / "docs" / "benchmarks.md"
PRECISIONS: tuple[zoo.Precision, ...] = ("int8", "fp32")
THREADS = (1, 2)


def peers_mask(isa: Isa, console: Console) -> tuple[Isa, str]:
    """The mask that the peers get, and a description; loud when they cannot be masked."""
    try:
        mask_environment(isa)
    except MaskUnavailableError as error:
        console.print(f"[bold red]peers use the full CPU, lpc only {isa}: {error}[/]")
        return "native", f"lpc only: peers use the full CPU, since {error}"
    return (
        isa,
        "all engines use the full CPU" if isa == "native" else "the peers' CPUID shows no more",
    )


class ModelBenchmark:
    """Measures one model in one precision; failures are recorded, not raised."""

    def __init__(self, subject: Subject, engines: Sequence[str], isa: str, mask: Isa) -> None:
        self.subject, self.path = subject, subject.path
        self.isa, self.mask = isa, mask
        self.engines = list(engines)
        model = onnx.load(self.path)
        self.input_file = input_file(self.path, model)
        self.macs = layer_macs(model)
        self.results: list[ModelResult] = []
        self.failures: list[str] = []

    @property
    def library(self) -> Path:
        return self.subject.library(self.isa)

    def job(self, engine: str, threads: int) -> Job:
        model = self.library if engine == "lpc" else self.path
        return Job(str(model), str(self.input_file), threads)

    def engine_isa(self, engine: str) -> Isa:
        """lpc is told its target by the compiler; the peers are masked."""
        return "native" if engine == "lpc" else self.mask

    def in_bfloat16(self) -> list[str]:
        """Engines that do so for this model, on the CPU that they are shown (maskcpuid.c)."""
        shown = self.mask in ("native", "avx512_vnni") and "avx512_bf16" in cpu_features()
        return list(IN_BFLOAT16) if shown and self.subject.precision == "fp32" else []

    def run(self, threads: Sequence[int], seconds: float, processes: bool) -> None:
        """One result per number of threads; cold starts belong to the first."""
        cost = self._compiled() if "lpc" in self.engines else None
        for number, count in enumerate(threads):
            result = ModelResult(
                self.subject.name, self.subject.precision, sum(self.macs.values()), count
            )
            result.compile, result.failures = cost, self.failures
            result.bfloat16 = self.in_bfloat16()
            self.results.append(result)
            self._time_inference(result, seconds)
            self._profile(result)
            if processes and number == 0:
                self._measure_processes(result)

    def _compiled(self) -> CompileCost | None:
        try:
            return compile_library(self.path, self.library, self.isa)
        except EngineError as error:
            self._drop("lpc", error)
            return None

    def _time_inference(self, result: ModelResult, seconds: float) -> None:
        with ExitStack() as stack:
            workers = []
            for engine in list(self.engines):
                try:
                    job = self.job(engine, result.threads)
                    worker = Worker(engine, job, self.engine_isa(engine))
                    workers.append(stack.enter_context(worker))
                    worker.run(1)
                except EngineError as error:
                    self._drop(engine, error)
                    workers = [w for w in workers if w.engine != engine]
            try:
                alternate(workers, seconds)
            except EngineError as error:
                self.failures.append(str(error))
            result.timings = {w.engine: w.timing() for w in workers if w.times}

    def _profile(self, result: ModelResult) -> None:
        if "lpc" in result.timings:
            try:
                result.layers = profile(self.job("lpc", result.threads), self.macs)
            except EngineError as error:
                self.failures.append(str(error))

    def _measure_processes(self, result: ModelResult) -> None:
        for engine in [e for e in self.engines if e in WAYS_TO_START]:
            try:
                job = self.job(engine, result.threads)
                size = Path(job.model).stat().st_size / 1e6 + package_mb(engine)
                for way in WAYS_TO_START[engine]:
                    result.cold_starts[way] = cold_start(way, job, self.engine_isa(engine))
                    result.deploy_mb[way] = size
            except EngineError as error:
                self._drop(engine, error)

    def _drop(self, engine: str, error: Exception) -> None:
        self.engines.remove(engine)
        self.failures.append(str(error))


def run_benchmarks(
    models: Iterable[Subject],
    engines: Sequence[str],
    isa: Isa,
    threads: Sequence[int],
    seconds: float,
    processes: bool,
    console: Console,
) -> Report:
    """Every model on every engine."""
    mask, words = peers_mask(isa, console)
    (target,) = resolve_targets(isa)
    report = Report(reports.this_machine(), isa, words, [])
    if runs_here(target):
        report.peaks.update({count: peak_gmacs(target, count) for count in threads})
    for subject in models:
        with console.status(f"{subject.name} {subject.precision}"):
            benchmark = ModelBenchmark(subject, engines, isa, mask)
            benchmark.run(threads, seconds, processes)
        report.results.extend(benchmark.results)
    return report


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NETWORK|FILE.onnx",
    callback=named,
    help="A network of the zoo, or a file with one input of fixed shape. Repeatable.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(PRECISIONS),
    help="Of the zoo's networks; a file has its own.",
)
@click.option("--engine", "engines", multiple=True, type=click.Choice(list(ENGINES)))
@click.option(
    "--isa",
    type=click.Choice(ISAS),
    default="native",
    show_default=True,
    help="lpc's target; the peers are shown a CPU with no more than that.",
)
@click.option(
    "--threads",
    multiple=True,
    type=click.IntRange(min=1),
    default=THREADS,
    show_default=True,
    help="Repeatable. One is pinned to one core.",
)
@click.option("--seconds", default=3.0, show_default=True, help="Time per engine and model.")
@click.option(
    "--processes/--no-processes",
    default=True,
    show_default=True,
    help="Also measure cold start, memory and size.",
)
@click.option("--layers", is_flag=True, help="Print every layer of lpc's libraries.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Where results go.")
@click.option("--plot", type=click.Path(path_type=Path), help="Where the bars go (matplotlib).")
@click.option(
    "--write-docs",
    "docs",
    is_flag=False,
    flag_value=DOCS,
    type=click.Path(path_type=Path),
    help=f"Write the page of docs [{DOCS.relative_to(ROOT)}].",
)
def main(
    models: tuple[str | Path, ...],
    precisions: tuple[zoo.Precision, ...],
    engines: tuple[str, ...],
    isa: Isa,
    threads: tuple[int, ...],
    seconds: float,
    processes: bool,
    layers: bool,
    json_file: Path | None,
    plot: Path | None,
    docs: Path | None,
) -> None:
    """Time lpc and its peers on the model zoo, and print tables."""
    # The widest table; without a terminal rich would cut figures off at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 120)
    wanted = engines or tuple(ENGINES)
    for engine in wanted:
        if not is_installed(engine):
            console.print(f"{engine} is not installed (extra `bench`): left out")
    report = run_benchmarks(
        subjects(models or tuple(LARGE), precisions or PRECISIONS),
        [engine for engine in wanted if is_installed(engine)],
        isa,
        threads,
        seconds,
        processes,
        console,
    )
    reports.print_tables(report, console, layers=layers)
    reports.write_json(report, json_file or RESULTS / f"{isa}.json")
    if plot or find_spec("matplotlib"):
        reports.write_plot(report, plot or RESULTS / f"{isa}.png")
    if docs:
        docs.write_text(reports.markdown(report))


if __name__ == "__main__":
    main()
