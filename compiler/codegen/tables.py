"""The tables of one library as LLVM IR text: programs, steps, arguments, metadata.

`support/types.ll` defines the structures.  Weights are handed in as LLVM constants, because a
library holds them in its read-only pages while the JIT leaves them where they are in the process.

    @arguments.0.1 = internal constant [2 x %argument] [%argument { i32 0, i32 0, i64 0 }, ...]
    @steps.0 = internal constant [1 x %step] [%step { ptr @conv_avx2, ptr @arguments.0.1, ... }]
    @program.0 = internal constant %program { ptr @name.0, i64 63, ptr @steps.0, ... }
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ..errors import LpcError
from .features import FEATURES, REGISTERS, WORDS, feature_mask
from .objects import emit_object
from .program import Argument, LibraryInfo, Step, TargetProgram, TensorInfo, as_array
from .targets import TARGETS, by_name

ABI_VERSION = 1
MAX_ARGUMENTS = 64  # size of the array in @run_steps of execute.ll
TYPES = "types.ll"
CODE = ("externals.ll", "cpu.ll", "pool.ll", "execute.ll", "abi.ll")
EXPORTS = (
    "lpc_abi_version", "lpc_metadata", "lpc_error_message", "lpc_select", "lpc_target_count",
    "lpc_target_name", "lpc_workspace_size", "lpc_step_count", "lpc_input_count",
    "lpc_output_count", "lpc_input_bytes", "lpc_output_bytes", "lpc_run", "lpc_profile",
)  # fmt: skip

_ITEM_SIZES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2,
    "int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8,
}  # fmt: skip
_KINDS = {"input": 0, "output": 1, "workspace": 2, "weights": 3}


@cache
def support_object() -> bytes:
    """Executor, thread pool, CPU check and ABI: the same for every model."""
    return emit_object(
        "\n".join([*map(_support, (TYPES, *CODE)), *_feature_rows(), *_target_names()])
    )


def _support(name: str) -> str:
    return (files(__package__) / "support" / name).read_text()


def sorted_programs(programs: Sequence[TargetProgram]) -> list[TargetProgram]:
    """Preferred target last; checks what the tables rely on."""
    if not programs:
        raise ValueError("a library needs at least one program")
    order = {target.name: index for index, target in enumerate(TARGETS)}
    chosen = sorted(programs, key=lambda program: order[by_name(program.target).name])
    names = [program.target for program in chosen]
    if len(set(names)) != len(names):
        raise ValueError(f"several programs for one target: {names}")
    owners: dict[str, str] = {}
    for program in chosen:
        for step in program.steps:
            if len(step.arguments) > MAX_ARGUMENTS:
                raise LpcError(
                    f"layer '{step.layer}': a kernel with {len(step.arguments)} operands"
                )
            if owners.setdefault(step.symbol, program.target) != program.target:
                raise ValueError(f"kernel '{step.symbol}' is defined by two targets")
    return chosen


def tensor_bytes(tensor: TensorInfo) -> int:
    size = _ITEM_SIZES[tensor.dtype]
    for extent in tensor.shape:
        size *= extent
    return size


def workspace_bytes(program: TargetProgram) -> int:
    """A multiple of 64, as aligned_alloc wants it."""
    return -(-program.workspace_size // 64) * 64


def metadata(programs: Sequence[TargetProgram], info: LibraryInfo, version: str) -> dict[str, Any]:
    """What `lpc_metadata` returns; documented in lpc.h."""

    def tensor(t: TensorInfo) -> dict[str, Any]:
        return {"name": t.name, "dtype": t.dtype, "shape": list(t.shape)}

    def step(s: Step) -> dict[str, Any]:
        return {
            "layer": s.layer,
            "layer_type": s.layer_type,
            "exec_type": s.exec_type,
            "kernel": s.symbol,
            "units": s.units,
        }

    return {
        "lpc_version": version,
        "abi_version": ABI_VERSION,
        "model_name": info.model_name,
        "inputs": [tensor(t) for t in info.inputs],
        "outputs": [tensor(t) for t in info.outputs],
        "layers": [{"name": name, "type": kind} for name, kind in info.layers],
        "targets": [
            {
                "name": program.target,
                "workspace_size": workspace_bytes(program),
                "weights_size": as_array(program.weights).nbytes,
                "steps": [step(s) for s in program.steps],
            }
            for program in programs
        ],
    }


def tables_text(
    programs: Sequence[TargetProgram], info: LibraryInfo, version: str, weights: Sequence[str]
) -> str:
    """A complete module; `weights[i]` is the LLVM constant for the address of a program's blob."""
    description = json.dumps(metadata(programs, info, version), separators=(",", ":"))
    lines = [
        _support(TYPES),
        "declare hidden i32 @lpc.execute(ptr, ptr, ptr, ptr, i32, ptr)",
        _shared(_string("lpc.metadata", description)),
        *_sizes("input", info.inputs),
        *_sizes("output", info.outputs),
        f"@lpc.program_count = hidden constant i32 {len(programs)}",
    ]
    for index, (program, blob) in enumerate(zip(programs, weights, strict=True)):
        lines += _program(index, program, blob)
    table = [f"ptr @program.{i}" for i in range(len(programs))]
    lines.append(_shared(_array("lpc.programs", "ptr", table)))
    return "\n".join(lines) + "\n"


def _program(index: int, program: TargetProgram, weights: str) -> list[str]:
    lines = [f"declare void {_global(s)}(ptr, i64, i64)" for s in _symbols(program)]
    rows = []
    for number, step in enumerate(program.steps):
        table = f"arguments.{index}.{number}"
        lines.append(_array(table, "%argument", [_argument(a) for a in step.arguments]))
        rows.append(
            f"%step {{ ptr {_global(step.symbol)}, ptr @{table}, i64 {len(step.arguments)}, "
            f"i64 {step.units}, i64 {step.max_threads} }}"
        )
    features = feature_mask(by_name(program.target))
    lines += [
        _array(f"steps.{index}", "%step", rows),
        _string(f"name.{index}", program.target),
        f"@program.{index} = internal constant %program {{ ptr @name.{index}, i64 {features}, "
        f"ptr @steps.{index}, i64 {len(rows)}, i64 {workspace_bytes(program)}, ptr {weights} }}",
        f"define i32 @lpc_run_{program.target}(ptr %inputs, ptr %outputs, ptr %workspace, "
        "i32 %threads) {",
        f"  %status = call i32 @lpc.execute(ptr @program.{index}, ptr %inputs, ptr %outputs, "
        "ptr %workspace, i32 %threads, ptr null)",
        "  ret i32 %status",
        "}",
    ]
    return lines


def _symbols(program: TargetProgram) -> list[str]:
    return list(dict.fromkeys(step.symbol for step in program.steps))


def _argument(argument: Argument) -> str:
    kind = _KINDS[argument.kind]
    return f"%argument {{ i32 {kind}, i32 {argument.index}, i64 {argument.offset} }}"


def _sizes(side: str, tensors: Sequence[TensorInfo]) -> list[str]:
    return [
        f"@lpc.{side}_count = hidden constant i32 {len(tensors)}",
        _shared(_array(f"lpc.{side}_bytes", "i64", [f"i64 {tensor_bytes(t)}" for t in tensors])),
    ]


def _feature_rows() -> list[str]:
    rows = [
        f"%feature {{ i32 {WORDS.index(feature.word)}, i32 {feature.bit}, i32 {feature.saved} }}"
        for feature in FEATURES
    ]
    words = [
        f"%word {{ i32 {word.leaf}, i32 {word.subleaf}, i32 {REGISTERS.index(word.register)} }}"
        for word in WORDS
    ]
    on_request = sum(1 << index for index, row in enumerate(FEATURES) if row.on_request)
    return [
        _array("features", "%feature", rows),
        f"@feature_count = internal constant i64 {len(rows)}",
        _array("words", "%word", words),
        f"@word_count = internal constant i64 {len(words)}",
        f"@tile_features = internal constant i64 {on_request}",
    ]


def _target_names() -> list[str]:
    names = [f"target_name.{index}" for index in range(len(TARGETS))]
    return [
        *(_string(name, target.name) for name, target in zip(names, TARGETS, strict=True)),
        _array("target_names", "ptr", [f"ptr @{name}" for name in names]),
        f"@target_name_count = internal constant i32 {len(names)}",
    ]


def _array(name: str, element: str, items: Sequence[str]) -> str:
    body = f"[{', '.join(items)}]" if items else "zeroinitializer"
    return f"@{name} = internal constant [{len(items)} x {element}] {body}"


def _shared(definition: str) -> str:
    """A definition that the support code sees."""
    return definition.replace(" = internal ", " = hidden ", 1)


def _string(name: str, text: str) -> str:
    data = text.encode() + b"\0"
    return f"@{name} = internal constant [{len(data)} x i8] {quoted(data)}"


def _global(symbol: str) -> str:
    return f'@"{symbol}"'


def quoted(data: bytes) -> str:
    """An LLVM string constant."""
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data)
    return f'c"{"".join(plain)}"'
