"""lpc.compiler: a quantized neural network in, one self-contained native library out.

    >>> import lpc.compiler as lpcc
    >>> lpcc.compile("model.onnx", output="model.so", target="avx2,avx512_vnni")

Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .errors import LpcError

if TYPE_CHECKING:
    from .compilation import CompileResult
    from .driver import Progress

__all__ = ["LpcError", "compile"]


def compile(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    target: str = "native",
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    stop_after: str | None = None,
    dump_dir: str | os.PathLike[str] | None = None,
    header: str | os.PathLike[str] | None = None,
    threads_max: int | None = None,
    tune: bool = False,
    tune_seconds: float = 60.0,
    progress: Progress | None = None,
) -> CompileResult:
    """Compiles `model` into the shared library `output` (default: MODEL.so in this folder).

    `target` is "native" or names of ISA rows separated by commas; several make one library that
    picks at load time. `input_shapes` gives values to symbolic dimensions. `stop_after` ends at a
    level ("import", "split", "int8", "packed", "loop", "isa", "llvm", "asm", "obj"); the result's
    `level` then holds it, and so does `output` where one is named. `dump_dir` receives every level
    as a numbered file. `header` writes a C header for the model. `tune` measures on this CPU which
    tiles are fastest, for about `tune_seconds` at most, and remembers it for the next compilation.
    LpcError, one line, for a model or a destination that will not do.
    """
    from .compilation import compile_model

    return compile_model(
        model,
        output,
        target=target,
        input_shapes=input_shapes,
        stop_after=stop_after,
        dump_dir=dump_dir,
        header=header,
        threads_max=threads_max,
        tune=tune,
        tune_seconds=tune_seconds,
        progress=progress,
    )
