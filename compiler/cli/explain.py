"""lpc explain: per layer, the precision asked for, the one it gets, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from .common import console, input_shape_option, lpc_command


@lpc_command("lpc explain model.onnx")
@click.argument("model", type=click.Path(path_type=Path))
@input_shape_option()
def command(model: Path, input_shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> None:
    """Show which layers of MODEL are computed in 8 bits, which are not, and why.

    The answer is the same for every target."""
    from rich import box
    from rich.table import Table

    from ..explain import explain

    rows = explain(model, dict(input_shapes))
    table = Table("layer", "type", "asked", "got", "why", box=box.SIMPLE_HEAD)
    for row in rows:
        lost = row.asked == "I8" and row.got == "FP32"
        style = "yellow" if lost else "dim" if row.got == "fused" else ""
        table.add_row(row.layer, row.kind, row.asked, row.got, row.why, style=style)
    console().print(table)
    counts = Counter(row.got for row in rows)
    console().print(", ".join(f"{counts[got]} {got}" for got in ("I8", "FP32", "fused", "border")))
