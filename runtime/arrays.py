"""Numpy arrays as inputs and outputs. Imported by the first run that has any, not before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import LpcRuntimeError
from .tensors import TensorSpec

Array = npt.NDArray[Any]


def bound_inputs(
    source: str, specs: Sequence[TensorSpec], given: Mapping[str, Array]
) -> list[Array]:
    """In the order of `specs`; copies of those that are not contiguous or aligned. LpcRuntimeError
    for another dtype or shape."""
    arrays = [_checked(source, "input", spec, given[spec.name]) for spec in specs]
    # A read-only array is as good as any, so not `carray`.
    return [a if a.flags.c_contiguous and a.flags.aligned else a.copy() for a in arrays]


def bound_outputs(
    source: str, specs: Sequence[TensorSpec], given: Mapping[str, Array]
) -> dict[str, Array]:
    """Those given, and new ones for the others. LpcRuntimeError for one that cannot be written."""
    results = {}
    for spec in specs:
        if spec.name not in given:
            results[spec.name] = np.empty(spec.shape, spec.dtype)
            continue
        array = _checked(source, "output", spec, given[spec.name])
        if array is not given[spec.name] or not array.flags.carray:
            raise LpcRuntimeError(
                f"{source}: output '{spec.name}': needs a writable contiguous array"
            )
        results[spec.name] = array
    return results


def _checked(source: str, side: str, spec: TensorSpec, array: Array) -> Array:
    def misfit(got: str) -> LpcRuntimeError:
        wanted = f"expected {spec.dtype} {list(spec.shape)}"
        return LpcRuntimeError(f"{source}: {side} '{spec.name}': {wanted}, got {got}")

    try:
        given = np.asarray(array)
    except ValueError as error:  # rows of different lengths, for instance
        raise misfit("nothing that is an array") from error
    if given.dtype != spec.dtype or given.shape != spec.shape:
        raise misfit(f"{given.dtype} {list(given.shape)}")
    return given
