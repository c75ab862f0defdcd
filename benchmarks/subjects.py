"""What is measured: networks of the zoo by name, and model files from elsewhere.

A file is int8 if it quantizes or dequantizes anything. It must have one input, of fixed shape; the
harness feeds it a seeded one. Its library goes into the zoo's cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

from . import zoo
from .builder import calibration_inputs
from .networks import NETWORKS

SEED = 99
# Of integer inputs, which are indices into tables of unknown size: tokens that every table has.
FIRST_INDICES = 100


@dataclass(frozen=True)
class Subject:
    """One model in one precision."""

    name: str
    precision: zoo.Precision
    path: Path

    @staticmethod
    def of_file(path: Path) -> Subject:
        graph = onnx.load(path, load_external_data=False).graph
        kinds = {node.op_type for node in graph.node}
        is_quantized = kinds & {"QuantizeLinear", "DequantizeLinear"}
        return Subject(path.stem, "int8" if is_quantized else "fp32", path)

    def library(self, target: str) -> Path:
        """Where lpc's library of the model goes: into the cache, apart from namesakes."""
        folder = zoo.cache_folder()
        place = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:8]
        stem = self.path.stem if self.path.parent == folder else f"{self.path.stem}-{place}"
        return folder / f"{stem}-{target}.so"


def named(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> tuple[str | Path, ...]:
    """The values of an option, each a network of the zoo or an existing .onnx file."""
    return tuple(value if value in NETWORKS else _existing_model(value) for value in values)


def _existing_model(value: str) -> Path:
    path = Path(value)
    if path.suffix != ".onnx":
        known = ", ".join(NETWORKS)
        raise click.BadParameter(f"'{value}' is neither a file .onnx nor one of {known}")
    if not path.is_file():
        raise click.BadParameter(f"{path}: no such file")
    return path


def subjects(
    models: Iterable[str | Path], precisions: Sequence[zoo.Precision]
) -> Iterable[Subject]:
    """Networks in every precision, files in the one that they have."""
    for model in models:
        if isinstance(model, Path):
            yield Subject.of_file(model)
        else:
            for precision in precisions:
                yield Subject(model, precision, zoo.model_path(model, precision))


def input_file(path: Path, model: onnx.ModelProto) -> Path:
    """A seeded input for the model, as .npy in the cache."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1:
        raise click.ClickException(f"{path}: {len(inputs)} inputs; the benchmark feeds exactly one")
    kind = inputs[0].type.tensor_type
    shape = tuple(d.dim_value for d in kind.shape.dim)
    if not shape or 0 in shape:
        raise click.ClickException(f"{path}: input '{inputs[0].name}' has no fixed shape")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    file = zoo.cache_folder() / f"input_{dtype.name}_{'x'.join(map(str, shape))}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, _seeded(shape, dtype))
    return file


def _seeded(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return calibration_inputs(shape[0], shape[1:], seed=SEED).astype(dtype)
    is_code = dtype.itemsize == 1
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max + 1) if is_code else (0, FIRST_INDICES)
    return np.random.default_rng([SEED, 1]).integers(low, high, shape).astype(dtype)
