"""THE pipeline: a model file becomes a shared library in one function, `levels`, top to bottom.

    import ─ split ─ int8 ─┬─ packed ─ loop ─ isa ─ llvm ─ asm ─ obj ─┐
                           └─ … the same for every further target ────┴─ so

Each `yield` is a named stop point: the caller verifies the level, dumps it, reports progress and
may stop there. Everything up to `int8` knows nothing of the target and is done once; a fat library
repeats only what follows.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import cast

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, Builtin, ModuleOp
from xdsl.dialects.func import Func, FuncOp
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from . import files
from .codegen.host import resolve_targets
from .codegen.targets import Target
from .dialects.graph import Graph
from .dialects.tensors import shape_of
from .errors import LpcError, LpcWarning
from .passes import load_pass

STOP_POINTS = ("import", "split", "int8", "packed", "loop", "isa", "llvm", "asm", "obj")
SHARED_LEVELS = frozenset(("import", "split", "int8"))

# suffix of a model file → (module of its importer, function)
FRONTENDS = {".onnx": ("onnx", "load_onnx")}

TO_SPLIT = (
    # Folds shape arithmetic and constant weights, so that what follows meets plain constants.
    "canonicalize",
    # Batch norms before weights are quantized: a fold changes the weights.
    "fold-batch-norm",
    "split-fake-quantize",
    # Constants through quantize → dequantize become codes before anything asks "is this weight
    # quantized?", and the transposes above them move into the codes.
    "quantize-weights",
    "fold-weight-movement",
    "fold-bias",
    # Only now do all weights have one form, so that float weights that lie on an 8-bit grid can be
    # told from others.
    "recover-weight-grid",
    "canonicalize",
)

TO_INT8 = (
    # Dequantizes move down to the contractions that absorb them, through whatever commutes with
    # them …
    "sink-dequantize",
    # … where activation and weight dequantize meet: integer contraction, then one dequantize of the
    # accumulator.
    "integerize-contractions",
    # An accumulator's dequantize now sits above the next quantize (perhaps with a clamp between):
    # one requantize.
    "fuse-requantize",
    # What is left between a dequantize and a quantize and is unary becomes a table; after
    # fuse-requantize, because a clamp there is cheaper as a narrowed code range than as a table.
    "tabulate-unary",
    # Last of the rewrites, when it is known which values are codes: contraction inputs become
    # unsigned, as the u8 × s8 dot instructions want them.
    "unsign-activations",
    "canonicalize",
)

# Called when work on a level begins, for instance progress("int8", "") or progress("obj", "avx2").
Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class Level:
    """One stop point of one target ("" before targets part ways)."""

    name: str
    target: str
    content: ModuleOp | str | bytes

    def printed(self) -> str | bytes:
        if not isinstance(self.content, ModuleOp):
            return self.content
        stream = StringIO()
        Printer(stream).print_op(self.content)
        return stream.getvalue() + "\n"

    @property
    def file_name(self) -> str:
        suffix = {"llvm": "ll", "asm": "s", "obj": "o"}.get(self.name, "mlir")
        return ".".join(filter(None, (self.name, self.target, suffix)))


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


def load_model(path: Path, input_shapes: Mapping[str, Sequence[int]] | None = None) -> ModuleOp:
    """The graph of a model file, through the frontend that its suffix names."""
    if path.suffix.lower() not in FRONTENDS:
        known = ", ".join(FRONTENDS)
        raise LpcError(f"{path}: unknown model suffix '{path.suffix}'; lpc reads {known}")
    if not path.is_file():
        raise LpcError(f"{path}: no such file")
    module_name, function = FRONTENDS[path.suffix.lower()]
    frontend = import_module(f".frontends.{module_name}", __package__)
    return cast(ModuleOp, getattr(frontend, function)(path, input_shapes, warn=_warn))


def _warn(message: str) -> None:
    warnings.warn(message, LpcWarning, stacklevel=2)


def lower_to_split(module: ModuleOp, context: Context) -> None:
    run_passes(module, context, TO_SPLIT)


def lower_to_int8(module: ModuleOp, context: Context) -> None:
    run_passes(module, context, TO_INT8)


def run_passes(module: ModuleOp, context: Context, names: Sequence[str]) -> None:
    for name in names:
        load_pass(name)().apply(context, module)


def new_context() -> Context:
    context = Context()
    for dialect in (Builtin, Func, Graph):
        context.load_dialect(dialect)
    return context


def levels(
    model: Path,
    targets: Sequence[Target],
    input_shapes: Mapping[str, Sequence[int]] | None,
    progress: Progress,
) -> Iterator[Level]:
    """Every level of the compilation of `model`, in order. A module is only good until the next
    level is asked for."""
    context = new_context()
    progress("import", "")
    module = load_model(model, input_shapes)
    yield Level("import", "", module)
    progress("split", "")
    lower_to_split(module, context)
    yield Level("split", "", module)
    progress("int8", "")
    lower_to_int8(module, context)
    yield Level("int8", "", module)


def graph_at(
    level: str, model: Path, input_shapes: Mapping[str, Sequence[int]] | None = None
) -> ModuleOp:
    """The verified graph of `model` at a level that all targets share."""
    assert level in SHARED_LEVELS
    for stage in levels(model, (), input_shapes, lambda name, target: None):
        _verify(stage)
        if stage.name == level:
            return cast(ModuleOp, stage.content)
    raise AssertionError(f"the pipeline has no level {level}")


def compile_model(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    target: str = "native",
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    stop_after: str | None = None,
    dump_dir: str | os.PathLike[str] | None = None,
    header: str | os.PathLike[str] | None = None,
    threads_max: int | None = None,
    progress: Progress | None = None,
) -> CompileResult:
    """`lpc.compiler.compile`; see there."""
    if stop_after is not None and stop_after not in STOP_POINTS:
        raise LpcError(f"no level '{stop_after}'; the levels are {', '.join(STOP_POINTS)}")
    path = Path(model)
    destination = _destination(path, output, stop_after)
    rows = () if stop_after in SHARED_LEVELS else _targets_until(stop_after, target)
    recorder = _Recorder(None if dump_dir is None else Path(dump_dir), stop_after)
    recorder.watch(levels(path, rows, input_shapes, progress or (lambda level, target: None)))
    if destination is not None and recorder.stopped_at is not None:
        files.write(destination, recorder.stopped_at)
    names = tuple(row.name for row in rows)
    return CompileResult(
        destination, names, recorder.layers, recorder.timings, level=recorder.stopped_at
    )


class _Recorder:
    """Consumes levels: verifies, times and dumps each, and stops after the one asked for."""

    def __init__(self, dump_dir: Path | None, stop_after: str | None):
        self.dump_dir = dump_dir
        self.stop_after = stop_after
        self.timings: dict[str, float] = {}
        self.layers: tuple[tuple[str, str], ...] = ()
        self.stopped_at: str | bytes | None = None

    def watch(self, stages: Iterator[Level]) -> None:
        begin = time.perf_counter()
        for number, level in enumerate(stages):
            _verify(level)
            self.timings[level.name] = (
                self.timings.get(level.name, 0.0) + time.perf_counter() - begin
            )
            if level.name == "import":
                self.layers = source_layers(cast(ModuleOp, level.content))
            if self.dump_dir is not None:
                self._dump(number, level)
            if level.name == self.stop_after:
                self.stopped_at = level.printed()
                return
            begin = time.perf_counter()

    def _dump(self, number: int, level: Level) -> None:
        assert self.dump_dir is not None
        try:
            self.dump_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LpcError(f"{self.dump_dir}: cannot write: {error.strerror}") from error
        files.write(self.dump_dir / f"{number:02}.{level.file_name}", level.printed())


def _verify(level: Level) -> None:
    if not isinstance(level.content, ModuleOp):
        return
    try:
        level.content.verify()
    except VerifyException as error:
        raise LpcError(f"the compiler built wrong IR at level '{level.name}': {error}") from error


def source_layers(module: ModuleOp) -> tuple[tuple[str, str], ...]:
    """(name, type) of every node of the source model, in source order."""
    rows = main_function(module).attributes["layers"]
    assert isinstance(rows, ArrayAttr)
    return tuple((name.data, kind.data) for name, kind in rows)


def main_inputs(module: ModuleOp) -> dict[str, tuple[int, ...]]:
    """Name → shape of the model's inputs."""
    function = main_function(module)
    names = function.attributes["input_names"]
    assert isinstance(names, ArrayAttr)
    return {name.data: shape_of(arg) for name, arg in zip(names, function.args, strict=True)}


def main_function(module: ModuleOp) -> FuncOp:
    return next(op for op in module.ops if isinstance(op, FuncOp))


def _targets_until(stop_after: str | None, names: str) -> tuple[Target, ...]:
    rows = tuple(resolve_targets(names))
    if stop_after is not None and len(rows) > 1:
        raise LpcError(f"level '{stop_after}' belongs to one target, not to {names}; name one")
    return rows


def _destination(
    model: Path, output: str | os.PathLike[str] | None, stop_after: str | None
) -> Path | None:
    if output is None and stop_after is not None:
        return None
    destination = Path(model.with_suffix(".so").name if output is None else output)
    files.check_writable(destination)
    return destination
