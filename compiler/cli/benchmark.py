"""lpc benchmark: latency, throughput and per-layer counters, spelled as OpenVINO's
benchmark_app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .common import console, input_shape_option, lpc_command, target_option

_DEFAULT_SECONDS = 10.0
_MOST_PROFILED_RUNS = 100


def _option(name: str, *settings: Any, **more: Any) -> Callable[[Any], Any]:
    """`-name` as benchmark_app writes it, and its twin `--name`."""
    return click.option(f"-{name}", f"--{name}", name, *settings, **more)


@lpc_command(
    "lpc benchmark model.so -niter 1000 -nthreads 1",
    "lpc benchmark model.onnx -t 5 -report_type average_counters -report_folder reports",
    "lpc benchmark model.so -api async -nireq 2 -pc",
)
@click.argument("model", metavar="MODEL_OR_SO", type=click.Path(path_type=Path))
@_option("niter", type=click.IntRange(1), help="Number of iterations.")
@_option(
    "t",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Seconds to measure for [{_DEFAULT_SECONDS:.0f} unless -niter is given].",
)
@_option("api", type=click.Choice(["sync", "async"]), default="sync", show_default=True)
@_option("nthreads", type=click.IntRange(1), help="Threads [what this process may use].")
@_option("nireq", type=click.IntRange(1), help="Requests in flight, for -api async [one a thread].")
@_option("b", type=click.IntRange(1), help="Batch size: leading dimension of every input.")
@_option("i", type=click.Path(path_type=Path), help="npz or npy with the inputs [random].")
@_option(
    "report_type",
    type=click.Choice(["no_counters", "average_counters", "detailed_counters"]),
    help="Write benchmark_report.csv and the counters of every layer.",
)
@_option("report_folder", type=click.Path(path_type=Path), default=".", help="Where reports go.")
@_option("json_stats", is_flag=True, help="Write the reports as JSON as well.")
@_option("pc", is_flag=True, help="Print the counters of every layer.")
@target_option()
@input_shape_option()
def command(
    model: Path,
    niter: int | None,
    t: float | None,
    api: str,
    nthreads: int | None,
    nireq: int | None,
    b: int | None,
    i: Path | None,
    report_type: str | None,
    report_folder: Path,
    json_stats: bool,
    pc: bool,
    target: str,
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...],
) -> None:
    """Measure MODEL_OR_SO: latency, throughput and, where asked for, per-layer counters."""
    from . import arrays, loading, measuring, reports

    if nireq is not None and api == "sync":
        raise click.UsageError("-nireq needs -api async")
    shapes = loading.with_batch(model, dict(input_shapes), b)
    requests, threads = _split(api, nireq, nthreads)
    loaded = loading.load(model, target, shapes, threads)
    inputs = (
        arrays.random_inputs(loaded.inputs, seed=0)
        if i is None
        else arrays.read_inputs(i, loaded.inputs)
    )
    limit = t if t is not None or niter is not None else _DEFAULT_SECONDS
    result = measuring.measure(loaded, inputs, niter, limit, requests)
    for line in result.lines():
        click.echo(line)
    counters = []
    if report_type == "detailed_counters":
        counters = measuring.profile(loaded, inputs, requests)
    elif pc or report_type == "average_counters":
        counters = [loaded.profile(inputs, iterations=min(result.count, _MOST_PROFILED_RUNS))]
    if pc:
        console().print(reports.table(counters[0]))
    if report_type is not None:
        report = reports.Report(click.get_current_context().params, result, counters)
        for path in report.write(report_folder, report_type, json_stats):
            click.echo(f"wrote {path}")


def _split(api: str, nireq: int | None, nthreads: int | None) -> tuple[int, int]:
    """Requests in flight, and threads of each."""
    from lpc.runtime import available_threads

    threads = nthreads or available_threads()
    requests = 1 if api == "sync" else nireq or threads
    return requests, max(1, threads // requests)
