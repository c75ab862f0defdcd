"""Compilations: consume the levels of the driver, and write what was asked for.

compile_model      → a shared library, or one printed level
compile_programs   → object code and tables in memory, for the JIT
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import VerifyException

from . import files, verification
from .codegen.host import resolve_targets, runs_here
from .codegen.library import write_header, write_library
from .codegen.linker import find_linker
from .codegen.program import LibraryInfo, TargetProgram
from .codegen.tables import support_object
from .codegen.targets import Target
from .collector import collector_paused
from .driver import SHARED_LEVELS, STOP_POINTS, Level, Progress, Tuner, levels
from .errors import LpcError
from .signature import library_info

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class CompileResult:
    """What a compilation left behind.

    path: the file written, None when there is none; layers: (name, type) of every source layer in
    source order; timings: level → seconds, summed over targets; level: the printed level that
    `stop_after` asked for."""

    path: Path | None
    targets: tuple[str, ...]
    layers: tuple[tuple[str, str], ...]
    timings: Mapping[str, float]
    level: str | bytes | None = None


@dataclass(frozen=True)
class Programs:
    """Compiled code in memory, one program per target, and what is the same for all of them."""

    programs: tuple[TargetProgram, ...]
    info: LibraryInfo


def compile_model(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    target: str = "native",
    input_shapes: Shapes | None = None,
    stop_after: str | None = None,
    dump_dir: str | os.PathLike[str] | None = None,
    header: str | os.PathLike[str] | None = None,
    threads_max: int | None = None,
    tune: bool = False,
    tune_seconds: float = 60.0,
    progress: Progress | None = None,
) -> CompileResult:
    """`lpc.compiler.compile`; see there."""
    if stop_after is not None and stop_after not in STOP_POINTS:
        raise LpcError(f"no level '{stop_after}'; the levels are {', '.join(STOP_POINTS)}")
    path = Path(model)
    # What can fail for reasons outside the model fails now, not after minutes of work.
    destination = _destination(path, output, stop_after)
    rows = _targets_until(stop_after, target)
    tuner = _tuner(rows, tune_seconds) if tune else None
    if stop_after is None:
        find_linker()
    notify = progress or _silent
    recorder = _Recorder(None if dump_dir is None else Path(dump_dir), stop_after)
    stages = levels(path, rows, input_shapes, notify, tuner)
    if stop_after is None:
        recorder.watch_linkable(stages)
    else:
        recorder.watch(stages)
    assert recorder.info is not None
    if recorder.stopped_at is not None:
        if destination is not None:
            files.write(destination, recorder.stopped_at)
    else:
        assert destination is not None
        notify("link", "")
        programs = [_limited(program, threads_max) for program in recorder.programs]
        with recorder.timed("link"):
            write_library(destination, programs, recorder.info)
        if header is not None:
            write_header(Path(header), programs, recorder.info)
    names = tuple(row.name for row in rows)
    layers = recorder.info.layers
    return CompileResult(destination, names, layers, recorder.timings, recorder.stopped_at)


def compile_programs(
    model: Path,
    target: str = "native",
    input_shapes: Shapes | None = None,
    progress: Progress | None = None,
) -> Programs:
    """Compiles without a linker, for `codegen.jit`."""
    recorder = _Recorder(None, None)
    rows = resolve_targets(target)
    recorder.watch_linkable(levels(model, rows, input_shapes, progress or _silent))
    assert recorder.info is not None
    return Programs(tuple(recorder.programs), recorder.info)


def shared_levels(model: Path, input_shapes: Shapes | None = None) -> Iterator[Level]:
    """The levels that all targets share, verified. A module changes when the next is asked for."""
    for level in levels(model, (), input_shapes, _silent):
        verify(level)
        yield level


def graph_at(name: str, model: Path, input_shapes: Shapes | None = None) -> ModuleOp:
    """The graph of `model` at a level that all targets share."""
    return next(level.module for level in shared_levels(model, input_shapes) if level.name == name)


def verify(level: Level) -> None:
    if not isinstance(level.content, ModuleOp):
        return
    try:
        verification.verify(level.content)
    except VerifyException as error:
        raise LpcError(f"the compiler built wrong IR at level '{level.name}': {error}") from error


class _Recorder:
    """Consumes levels: verifies, times and dumps each, and stops after the one asked for."""

    def __init__(self, dump_dir: Path | None, stop_after: str | None):
        self.dump_dir = dump_dir
        self.stop_after = stop_after
        self.timings: dict[str, float] = {}
        self.info: LibraryInfo | None = None
        self.programs: list[TargetProgram] = []
        self.stopped_at: str | bytes | None = None

    def watch(self, stages: Generator[Level, None, None]) -> None:
        with collector_paused(), closing(stages):
            self._watch(stages)

    def watch_linkable(self, stages: Generator[Level, None, None]) -> None:
        """Also makes the support code that every library needs, while Python has work of its own
        (LLVM runs while the interpreter does)."""
        with ThreadPoolExecutor(1) as background:
            made = background.submit(support_object)
            self.watch(stages)
            made.result()

    def _watch(self, stages: Iterator[Level]) -> None:
        begin = time.perf_counter()
        for number, level in enumerate(stages):
            verify(level)
            self._add_time(level.name, time.perf_counter() - begin)
            if level.name == "import":
                self.info = library_info(level.module)
            if isinstance(level.content, TargetProgram):
                self.programs.append(level.content)
            if self.dump_dir is not None:
                self._dump(self.dump_dir, number, level)
            if level.name == self.stop_after:
                self.stopped_at = level.printed()
                return
            begin = time.perf_counter()

    def _add_time(self, name: str, seconds: float) -> None:
        self.timings[name] = self.timings.get(name, 0.0) + seconds

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._add_time(name, time.perf_counter() - begin)

    @staticmethod
    def _dump(folder: Path, number: int, level: Level) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LpcError(f"{folder}: cannot write: {error.strerror}") from error
        files.write(folder / f"{number:02}.{level.file_name}", level.printed())


def _silent(level: str, target: str) -> None:
    pass


def _limited(program: TargetProgram, threads_max: int | None) -> TargetProgram:
    if threads_max is None:
        return program
    steps = (
        replace(step, max_threads=min(step.max_threads, threads_max)) for step in program.steps
    )
    return replace(program, steps=tuple(steps))


def _targets_until(stop_after: str | None, names: str) -> tuple[Target, ...]:
    """The targets whose levels are needed; LpcError for unknown names in any case."""
    rows = tuple(resolve_targets(names))
    if stop_after in SHARED_LEVELS:
        return ()
    if stop_after is not None and len(rows) > 1:
        raise LpcError(f"level '{stop_after}' belongs to one target, not to {names}; name one")
    return rows


def _tuner(rows: Sequence[Target], seconds: float) -> Tuner:
    from .tuning import TileTuner

    for row in rows:
        if not runs_here(row):
            raise LpcError(
                f"tuning measures on this CPU, which does not run target '{row.name}' (see "
                "`lpc targets`); compile for it without --tune"
            )
    return TileTuner(seconds)


def _destination(
    model: Path, output: str | os.PathLike[str] | None, stop_after: str | None
) -> Path | None:
    if output is None and stop_after is not None:
        return None
    destination = Path(model.with_suffix(".so").name if output is None else output)
    files.check_writable(destination)
    return destination
