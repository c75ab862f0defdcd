"""THE pipeline: a model file becomes object code in one function, `levels`, top to bottom.

    import ─ split ─ int8 ─┬─ packed ─ loop ─ isa ─ llvm ─ asm ─ obj
                           └─ … the same for every further target

Each `yield` is a named stop point: the consumer verifies the level, dumps it, and may stop there.
Everything up to `int8` knows nothing of the target and is done once; a fat library repeats only
what follows. From `packed` on each kernel goes its own way, in whichever process has time for it
(codegen/kernel_code.py). Levels between `packed` and `obj` are made, as a whole, for who looks at
them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from io import StringIO
from math import prod
from pathlib import Path
from typing import cast

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.printer import Printer

from .codegen import kernel_code, machine
from .codegen.emitter import emit_kernels, module_text
from .codegen.kernel_code import compile_program
from .codegen.lower import lower_to_loop
from .codegen.program import TargetProgram
from .codegen.targets import Target
from .contractions.ordered_tile import Choice
from .dialects import graph
from .dialects.graph import Graph
from .dialects.tensors import shape_of
from .errors import LpcError, LpcWarning
from .parallel import Helpers
from .passes import load_pass
from .passes.pack_weights import pack_weights
from .passes.prove_accumulation import ProveAccumulation
from .passes.select_instructions import SelectInstructions
from .passes.winograd import Winograd
from .verification import verify

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
    # Dequantizes move down, through all that commutes with them, to what wants codes …
    "sink-dequantize",
    # … which are the contractions and average pools: exact accumulators, dequantized after.
    "integerize-contractions",
    # Quantizes move up, through clamps (which narrow their range) and movers, to the accumulators.
    # Needs those: a mean is a pool with a reshape behind it only since the pass before.
    "hoist-quantize",
    # An accumulator's dequantize and the quantize below it now touch: one requantize.
    "fuse-requantize",
    # What is left between two 8-bit tensors is a table. After hoist-quantize, because a clamp is
    # cheaper as a narrower range than as a table.
    "tabulate-unary",
    # When it is settled which values are codes: all of them unsigned, as u8 × s8 dot products want.
    "unsign-activations",
    # Of the codes as they are from here on: every one of them is tried, and every pair.
    "merge-affine",
    "absorb-output-scale",
    "canonicalize",
)

TO_FUSED = (
    # Before layouts change: a shuffle is told by its axes as the model has them.
    "fold-channel-shuffle",
    # Windows and vectors want channels innermost; transposes stay only at the model's border.
    "channels-last",
    # Float layers whose weights are stored as codes compute with the floats.
    "materialize-weights",
    # Constants per channel belong to lanes. Weights are floats by now, and images channels-last.
    "innermost-channels",
    # Linear layers between reshapes: after channels-last, whose transposes are reshapes too.
    "unflatten-matmul",
    "canonicalize",
    # Kernels see four axes; the rare tensors of higher rank that broadcast are made to fit.
    "broadcast-leading-axes",
    # Kernels are formed before layouts, because what rides in a kernel needs no memory.
    "fuse-epilogue",
)
# In `place`, behind what a target does to its kernels: that decides what lies in memory.
TO_PLACED = (
    # Needs kernels: what they write decides. Before layouts: parts have those of the whole.
    "concat-in-place",
    "assign-layouts",
    "plan-memory",
)
TO_PACKED = (*TO_FUSED, *TO_PLACED)

# What helper processes compute in: imported by them while this process is busy with the graph.
_USED_BY_HELPERS = (kernel_code.__name__, pack_weights.__module__)

# Called when work on a level begins, for instance progress("int8", "") or progress("obj", "avx2").
Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class Tuning:
    """Tiles of layers by `Layer.key`, and a text that says how they were found."""

    choices: Mapping[str, Choice]
    report: str


_NO_CHOICES: Mapping[str, Choice] = {}

# Finds tiles for the placed graph of a target, which it leaves as it is.
Tuner = Callable[[ModuleOp, Target], Tuning]


@dataclass(frozen=True)
class Level:
    """One stop point of one target ("" before targets part ways).

    `content`: what the next level is made of. Levels that nothing is made of as a whole have none:
    their IR is `lowered`, and what is printed other than IR is `text`, when asked for."""

    name: str
    target: str
    content: ModuleOp | TargetProgram | None
    text: Callable[[], str | bytes] | None = None
    lowered: Callable[[], ModuleOp] | None = None

    def printed(self) -> str | bytes:
        if self.text is not None:
            return self.text()
        stream = StringIO()
        Printer(stream).print_op(self.module)
        return stream.getvalue() + "\n"

    @property
    def module(self) -> ModuleOp:
        if self.lowered is not None:
            return self.lowered()
        assert isinstance(self.content, ModuleOp)
        return self.content

    @property
    def file_name(self) -> str:
        suffix = {"tune": "txt", "llvm": "ll", "asm": "s", "obj": "o"}.get(self.name, "mlir")
        return ".".join(filter(None, (self.name, self.target, suffix)))


def levels(
    model: Path,
    targets: Sequence[Target],
    input_shapes: Mapping[str, Sequence[int]] | None,
    progress: Progress,
    tuner: Tuner | None = None,
) -> Generator[Level, None, None]:
    """Every level of the compilation of `model`, in order; for no targets, those that all share.
    With a tuner also what it reports, as a level "tune" at which nobody stops.

    A module is changed in place when the next level is asked for. Close it to stop early: processes
    wait to help with the rest."""
    with Helpers(*_USED_BY_HELPERS) as helpers:
        yield from _levels(model, targets, input_shapes, progress, tuner, helpers)


def _levels(
    model: Path,
    targets: Sequence[Target],
    input_shapes: Mapping[str, Sequence[int]] | None,
    progress: Progress,
    tuner: Tuner | None,
    helpers: Helpers,
) -> Generator[Level, None, None]:
    context = new_context()
    progress("import", "")
    module = load_model(model, input_shapes)
    if targets:
        # They are ready when there is work for them.
        helpers.start(_expected_seconds(module))
    yield Level("import", "", module)
    progress("split", "")
    run_passes(module, context, TO_SPLIT)
    yield Level("split", "", module)
    progress("int8", "")
    run_passes(module, context, TO_INT8)
    yield Level("int8", "", module)
    if not targets:
        return
    run_passes(module, context, TO_FUSED)
    for number, target in enumerate(targets, start=1):
        own = module if number == len(targets) else module.clone()
        place(own, target, context)
        choices = _NO_CHOICES
        if tuner is not None:
            progress("tune", target.name)
            tuning = tuner(own, target)
            choices = tuning.choices
            yield Level("tune", target.name, None, partial(str, tuning.report))
        # Measured tiles are each target's own; otherwise targets choose so as to share weights.
        library = targets if tuner is None else ()
        yield from target_levels(own, target, context, progress, choices, library, helpers)


def _expected_seconds(module: ModuleOp) -> float:
    """What the levels behind `int8` take for an imported model, roughly."""
    ops = list(module.walk())
    weights = sum(prod(shape_of(op.result)) for op in ops if isinstance(op, graph.ConstantOp))
    return 0.01 * len(ops) + 3e-7 * weights


def place(module: ModuleOp, target: Target, context: Context) -> None:
    """Kernels as the target wants them, and a place for every tensor between them."""
    Winograd(target.name).apply(context, module)
    run_passes(module, context, TO_PLACED)


def target_levels(
    module: ModuleOp,
    target: Target,
    context: Context,
    progress: Progress,
    choices: Mapping[str, Choice] = _NO_CHOICES,
    library: Sequence[Target] = (),
    helpers: Helpers | None = None,
) -> Generator[Level, None, None]:
    """What every target repeats, from the fused and placed graph on; `choices` as in `Tuning`;
    `library`: the targets to share packed weights with."""
    progress("packed", target.name)
    pack_weights(module, target, choices, library, helpers)
    # The proofs are made on the weights as packed: what the instructions will multiply.
    ProveAccumulation().apply(context, module)
    yield Level("packed", target.name, module)
    views = _CodeViews(module, target)
    progress("loop", target.name)
    yield Level("loop", target.name, None, lowered=views.loop)
    progress("isa", target.name)
    yield Level("isa", target.name, None, lowered=views.isa)
    progress("llvm", target.name)
    yield Level("llvm", target.name, None, views.llvm)
    progress("asm", target.name)
    yield Level("asm", target.name, None, views.assembly)
    progress("obj", target.name)
    yield Level("obj", target.name, compile_program(module, target, helpers), views.object_code)


class _CodeViews:
    """Levels that nobody needs but who wants to see them: each kernel goes through them by itself,
    beside others (codegen/kernel_code.py). All kernels in one module, made when asked for."""

    def __init__(self, module: ModuleOp, target: Target):
        self._module, self._target = module, target

    def loop(self) -> ModuleOp:
        module = lower_to_loop(self._module, self._target).module
        verify(module)
        return module

    def isa(self) -> ModuleOp:
        return self._isa

    def llvm(self) -> str:
        return self._llvm

    def assembly(self) -> str:
        return machine.assembly(self._llvm, self._target)

    def object_code(self) -> bytes:
        return machine.object_code(self._llvm, self._target)

    @cached_property
    def _isa(self) -> ModuleOp:
        module = self.loop()
        SelectInstructions(self._target.name).apply(new_context(), module)
        verify(module)
        return module

    @cached_property
    def _llvm(self) -> str:
        return module_text(emit_kernels(self._isa, self._target))


def load_model(path: Path, input_shapes: Mapping[str, Sequence[int]] | None = None) -> ModuleOp:
    """The graph of a model file, through the frontend that its suffix names."""
    if not path.is_file():
        raise LpcError(f"{path}: no such file")
    if path.suffix.lower() not in FRONTENDS:
        known = ", ".join(FRONTENDS)
        raise LpcError(f"{path}: unknown model suffix '{path.suffix}'; lpc reads {known}")
    module_name, function = FRONTENDS[path.suffix.lower()]
    frontend = import_module(f".frontends.{module_name}", __package__)
    return cast(ModuleOp, getattr(frontend, function)(path, input_shapes, warn=_warn))


def _warn(message: str) -> None:
    warnings.warn(message, LpcWarning, stacklevel=2)


def run_passes(module: ModuleOp, context: Context, names: Sequence[str]) -> None:
    for name in names:
        load_pass(name)().apply(context, module)


def new_context() -> Context:
    context = Context()
    for dialect in (Builtin, Func, Graph):
        context.load_dialect(dialect)
    return context
