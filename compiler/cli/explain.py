"""lpc explain: per layer, the precision asked for, the one it gets, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from .common import console, input_shape_option, lpc_command, progress_display

Shapes = dict[str, tuple[int, ...]]


@lpc_command("lpc explain model.onnx", "lpc explain model.onnx --target avx2")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", help="Also compile for this target and name each layer's kernel.")
@input_shape_option()
def command(
    model: Path, target: str | None, input_shapes: tuple[tuple[str, tuple[int, ...]], ...]
) -> None:
    """Show which layers of MODEL are computed in 8 bits, which are not, and why.

    Precisions are the same for every target."""
    from rich import box
    from rich.table import Table

    from ..explain import explain

    shapes = dict(input_shapes)
    rows = explain(model, shapes)
    kernels, paths = ({}, {}) if target is None else _kernels(model, target, shapes)
    table = Table("layer", "type", "asked", "got", box=box.SIMPLE_HEAD)
    if target is not None:
        table.add_column("kernel")
    table.add_column("why")
    for row in rows:
        lost = row.asked == "I8" and row.got == "FP32"
        style = "yellow" if lost else "dim" if row.got == "fused" else ""
        kernel = [] if target is None else [kernels.get(row.layer, "")]
        why = "; ".join(filter(None, (row.why, paths.get(row.layer, ""))))
        table.add_row(row.layer, row.kind, row.asked, row.got, *kernel, why, style=style)
    console().print(table)
    counts = Counter(row.got for row in rows)
    console().print(", ".join(f"{counts[got]} {got}" for got in ("I8", "FP32", "fused", "border")))


def _kernels(model: Path, target: str, shapes: Shapes) -> tuple[dict[str, str], dict[str, str]]:
    """Source layer → execType of its kernel, on the newest of the targets, and → why it is computed
    in tile registers, or is not."""
    from ..codegen.host import resolve_targets
    from ..explain import kernels

    with progress_display() as progress:
        return kernels(model, resolve_targets(target)[-1], shapes, progress)
