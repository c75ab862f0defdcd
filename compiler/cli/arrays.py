"""npz and npy files on the command line: inputs checked by name, outputs written whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import files
from ..errors import LpcError

Array = npt.NDArray[Any]


class Tensor(Protocol):
    """What the runtime says of a model's input or output."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...


def read_inputs(path: Path, inputs: Iterable[Tensor]) -> dict[str, Array]:
    """The arrays of an npz by input name, or an npy for the only input. LpcError if they differ."""
    names = [tensor.name for tensor in inputs]
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            arrays = {None: content} if isinstance(content, np.ndarray) else dict(content)
    except OSError as error:
        raise LpcError(f"{path}: cannot read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise LpcError(f"{path}: not an npz or npy file of plain arrays") from error
    if None in arrays:
        if len(names) != 1:
            raise LpcError(f"{path}: one array for {len(names)} inputs; pass an npz with {names}")
        return {names[0]: arrays[None]}
    missing = [name for name in names if name not in arrays]
    if missing:
        raise LpcError(f"{path}: no array for input '{missing[0]}'; it holds {sorted(arrays)}")
    return {name: arrays[name] for name in names}


def random_inputs(inputs: Iterable[Tensor], seed: int) -> dict[str, Array]:
    """Standard normal floats, integers over their whole 8-bit range; the same for the same seed."""
    random = np.random.default_rng(seed)
    return {tensor.name: _random(random, tensor) for tensor in inputs}


def _random(random: np.random.Generator, tensor: Tensor) -> Array:
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return random.standard_normal(tensor.shape).astype(dtype)
    if dtype.itemsize == 1 and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, tensor.shape, dtype, endpoint=True)
    return random.integers(0, 2, tensor.shape).astype(dtype)


def write_outputs(path: Path, outputs: Mapping[str, Array]) -> None:
    """An npz by output name, or an npy where the suffix says so and there is one output."""
    if path.suffix == ".npy" and len(outputs) != 1:
        raise LpcError(f"{path}: an npy holds one array, the model has {len(outputs)}; use npz")
    with files.replacing(path) as beside, beside.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, next(iter(outputs.values())))
        else:
            np.savez(file, **dict(outputs))  # type: ignore[arg-type]
