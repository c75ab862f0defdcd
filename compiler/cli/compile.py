"""lpc compile: a model file becomes a shared library, or one printed level of the way there."""

from __future__ import annotations

from pathlib import Path

import click

from .common import input_shape_option, lpc_command, progress_display, seconds, target_option

_LEVELS = ("import", "split", "int8", "packed", "loop", "isa", "llvm", "asm", "obj")


@lpc_command(
    "lpc compile model.onnx -o model.so --target sse42,avx2,avx512_vnni",
    "lpc compile model.onnx --input-shape input:1,3,224,224 --header model.h",
    "lpc compile model.onnx --tune",
    "lpc compile model.onnx --stop-after int8",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The library [MODEL with suffix .so]."
)
@target_option()
@input_shape_option()
@click.option(
    "--stop-after",
    type=click.Choice(_LEVELS),
    help="Stop at this level and print it, or write it to --output.",
)
@click.option(
    "--dump-dir",
    type=click.Path(path_type=Path),
    help="Write every level into this folder as a numbered file.",
)
@click.option("--header", type=click.Path(path_type=Path), help="Also write a C header.")
@click.option(
    "--threads-max", type=click.IntRange(1), help="Most threads the library will ever use."
)
@click.option(
    "--tune",
    is_flag=True,
    help="Measure on this CPU which tiles are fastest, and remember it ($LPC_TUNE_CACHE).",
)
@click.option(
    "--tune-seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="What tuning may take; other layers get the tile of the cost model.",
)
def command(
    model: Path,
    output: Path | None,
    target: str,
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...],
    stop_after: str | None,
    dump_dir: Path | None,
    header: Path | None,
    threads_max: int | None,
    tune: bool,
    tune_seconds: float,
) -> None:
    """Compile MODEL (.onnx) into a self-contained shared library."""
    from .. import compile

    if stop_after == "obj" and output is None:
        raise click.UsageError("--stop-after obj makes a binary file; name it with -o")
    with progress_display(len(target.split(",")), tune) as progress:
        result = compile(
            model,
            output,
            target=target,
            input_shapes=dict(input_shapes),
            stop_after=stop_after,
            dump_dir=dump_dir,
            header=header,
            threads_max=threads_max,
            tune=tune,
            tune_seconds=tune_seconds,
            progress=progress,
        )
    if result.path is not None:
        size = result.path.stat().st_size
        click.echo(f"{result.path}: {size / 1e6:.2f} MB for {', '.join(result.targets)}", err=True)
    elif result.level is not None:
        click.echo(result.level, nl=False)
    click.echo(f"seconds: {seconds(result.timings)}", err=True)
