"""MODEL_OR_SO: a library is loaded; a model is compiled first, into a folder that goes away."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LpcError
from .common import progress_display

if TYPE_CHECKING:
    from lpc.runtime import Model

_ELF = b"\x7fELF"
Shapes = Mapping[str, Sequence[int]]


def load(path: Path, target: str, shapes: Shapes, threads: int | None) -> Model:
    return requests(path, target, shapes, threads, 1)[0]


def requests(
    path: Path, target: str, shapes: Shapes, threads: int | None, count: int
) -> list[Model]:
    """The model `count` times, each with its own workspace and its share of the threads."""
    import lpc.runtime as lpr

    share = threads if count == 1 else max(1, (threads or lpr.available_threads()) // count)
    if is_library(path):
        if shapes:
            raise LpcError(f"{path}: is compiled already; its input shapes are fixed")
        name = None if target == "native" else target
        return [lpr.load(path, num_threads=share, target=name) for _ in range(count)]
    from .. import compile

    with tempfile.TemporaryDirectory(prefix="lpc-") as folder:
        library = Path(folder) / f"{path.stem}.so"
        with progress_display(10) as progress:
            compile(path, library, target=target, input_shapes=shapes, progress=progress)
        # The mappings outlive the file's name.
        return [lpr.load(library, num_threads=share) for _ in range(count)]


def with_batch(path: Path, shapes: Shapes, batch: int | None) -> Shapes:
    """`shapes` with the leading dimension of every input set to `batch`."""
    if batch is None:
        return shapes
    if is_library(path):
        raise LpcError(f"{path}: is compiled already; -b is for models")
    from ..driver import load_model, main_inputs

    inputs = main_inputs(load_model(path, shapes))
    return {name: (batch, *shape[1:]) for name, shape in inputs.items()}


def is_library(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except FileNotFoundError as error:
        raise LpcError(f"{path}: no such file") from error
    except OSError as error:
        raise LpcError(f"{path}: cannot read: {error.strerror}") from error
