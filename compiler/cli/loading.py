"""MODEL_OR_SO: a library is loaded; a model is compiled into this process, without a linker."""

from __future__ import annotations

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
    """The model on one target; None threads: as many as this process may use."""
    import lpc.runtime as lpr

    if is_library(path):
        if shapes:
            raise LpcError(f"{path}: is compiled already; its input shapes are fixed")
        return lpr.load(path, num_threads=threads, target=None if target == "native" else target)
    from ..codegen.host import resolve_targets, runs_here
    from ..codegen.jit import JitLibrary
    from ..compilation import compile_programs

    row = resolve_targets(target)[-1]
    if not runs_here(row):
        raise LpcError(f"this CPU does not run target '{row.name}' (see `lpc targets`)")
    with progress_display() as progress:
        compiled = compile_programs(path, row.name, shapes, progress)
    library = JitLibrary(compiled.programs[0], compiled.info)
    return lpr.Model(library.address, str(path), num_threads=threads)


def with_batch(path: Path, shapes: Shapes, batch: int | None) -> Shapes:
    """`shapes` with the leading dimension of every input set to `batch`."""
    if batch is None:
        return shapes
    if is_library(path):
        raise LpcError(f"{path}: is compiled already; -b is for models")
    from ..driver import load_model
    from ..signature import library_info

    inputs = library_info(load_model(path, shapes)).inputs
    return {tensor.name: (batch, *tensor.shape[1:]) for tensor in inputs}


def is_library(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except FileNotFoundError as error:
        raise LpcError(f"{path}: no such file") from error
    except OSError as error:
        raise LpcError(f"{path}: cannot read: {error.strerror}") from error
