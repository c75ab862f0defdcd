"""What this CPU runs itself, without an emulator: `make bench-native`, or

    python -m benchmarks.native --whole-zoo -o native.json

Prints the CPU, runs the property tests for every row of the target table that it has, natively, and
times small networks on each of those rows. The JSON has a report of benchmarks/report.py per row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from lpc.compiler.codegen.host import cpu_features, runs_here
from lpc.compiler.codegen.targets import TARGETS, Target, required_features
from rich.console import Console
from rich.table import Table

from .networks import LARGE
from .peak import peak_gmacs
from .peers import ROOT
from .report import Report, this_machine
from .run import RESULTS, ModelBenchmark
from .subjects import subjects

SMALL = ("shufflenet_v2_x1_0", "mobilenet_v2", "resnet18")
#: What may run the code of some row otherwise, or hide that this CPU does.
_EMULATION = ("LPC_TEST_EMULATE", "REQUIRE_EMULATOR")
SUITE = ("tests/codegen",)


def print_cpu(console: Console) -> list[Target]:
    """The CPU, and the rows that it runs or why it does not."""
    console.print(f"{this_machine().cpu}, {os.cpu_count()} cores")
    for target in TARGETS:
        missing = [name for name in required_features(target) if name not in cpu_features()]
        state = f"no: {' '.join(missing)}" if missing else "runs here"
        console.print(f"  {target.name:12} {state}")
    vectors = sorted(n for n in cpu_features() if n.startswith(("avx", "amx", "sse", "fma")))
    console.print(f"  features: {' '.join(vectors)}", soft_wrap=True)
    return [target for target in TARGETS if runs_here(target)]


def run_suite(jobs: int) -> int:
    """The exit status of the property tests on this CPU's rows."""
    environment = {k: v for k, v in os.environ.items() if k not in _EMULATION}
    environment["LPC_TEST_NATIVE"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(jobs), *SUITE]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def time_networks(target: Target, models: Sequence[str], seconds: float) -> Report:
    """lpc alone, int8, one thread."""
    report = Report(this_machine(), target.name, "lpc alone", [])
    report.peaks[1] = peak_gmacs(target)
    for subject in subjects(models, ["int8"]):
        benchmark = ModelBenchmark(subject, ["lpc"], target.name, "native")
        benchmark.run([1], seconds, processes=False)
        report.results.extend(benchmark.results)
    return report


def table_of(reports: Sequence[Report], models: Sequence[str]) -> Table:
    """Minimum ms by network and row."""
    table = Table("row", "peak GMAC/s", *(f"{name} ms" for name in models))
    for report in reports:
        times = {r.model: r.timings["lpc"].minimum for r in report.results if r.timings}
        cells = [f"{times[name]:.2f}" if name in times else "failed" for name in models]
        table.add_row(report.isa, f"{report.peaks[1]:.0f}", *cells)
    return table


@click.command()
@click.option("--tests/--no-tests", default=True, show_default=True, help="The property tests.")
@click.option("--jobs", default=2, show_default=True, help="Test processes.")
@click.option("--whole-zoo", is_flag=True, help="All networks instead of three small ones.")
@click.option("--seconds", default=2.0, show_default=True, help="Time per network and row.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=RESULTS / "native.json",
    help="Where the JSON goes.",
)
def main(tests: bool, jobs: int, whole_zoo: bool, seconds: float, output: Path) -> None:
    """Test and time every row of the target table that this CPU runs."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    targets = print_cpu(console)
    failed = run_suite(jobs) if tests else 0
    models = tuple(LARGE) if whole_zoo else SMALL
    reports = []
    for target in targets:
        with console.status(target.name):
            reports.append(time_networks(target, models, seconds))
    console.print(table_of(reports, models))
    output.parent.mkdir(parents=True, exist_ok=True)
    content = {"features": sorted(cpu_features()), "tested": tests, "failed": bool(failed)}
    content["rows"] = [asdict(report) for report in reports]
    output.write_text(json.dumps(content, indent=1) + "\n")
    console.print(f"wrote {output}")
    failures = [failure for report in reports for r in report.results for failure in r.failures]
    for failure in failures:
        console.print(f"[red]{failure}[/]")
    sys.exit(failed or bool(failures))


if __name__ == "__main__":
    main()
