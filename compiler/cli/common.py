"""What the commands share: declaring one, its common options, progress, tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from ..driver import Progress

# Levels of work: import, split, int8; then (tune,) packed … obj of each target; then the link.
_SHARED, _PER_TARGET = 3, 6
_QUIET_SECONDS = 2.0
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def lpc_command(*examples: str, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Declares a command whose help ends with `examples`."""
    epilog = "\b\n" + "\n".join(["Example:" if len(examples) == 1 else "Examples:", *examples])
    epilog = epilog.replace("\nlpc", "\n  lpc")
    declare = click.command(context_settings=_HELP | settings, epilog=epilog)

    def decorate(function: Callable[..., Any]) -> click.Command:
        debug = click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_set_debug,
            help="Show the traceback of an error.",
        )
        return declare(debug(function))

    return decorate


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().params["debug"] = True


def target_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--target",
        default="native",
        show_default=True,
        metavar="NAME[,NAME…]",
        help="Instruction sets to generate code for (see `lpc targets`); several make one library.",
    )


class InputShape(click.ParamType[tuple[str, tuple[int, ...]]]):
    name = "NAME:DIM,DIM,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        name, colon, dims = str(value).rpartition(":")
        try:
            shape = tuple(int(dim) for dim in dims.split(","))
        except ValueError:
            shape = ()
        if not colon or not name or not shape or min(shape) < 1:
            self.fail(f"'{value}' is not of the form NAME:1,3,224,224, sizes from 1", param, ctx)
        return name, shape


def input_shape_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--input-shape",
        "input_shapes",
        type=InputShape(),
        multiple=True,
        help="Value for the symbolic dimensions of an input; repeatable.",
    )


@contextmanager
def progress_display(targets: int = 1, tune: bool = False) -> Iterator[Progress]:
    """On stderr: a bar on a terminal; in a pipe one line per level, once the work takes seconds."""
    if sys.stderr.isatty():
        with _bar(_SHARED + (_PER_TARGET + tune) * targets + 1) as progress:
            yield progress
        return
    begin = time.perf_counter()

    def line(level: str, target: str) -> None:
        elapsed = time.perf_counter() - begin
        if elapsed > _QUIET_SECONDS:
            click.echo(f"[{elapsed:5.1f} s] {label(level, target)}", err=True)

    yield line


@contextmanager
def _bar(levels: int) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=levels)

        def advance(level: str, target: str) -> None:
            bar.update(task, description=label(level, target))
            bar.advance(task)

        yield advance


def label(level: str, target: str) -> str:
    return f"{level} {target}".rstrip()


def console() -> Console:
    """stdout; in a pipe as wide as it takes, so that no table cell is cut."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def seconds(timings: Mapping[str, float]) -> str:
    """Without levels that nobody had to make for themselves."""
    texts = {level: f"{value:.2f}" for level, value in timings.items()}
    return ", ".join(f"{level} {text}" for level, text in texts.items() if text != "0.00")
