"""lpc run: one inference, from arrays on disk or seeded random ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import console, input_shape_option, lpc_command, target_option

if TYPE_CHECKING:
    from .arrays import Array


@lpc_command(
    "lpc run model.so --input x.npz --output y.npz",
    "lpc run model.onnx --threads 2",
)
@click.argument("model", metavar="MODEL_OR_SO", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    help="npz keyed by input name, or npy for a single input [random, see --seed].",
)
@click.option("--output", type=click.Path(path_type=Path), help="npz (or npy) for the outputs.")
@click.option("--threads", type=click.IntRange(1), help="Threads [what this process may use].")
@click.option("--seed", default=0, show_default=True, help="For random inputs.")
@target_option()
@input_shape_option()
def command(
    model: Path,
    source: Path | None,
    output: Path | None,
    threads: int | None,
    seed: int,
    target: str,
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...],
) -> None:
    """Run a model or a compiled library once and summarize its outputs."""
    from .. import files
    from . import arrays
    from .loading import load

    if output is not None:
        files.check_writable(output)
    loaded = load(model, target, dict(input_shapes), threads)
    if source is None:
        inputs = arrays.random_inputs(loaded.inputs, seed)
    else:
        inputs = arrays.read_inputs(source, loaded.inputs)
    outputs = loaded.run(inputs)
    if output is not None:
        arrays.write_outputs(output, outputs)
    _summarize(outputs)


def _summarize(outputs: dict[str, Array]) -> None:
    from rich import box
    from rich.table import Table

    table = Table("output", "dtype", "shape", "min", "mean", "max", "argmax", box=box.SIMPLE_HEAD)
    for name, array in outputs.items():
        shape = "×".join(map(str, array.shape)) or "scalar"
        numbers = (f"{v:.6g}" for v in (array.min(), array.mean(), array.max()))
        table.add_row(name, str(array.dtype), shape, *numbers, str(array.argmax()))
    console().print(table)
