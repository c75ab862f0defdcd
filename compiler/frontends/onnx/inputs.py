"""The model's real inputs: element types and static shapes.

A symbolic dimension takes the value that `input_shapes` gives it, in every input that uses the same
symbol. What is left may only be the batch (dimension 0): it is compiled for 1, with a warning. A
size of 0 in the model is one that the exporter did not know; nothing is compiled for no elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from ...errors import LpcError
from .files import type_name

_DTYPES: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.UINT8: np.dtype(np.uint8),
    TensorProto.INT8: np.dtype(np.int8),
    TensorProto.INT32: np.dtype(np.int32),
    TensorProto.INT64: np.dtype(np.int64),
    TensorProto.BOOL: np.dtype(np.bool_),
}
Dim = int | str | None  # known, symbolic, or without any name


@dataclass(frozen=True)
class Input:
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Inputs:
    """The function arguments, and the value of every symbol that their shapes fixed."""

    arguments: tuple[Input, ...]
    symbols: Mapping[str, int]


def declared_dims(info: ValueInfoProto) -> tuple[Dim, ...] | None:
    """None where the rank is unknown."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(_dim(d) for d in tensor.shape.dim)


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value") and dim.dim_value > 0:
        return int(dim.dim_value)
    return dim.dim_param or None


def read_inputs(
    path: Path,
    model: ModelProto,
    given: Mapping[str, Sequence[int]],
    warn: Callable[[str], None],
) -> Inputs:
    constants = {t.name for t in model.graph.initializer}
    infos = [info for info in model.graph.input if info.name not in constants]
    unknown = [name for name in given if name not in {info.name for info in infos}]
    if unknown:
        names = ", ".join(f"'{info.name}'" for info in infos)
        raise LpcError(f"{path}: --input-shape names no input '{unknown[0]}'; inputs are {names}")
    symbols: dict[str, int] = {}
    for info in infos:
        if info.name in given:
            _bind(path, info, tuple(given[info.name]), symbols)
    arguments = []
    for info in infos:
        shape = tuple(given[info.name]) if info.name in given else None
        resolved = _resolved(path, info, symbols, warn) if shape is None else shape
        arguments.append(Input(info.name, _dtype(path, info), resolved))
    return Inputs(tuple(arguments), symbols)


def _bind(
    path: Path, info: ValueInfoProto, shape: tuple[int, ...], symbols: dict[str, int]
) -> None:
    """Check a given shape against the declared one, and learn the symbols from it."""
    declared = declared_dims(info)
    if declared is None:
        declared = (None,) * len(shape)
    text = ",".join(map(str, shape))
    wanted = ",".join(str(d or "?") for d in declared)
    problem = f"{path}: --input-shape {info.name}:{text} does not fit the declared shape [{wanted}]"
    if len(shape) != len(declared) or min(shape, default=1) < 1:
        raise LpcError(f"{problem}; give {len(declared)} sizes of at least 1")
    for dim, size in zip(declared, shape, strict=True):
        expected = symbols.setdefault(dim, size) if isinstance(dim, str) else dim
        if expected is not None and expected != size:
            raise LpcError(f"{problem}; dimension '{dim}' must be {expected}")


def _resolved(
    path: Path, info: ValueInfoProto, symbols: dict[str, int], warn: Callable[[str], None]
) -> tuple[int, ...]:
    declared = declared_dims(info)
    if declared is None:
        raise LpcError(
            f"{path}: input '{info.name}' has no shape; pass --input-shape {info.name}:1,…"
        )
    shape = []
    for axis, dim in enumerate(declared):
        size = symbols.get(dim) if isinstance(dim, str) else dim
        if size is None and axis == 0:
            size = 1
            warn(
                f"{path}: input '{info.name}': batch '{dim or '?'}' is not fixed, compiled for 1; "
                f"pass --input-shape {info.name}:{_example(declared)} for another"
            )
            if isinstance(dim, str):
                symbols[dim] = 1
        if size is None:
            raise LpcError(
                f"{path}: input '{info.name}': dimension {axis} ('{dim or '?'}') has no value; "
                f"pass --input-shape {info.name}:{_example(declared)}"
            )
        shape.append(size)
    return tuple(shape)


def _example(declared: Sequence[Dim]) -> str:
    return ",".join(str(d) if isinstance(d, int) else f"<{d or '?'}>" for d in declared)


def _dtype(path: Path, info: ValueInfoProto) -> np.dtype[Any]:
    if not info.type.HasField("tensor_type"):
        raise LpcError(
            f"{path}: input '{info.name}' is not a tensor; only tensors are supported, export again"
        )
    data_type = info.type.tensor_type.elem_type
    if data_type not in _DTYPES:
        raise LpcError(
            f"{path}: input '{info.name}' is {type_name(data_type)}, which is not supported; "
            "convert the model to float32"
        )
    return _DTYPES[data_type]


def declared_dtype(info: ValueInfoProto) -> np.dtype[Any] | None:
    return _DTYPES.get(info.type.tensor_type.elem_type)
