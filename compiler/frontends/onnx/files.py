"""Reading the file: every way in which it can fail to be a supported ONNX model, as one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from ...dialects.tensors import Array
from ...errors import LpcError

OPSETS = range(13, 23)
DEFAULT_DOMAINS = ("", "ai.onnx")
_NARROW: dict[int, np.dtype[Any]] = {
    TensorProto.UINT8: np.dtype(np.uint8),
    TensorProto.INT8: np.dtype(np.int8),
    TensorProto.UINT16: np.dtype(np.uint16),
    TensorProto.INT16: np.dtype(np.int16),
}


def read_model(path: Path) -> tuple[ModelProto, int]:
    """The model with local functions inlined, and the opset version of its default domain."""
    model = _parse(path)
    if not model.ir_version or not model.graph.output:
        raise LpcError(f"{path}: not an ONNX model, or truncated; export or copy the file again")
    opset = _opset(path, model)
    if model.functions:
        # The import costs 50 ms, and few models have functions.
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    return model, opset


def _parse(path: Path) -> ModelProto:
    if not path.is_file():
        problem = "is a directory" if path.is_dir() else "no such file"
        raise LpcError(f"{path}: {problem}; check the path of the model")
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except PermissionError as error:
        raise LpcError(f"{path}: no permission to read the file; change its mode") from error
    except Exception as error:
        message = f"{path}: not an ONNX model, or truncated ({error}); export or copy it again"
        raise LpcError(message) from error
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # onnx raises several kinds where a data file is missing or short
        message = f"{path}: external data: {error}; keep the data files beside the model"
        raise LpcError(message) from error
    return model


def _opset(path: Path, model: ModelProto) -> int:
    versions = [o.version for o in model.opset_import if o.domain in DEFAULT_DOMAINS]
    if not versions:
        raise LpcError(f"{path}: declares no opset of the default domain; export the model again")
    if versions[0] not in OPSETS:
        raise LpcError(
            f"{path}: opset {versions[0]} is not supported; convert the model to opset "
            f"{OPSETS[0]} to {OPSETS[-1]}, for instance with onnx.version_converter"
        )
    return int(versions[0])


def read_tensor(tensor: TensorProto) -> Array:
    """The payload as numpy array; ValueError where it is damaged.

    Narrow integers may be stored in 32-bit fields: onnx wraps what does not fit, here it is an
    error."""
    narrow = _NARROW.get(tensor.data_type)
    if narrow is not None and tensor.int32_data:
        wide, limits = np.asarray(tensor.int32_data), np.iinfo(narrow)
        outside = wide[(wide < limits.min) | (wide > limits.max)]
        if outside.size:
            raise ValueError(f"value {outside[0]} of '{tensor.name}' is outside {narrow.name}")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:
        raise ValueError(f"the data of '{tensor.name}' is damaged ({error})") from error


def type_name(data_type: int) -> str:
    return TensorProto.DataType.Name(data_type).lower() if data_type else "undefined"


def layer_names(nodes: Iterable[Any]) -> Iterator[str]:
    """One name per node, unique: its own, or `<OpType>_<index>`."""
    taken: set[str] = set()
    for index, node in enumerate(nodes):
        name = node.name or f"{node.op_type}_{index}"
        if name in taken:
            name = f"{name}_{index}"
        taken.add(name)
        yield name
