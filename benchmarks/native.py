"""What this CPU runs itself, without an emulator: `make bench-native`, or

    python -m benchmarks.native --whole-zoo -o native.json
    python -m benchmarks.native --rounds 15

Prints the CPU, runs the property tests and the real models for every row of the target table that
it has, natively, and times small networks on each of those rows, whose outputs it compares with the
interpreter's. The JSON has a report of benchmarks/report.py per row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import lpc.runtime as lpr
import numpy as np
from lpc.compiler.codegen.host import cpu_features, runs_here
from lpc.compiler.codegen.targets import TARGETS, Target, required_features
from lpc.compiler.compilation import graph_at
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.interpreters.graph import run_graph
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
SUITE = ("tests/codegen", "tests/test_real_models.py")


@dataclass(frozen=True)
class Suite:
    """What came of the tests: their exit status, and outputs compared per row, in all and of those
    the ones of generated layers."""

    status: int
    cases: dict[str, int]
    generated: dict[str, int]


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


def run_suite(jobs: int, rounds: float) -> Suite:
    """Tests on this CPU's rows; of generated cases `rounds` times as many as by default."""
    environment = {k: v for k, v in os.environ.items() if k not in _EMULATION}
    cases: Counter[str] = Counter()
    generated: Counter[str] = Counter()
    with TemporaryDirectory() as record:
        environment |= {
            "LPC_TEST_NATIVE": "1", "LPC_TEST_CASES": str(rounds), "LPC_TEST_RECORD": record,
        }  # fmt: skip
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(jobs), *SUITE]
        status = subprocess.run(command, cwd=ROOT, env=environment).returncode
        for path in Path(record).glob("*.json"):
            content = json.loads(path.read_text())
            cases.update(content["cases"])
            generated.update(content["generated"])
    return Suite(status, dict(cases), dict(generated))


@cache
def interpreted(model: Path, input_file: Path) -> list[Array]:
    """The outputs, by the interpreter."""
    return run_graph(graph_at("int8", model), [np.load(input_file)])


def is_exact(benchmark: ModelBenchmark) -> bool:
    """Whether the library's outputs are the interpreter's, bit for bit."""
    model = lpr.load(benchmark.library, num_threads=1, target=benchmark.isa)
    (source,) = model.inputs
    actual = model.run({source.name: np.load(benchmark.input_file)})
    expected = interpreted(benchmark.path, benchmark.input_file)
    return [a.tobytes() for a in actual.values()] == [e.tobytes() for e in expected]


def time_networks(target: Target, models: Sequence[str], seconds: float) -> Report:
    """lpc alone, int8, one thread; a network that differs from the interpreter has failed."""
    report = Report(this_machine(), target.name, "lpc alone", [])
    report.peaks[1] = peak_gmacs(target)
    for subject in subjects(models, ["int8"]):
        benchmark = ModelBenchmark(subject, ["lpc"], target.name, "native")
        benchmark.run([1], seconds, processes=False)
        if benchmark.engines and not is_exact(benchmark):
            benchmark.failures.append(f"{subject.name}, {target.name}: not as the interpreter")
        report.results.extend(benchmark.results)
    return report


def table_of(reports: Sequence[Report], models: Sequence[str], suite: Suite | None) -> Table:
    """Cases compared, and minimum ms by network, with a column for each row of the target table."""
    table = Table("", *(report.isa for report in reports))
    if suite:
        for title, counts in (("generated", suite.generated), ("compared", suite.cases)):
            table.add_row(title, *(str(counts.get(report.isa, 0)) for report in reports))
    table.add_row("peak GMAC/s", *(f"{report.peaks[1]:.0f}" for report in reports))
    for name in models:
        table.add_row(f"{name} ms", *(_milliseconds(report, name) for report in reports))
    return table


def _milliseconds(report: Report, model: str) -> str:
    found = [r.timings["lpc"] for r in report.results if r.model == model and r.timings]
    return f"{found[0].minimum:.2f}" if found else "failed"


@click.command()
@click.option("--tests/--no-tests", default=True, show_default=True, help="The property tests.")
@click.option("--jobs", default=2, show_default=True, help="Test processes.")
@click.option(
    "--rounds", default=1.0, show_default=True, help="Times as many generated cases as usually."
)
@click.option("--whole-zoo", is_flag=True, help="All networks instead of three small ones.")
@click.option("--seconds", default=2.0, show_default=True, help="Time per network and row.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=RESULTS / "native.json",
    help="Where the JSON goes.",
)
def main(
    tests: bool, jobs: int, rounds: float, whole_zoo: bool, seconds: float, output: Path
) -> None:
    """Test and time every row of the target table that this CPU runs."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    targets = print_cpu(console)
    suite = run_suite(jobs, rounds) if tests else None
    models = tuple(LARGE) if whole_zoo else SMALL
    reports = []
    for target in targets:
        with console.status(target.name):
            reports.append(time_networks(target, models, seconds))
    console.print(table_of(reports, models, suite))
    failed = suite is not None and suite.status != 0
    content = {"features": sorted(cpu_features()), "tested": tests, "failed": failed}
    content |= {"suite": asdict(suite) if suite else None, "rows": [asdict(r) for r in reports]}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(content, indent=1) + "\n")
    console.print(f"wrote {output}")
    failures = [failure for report in reports for r in report.results for failure in r.failures]
    for failure in failures:
        console.print(f"[red]{failure}[/]")
    sys.exit(failed or bool(failures))


if __name__ == "__main__":
    main()
