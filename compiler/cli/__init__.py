"""The lpc command: parse, call, print. One file per command, imported when that command runs.

Exit codes: 0 fine; 1 the model or the data is wrong (one line on stderr); 2 wrong usage.
"""

from __future__ import annotations

import atexit
import errno
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from ..errors import LpcError, LpcWarning

# command → one line of help, here so that `lpc --help` imports none of them
COMMANDS = {
    "compile": "Compile a model into a shared library.",
    "run": "Run a model or a compiled library once.",
    "benchmark": "Measure latency, throughput and per-layer counters.",
    "explain": "Show per layer which precision was asked for, which it got, and why.",
    "targets": "List the instruction sets lpc generates code for.",
    "demo": "Compile, run and check the bundled model.",
    "opt": "Run compiler passes over IR in our dialects.",
}
EXAMPLES = """\b
Examples:
  lpc demo
  lpc compile model.onnx -o model.so
  lpc run model.so --input x.npz --output y.npz
  lpc benchmark model.so -niter 100 -report_type average_counters"""


class Commands(click.Group):
    """Imports a command's module on use, and turns what goes wrong inside into one line and an exit
    code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f".{cmd_name}", __name__).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _warnings_as_lines():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            if ctx.params["debug"]:
                raise
            click.echo(f"error: {one_line(error)}", err=True)
            ctx.exit(1)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Assumptions about the model, each said once, however often a command reads the model."""
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            click.echo(f"warning: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", LpcWarning)
        warnings.showwarning = show
        yield


def one_line(error: Exception) -> str:
    if isinstance(error, LpcError) or type(error).__name__ == "LpcRuntimeError":
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    text = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {text}; `lpc --debug …` shows where"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXAMPLES,
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="lpc", message="lpc %(version)s")
def cli(debug: bool) -> None:
    """lpc, the low-precision compiler: quantized neural networks to exact, fast, self-contained
    native libraries."""


def main() -> None:
    # One command, one process: its memory goes back when it ends. To look for garbage in large IR
    # before would take a tenth of the time.
    gc.disable()
    atexit.register(gc.freeze)
    cli(prog_name="lpc")
