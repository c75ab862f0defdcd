"""numpy ↔ xDSL: element types, tensor types and constant payloads.

Constants of tens of megabytes cross this boundary, so nothing here goes through Python lists: an
attribute is a view of bytes (`DenseIntOrFPElementsAttr` over `BytesAttr`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import (
    BytesAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    Float32Type,
    IntegerType,
    Signedness,
    TensorType,
    f32,
    i1,
    i32,
    i64,
)
from xdsl.ir import Attribute, SSAValue

Array: TypeAlias = npt.NDArray[Any]

ui8 = IntegerType(8, Signedness.UNSIGNED)
si8 = IntegerType(8, Signedness.SIGNED)
si16 = IntegerType(16, Signedness.SIGNED)

_ELEMENT_TYPES: dict[np.dtype[Any], Attribute] = {
    np.dtype(np.float32): f32,
    np.dtype(np.uint8): ui8,
    np.dtype(np.int8): si8,
    np.dtype(np.int16): si16,
    np.dtype(np.int32): i32,
    np.dtype(np.int64): i64,
    np.dtype(np.bool_): i1,
}
_DTYPES = {attribute: dtype for dtype, attribute in _ELEMENT_TYPES.items()}


def element_type_of(dtype: npt.DTypeLike) -> Attribute:
    """The element type that stores numpy's `dtype`; KeyError where the graph dialect has none."""
    return _ELEMENT_TYPES[np.dtype(dtype)]


def dtype_of(element_type: Attribute) -> np.dtype[Any]:
    return _DTYPES[element_type]


def tensor_type(shape: Sequence[int], dtype: npt.DTypeLike) -> TensorType[Any]:
    return TensorType(cast(Any, element_type_of(dtype)), [int(d) for d in shape])


def type_of(value: SSAValue) -> TensorType[Any]:
    assert isinstance(value.type, TensorType), value.type
    return value.type


def shape_of(value: SSAValue) -> tuple[int, ...]:
    return type_of(value).get_shape()


def value_dtype(value: SSAValue) -> np.dtype[Any]:
    return dtype_of(type_of(value).element_type)


def is_code(value: SSAValue) -> bool:
    """Whether `value` holds 8-bit quantization codes."""
    return type_of(value).element_type in (ui8, si8)


def dense(array: Array) -> DenseIntOrFPElementsAttr[Any]:
    """A constant payload: the elements of `array`, row-major. xDSL's true is a byte of ones."""
    stored = np.where(array, np.uint8(0xFF), np.uint8(0)) if array.dtype == np.bool_ else array
    return DenseIntOrFPElementsAttr(
        cast(Any, tensor_type(array.shape, array.dtype)), BytesAttr(stored.tobytes())
    )


def dense_to_numpy(attribute: DenseIntOrFPElementsAttr[Any]) -> Array:
    """The elements: a read-only view of the payload, but for truth values."""
    dtype = dtype_of(attribute.get_element_type())
    if dtype == np.bool_:
        return np.asarray(
            np.frombuffer(attribute.data.data, np.uint8).reshape(attribute.get_shape()) != 0
        )
    return np.frombuffer(attribute.data.data, dtype).reshape(attribute.get_shape())


def all_codes(dtype: npt.DTypeLike) -> Array:
    """The 256 codes of an 8-bit type, in the order of their bit patterns, as tables have them."""
    return np.arange(256, dtype=np.uint8).view(dtype)


def f32_array(values: npt.ArrayLike) -> DenseArrayBase[Any]:
    return DenseArrayBase(f32, BytesAttr(np.atleast_1d(np.asarray(values, np.float32)).tobytes()))


def i32_array(values: npt.ArrayLike) -> DenseArrayBase[Any]:
    return DenseArrayBase(i32, BytesAttr(np.atleast_1d(np.asarray(values, np.int32)).tobytes()))


def i64_array(values: Sequence[int]) -> DenseArrayBase[Any]:
    return DenseArrayBase(i64, BytesAttr(np.asarray(values, np.int64).tobytes()))


def array_to_numpy(attribute: DenseArrayBase[Any]) -> Array:
    """The values of an `array<…>` attribute as a one-dimensional, read-only view."""
    if isinstance(attribute.elt_type, Float32Type):
        return np.frombuffer(attribute.data.data, np.float32)
    return np.frombuffer(attribute.data.data, np.int32 if attribute.elt_type == i32 else np.int64)
