"""lpc targets: the instruction sets as rows, and which of them this CPU runs."""

from __future__ import annotations

from .common import console, lpc_command


@lpc_command("lpc targets")
def command() -> None:
    """List the instruction sets lpc generates code for, best one last, and which this CPU runs."""
    from rich import box
    from rich.table import Table

    from ..codegen.host import cpu_features
    from ..codegen.targets import TARGETS, required_features

    table = Table("target", "instruction set", "vector", "implies", "this CPU", box=box.SIMPLE_HEAD)
    newest = ""
    for target in TARGETS:
        missing = [f for f in required_features(target) if f not in cpu_features()]
        newest = newest if missing else target.name
        verdict = f"[red]lacks {', '.join(missing)}" if missing else "[green]runs it"
        vector = f"{8 * target.vector_bytes} bits"
        table.add_row(target.name, target.title, vector, target.implies or "", verdict)
    console().print(table)
    console().print(f"native = {newest or 'none of them'}")
