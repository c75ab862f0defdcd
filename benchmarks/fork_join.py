"""What it costs to run a step on several threads: the library's own pool, with hardly any work.

    python -m benchmarks.fork_join --threads 2

A program of many steps, each of which adds one to a few numbers, on one thread and on several.
What a step takes longer than its share of the work is the price of fork and join.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import click
import numpy as np
from lpc.compiler.codegen.jit import JitLibrary
from lpc.compiler.codegen.objects import emit_object
from lpc.compiler.codegen.program import Argument, LibraryInfo, Step, TargetProgram, TensorInfo
from lpc.runtime import Model

UNITS, STEPS = 64, 200
SECONDS = 1.0
_KERNEL = """
define void @count(ptr %buffers, i64 %begin, i64 %end) {
entry:
  %out = load ptr, ptr %buffers
  br label %unit
unit:
  %i = phi i64 [ %begin, %entry ], [ %next, %unit ]
  %at = getelementptr i32, ptr %out, i64 %i
  %old = load i32, ptr %at
  %new = add i32 %old, 1
  store i32 %new, ptr %at
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %end
  br i1 %more, label %unit, label %done
done:
  ret void
}
"""
_INFO = LibraryInfo(
    model_name="fork-join",
    inputs=(),
    outputs=(TensorInfo("y", "int32", (1, UNITS)),),
    layers=(("count", "Add"),),
)


def program(steps: int) -> TargetProgram:
    """Adds one to every output so many times."""
    step = Step("count", UNITS, 255, (Argument("output", 0, 0),), "count", "Add", "eltwise_sse42")
    return TargetProgram(
        target="sse42",
        steps=(step,) * steps,
        workspace_size=64,
        weights=bytes(64),
        objects=(emit_object(_KERNEL),),
    )


def run_once(model: Model) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return model.run({}, {"y": np.zeros((1, UNITS), np.int32)})["y"]


def microseconds(threads: int, seconds: float = SECONDS) -> Mapping[str, float]:
    """A step alone, a step on `threads` threads, and fork and join: minima."""
    alone, shared = (_step(count, seconds) for count in (1, threads))
    return {"alone": alone, "shared": shared, "fork and join": shared - alone / threads}


def _step(threads: int, seconds: float) -> float:
    """Microseconds of one of many steps."""
    short, long = (_fastest(count, threads, seconds / 2) for count in (1, STEPS + 1))
    return (long - short) / STEPS


def _fastest(steps: int, threads: int, seconds: float) -> float:
    library = JitLibrary(program(steps), _INFO)
    model = Model(library.address, "fork-join", num_threads=threads)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        run_once(model)
        best = min(best, time.perf_counter() - begin)
    return 1e6 * best


@click.command()
@click.option("--threads", type=click.IntRange(2), default=2, show_default=True)
def main(threads: int) -> None:
    """Print microseconds."""
    if threads > len(os.sched_getaffinity(0)):
        click.echo("more threads than cores: they wait for one another", err=True)
    for name, value in microseconds(threads).items():
        click.echo(f"{name:13} {value:6.3f} us")


if __name__ == "__main__":
    main()
