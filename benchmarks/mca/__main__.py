"""`make mca`: the tables on the terminal, or --write-docs."""

from __future__ import annotations

import sys

import click
from lpc.compiler.codegen.targets import TARGETS
from lpc.compiler.errors import LpcError
from rich.console import Console
from rich.table import Table

from . import report
from .cases import CASES
from .proof import MODELS, Row, prove

_NAMES = [target.name for target in TARGETS if target.name in MODELS]


def print_tables(rows: list[Row], console: Console, ports: bool) -> None:
    for title, own in report.sections(rows):
        table = Table(*report.HEADER[:-1], title=title, title_justify="left")
        for row in own:
            table.add_row(*report.cells(row)[:-1], style="red" if report.falls_short(row) else None)
            if ports:
                pressure = row.simulated.ports
                table.add_row("", ", ".join(f"{name} {busy:.1f}" for name, busy in pressure))
        console.print(table)


@click.command()
@click.option("--target", "targets", multiple=True, type=click.Choice(_NAMES))
@click.option("--cpu", "cpus", multiple=True, help="A model of llvm-mca, as -mcpu names it.")
@click.option("--case", default="", help="Only cases whose names contain this.")
@click.option("--ports", is_flag=True, help="Cycles that every port is busy.")
@click.option("--write-docs", is_flag=True, help="Write the tables of docs/speed-proof.md.")
def main(
    targets: tuple[str, ...], cpus: tuple[str, ...], case: str, ports: bool, write_docs: bool
) -> None:
    """Cycles of every hot loop in llvm-mca's models, beside the bound of its operations."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    cases = [known for known in CASES if case in known.name]
    rows: list[Row] = []
    try:
        for target in targets or _NAMES:
            with console.status(target):
                rows += prove(target, cpus, cases)
    except LpcError as error:
        raise SystemExit(f"error: {error}") from error
    print_tables(rows, console, ports)
    if write_docs:
        kept = report.DOCS.read_text().partition(report.MARK)[0]
        report.DOCS.write_text(kept + report.markdown(rows))


if __name__ == "__main__":
    main()
