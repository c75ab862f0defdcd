"""Compiled programs → one self-contained shared library (and a C header for it).

    kernels of target 0 ─┐
    kernels of target 1 ─┼─ ld -shared ─▶ model.so
    support and tables ──┤
    weights ─────────────┘

Weights become an object file without passing through LLVM (`elf.py`): 64-byte aligned, in read-only
data.  Each constant is stored once, whichever programs have it (`constants.py`).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path

from .. import files
from .constants import merged
from .elf import write_blob_object
from .linker import find_linker, link_library
from .objects import emit_object
from .program import LibraryInfo, TargetProgram, TensorInfo
from .tables import (
    EXPORTS,
    sorted_programs,
    support_object,
    tables_text,
    tensor_bytes,
    workspace_bytes,
)

WEIGHTS_ALIGNMENT = 64
_WEIGHTS = "lpc.weights"

_C_TYPES = {
    "bool": "uint8_t", "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t",
    "uint16": "uint16_t", "float16": "uint16_t", "int32": "int32_t", "uint32": "uint32_t",
    "float32": "float", "int64": "int64_t", "uint64": "uint64_t", "float64": "double",
}  # fmt: skip


def write_library(path: Path, programs: Sequence[TargetProgram], info: LibraryInfo) -> None:
    """Writes the shared library `path`, whole or not at all.

    LpcError when there is no linker, when linking fails, or when `path` cannot be written.
    """
    linker = find_linker()
    chosen = sorted_programs(programs)
    with files.replacing(path) as beside, tempfile.TemporaryDirectory(prefix="lpc-") as scratch:
        folder = Path(scratch)
        blob, chosen = merged(chosen)
        objects = [folder / "weights.o"]
        write_blob_object(objects[0], _WEIGHTS, blob, WEIGHTS_ALIGNMENT)
        external = f"@{_WEIGHTS} = external hidden constant i8"
        tables = tables_text(chosen, info, lpc_version(), [f"@{_WEIGHTS}"] * len(chosen))
        code = {
            "support": support_object(),
            "tables": emit_object("\n".join([tables, external])),
            **{
                f"kernels_{program.target}_{number}": content
                for program in chosen
                for number, content in enumerate(program.objects)
            },
        }
        for name, content in code.items():
            objects.append(folder / f"{name}.o")
            objects[-1].write_bytes(content)
        entries = [f"lpc_run_{program.target}" for program in chosen]
        link_library(linker, beside, path.name, objects, [*EXPORTS, *entries])


def lpc_version() -> str:
    """Version of the installed package; "0" for a checkout that is not installed."""
    try:
        return package_version("lpc")
    except PackageNotFoundError:
        return "0"


def write_header(path: Path, programs: Sequence[TargetProgram], info: LibraryInfo) -> None:
    """Writes C declarations for one model: tensor sizes, and the entry point of each target."""
    chosen = sorted_programs(programs)
    prefix = re.sub(r"\W", "_", info.model_name).upper() or "MODEL"
    lines = [
        f"/* {info.model_name}: constants and entry points of a library made by lpc. */",
        f"#ifndef LPC_MODEL_{prefix}_H",
        f"#define LPC_MODEL_{prefix}_H",
        "",
        '#include "lpc.h"',
        "",
        *_tensor_lines(f"LPC_{prefix}_INPUT", info.inputs),
        *_tensor_lines(f"LPC_{prefix}_OUTPUT", info.outputs),
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
    ]
    for program in chosen:
        size = f"LPC_{prefix}_WORKSPACE_{program.target.upper()}"
        lines += [
            "",
            f"#define {size} {workspace_bytes(program)}",
            "/* Does not check the CPU: see lpc_select. */",
            f"int32_t lpc_run_{program.target}(const void *const *inputs, void *const *outputs, "
            "void *workspace, int32_t threads);",
        ]
    lines += ["", "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""]
    files.write(path, "\n".join(lines))


def _tensor_lines(prefix: str, tensors: Sequence[TensorInfo]) -> list[str]:
    lines = [f"#define {prefix}_COUNT {len(tensors)}"]
    for index, tensor in enumerate(tensors):
        shape = " x ".join(map(str, tensor.shape)) or "scalar"
        name = tensor.name.replace("*/", "* /")
        lines += [
            f"/* {name}: {tensor.dtype}, {shape} */",
            f"#define {prefix}_{index}_TYPE {_C_TYPES[tensor.dtype]}",
            f"#define {prefix}_{index}_BYTES {tensor_bytes(tensor)}",
        ]
    return [*lines, ""]
