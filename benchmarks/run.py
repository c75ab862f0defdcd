"""Compare lpc with onnxruntime and OpenVINO on the zoo: `make bench`, or

    python -m benchmarks.run --model resnet50 --isa avx2 --write-docs

All engines of a model take turns within one run; only ratios from one run mean something.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np
import onnx
from rich.console import Console

from . import report as reports
from . import zoo
from .builder import calibration_inputs
from .engines import ENGINES, Job, is_installed
from .masking import ISAS, Isa, MaskUnavailableError, mask_environment
from .metrics import COLD_ENGINES, cold_start, compile_library, package_mb
from .networks import NETWORKS
from .peers import ROOT, EngineError, Worker, alternate
from .report import ModelResult, Report

RESULTS = Path(__file__).with_name("results")
DEFAULT_MODELS = ("mobilenet_v2", "resnet50")
PRECISIONS: tuple[zoo.Precision, ...] = ("int8", "fp32")


def input_file(model: onnx.ModelProto) -> Path:
    """A seeded input of the model's shape, as .npy in the cache."""
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)[1:]
    path = zoo.cache_folder() / f"input_{'x'.join(map(str, shape))}.npy"
    if not path.exists():
        np.save(path, calibration_inputs(1, shape, seed=99))
    return path


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

    def __init__(
        self, name: str, precision: zoo.Precision, engines: Sequence[str], isa: Isa, mask: Isa
    ) -> None:
        self.path = zoo.model_path(name, precision)
        self.isa, self.mask = isa, mask
        self.engines = list(engines)
        model = onnx.load(self.path)
        self.input_file = input_file(model)
        properties = {entry.key: entry.value for entry in model.metadata_props}
        self.result = ModelResult(name, precision, int(properties["macs"]))

    @property
    def library(self) -> Path:
        return self.path.with_name(f"{self.path.stem}-{self.isa}.so")

    def job(self, engine: str, threads: int) -> Job:
        model = self.library if engine == "lpc" else self.path
        return Job(str(model), str(self.input_file), threads)

    def engine_isa(self, engine: str) -> Isa:
        """lpc is told its target by the compiler; the peers are masked."""
        return "native" if engine == "lpc" else self.mask

    def compile(self) -> None:
        if "lpc" not in self.engines:
            return
        try:
            self.result.compile = compile_library(self.path, self.library, self.isa)
        except EngineError as error:
            self._drop("lpc", error)

    def time_inference(self, threads: int, seconds: float) -> None:
        with ExitStack() as stack:
            workers = []
            for engine in list(self.engines):
                try:
                    worker = Worker(engine, self.job(engine, threads), self.engine_isa(engine))
                    workers.append(stack.enter_context(worker))
                    worker.run(1)
                except EngineError as error:
                    self._drop(engine, error)
                    workers = [w for w in workers if w.engine != engine]
            try:
                alternate(workers, seconds)
            except EngineError as error:
                self.result.failures.append(str(error))
            self.result.timings = {w.engine: w.timing() for w in workers if w.times}

    def measure_processes(self, threads: int) -> None:
        for engine in [e for e in self.engines if e in COLD_ENGINES]:
            try:
                job = self.job(engine, threads)
                self.result.cold_starts[engine] = cold_start(engine, job, self.engine_isa(engine))
                size = Path(job.model).stat().st_size / 1e6 + package_mb(engine)
                self.result.deploy_mb[engine] = size
            except EngineError as error:
                self._drop(engine, error)

    def _drop(self, engine: str, error: Exception) -> None:
        self.engines.remove(engine)
        self.result.failures.append(str(error))


def run_benchmarks(
    models: Sequence[str],
    precisions: Sequence[zoo.Precision],
    engines: Sequence[str],
    isa: Isa,
    threads: int,
    seconds: float,
    processes: bool,
    console: Console,
) -> Report:
    """Every model in every precision on every engine."""
    mask, words = peers_mask(isa, console)
    results = []
    for name in models:
        for precision in precisions:
            with console.status(f"{name} {precision}"):
                benchmark = ModelBenchmark(name, precision, engines, isa, mask)
                benchmark.compile()
                benchmark.time_inference(threads, seconds)
                if processes:
                    benchmark.measure_processes(threads)
            results.append(benchmark.result)
    return Report(reports.this_machine(), isa, words, threads, results)


@click.command()
@click.option("--model", "models", multiple=True, type=click.Choice(list(NETWORKS)))
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS))
@click.option("--engine", "engines", multiple=True, type=click.Choice(list(ENGINES)))
@click.option(
    "--isa",
    type=click.Choice(ISAS),
    default="native",
    show_default=True,
    help="lpc's target; the peers are shown a CPU with no more than that.",
)
@click.option("--threads", default=1, show_default=True, help="One is pinned to one core.")
@click.option("--seconds", default=3.0, show_default=True, help="Time per engine and model.")
@click.option(
    "--processes/--no-processes",
    default=True,
    show_default=True,
    help="Also measure cold start, memory and size.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Where results go.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the times (matplotlib).")
@click.option("--write-docs", is_flag=True, help="Write docs/benchmarks.md.")
def main(
    models: tuple[str, ...],
    precisions: tuple[zoo.Precision, ...],
    engines: tuple[str, ...],
    isa: Isa,
    threads: int,
    seconds: float,
    processes: bool,
    json_file: Path | None,
    plot: Path | None,
    write_docs: bool,
) -> None:
    """Time lpc and its peers on the model zoo, and print tables."""
    console = Console()
    wanted = engines or tuple(ENGINES)
    for engine in wanted:
        if not is_installed(engine):
            console.print(f"{engine} is not installed (extra `bench`): left out")
    report = run_benchmarks(
        models or DEFAULT_MODELS,
        precisions or PRECISIONS,
        [engine for engine in wanted if is_installed(engine)],
        isa,
        threads,
        seconds,
        processes,
        console,
    )
    reports.print_tables(report, console)
    reports.write_json(report, json_file or RESULTS / f"{isa}_{threads}t.json")
    if plot:
        reports.write_plot(report, plot)
    if write_docs:
        (ROOT / "docs" / "benchmarks.md").write_text(reports.markdown(report))


if __name__ == "__main__":
    main()
