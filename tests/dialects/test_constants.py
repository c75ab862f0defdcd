"""Constants survive printing and parsing, the large ones in hexadecimal."""

from __future__ import annotations

import numpy as np
import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp, StringAttr
from xdsl.parser import Parser

SIZES = ((), (1,), (7,), (2, 3), (0,), (101,), (1 << 14,), (5, 1 << 13))


def _round_trip(array: Array, layer: str | None = None) -> tuple[graph.ConstantOp, str]:
    context = Context()
    context.load_dialect(Builtin)
    context.load_dialect(graph.Graph)
    constant = graph.ConstantOp(array)
    if layer is not None:
        constant.attributes["layer"] = StringAttr(layer)
    text = str(ModuleOp([constant]))
    module = Parser(context, text).parse_module()
    module.verify()
    (parsed,) = module.body.block.ops
    assert isinstance(parsed, graph.ConstantOp)
    assert parsed.attributes == constant.attributes
    return parsed, text


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int8, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("splat", [False, True])
def test_round_trip(shape: tuple[int, ...], dtype: type, splat: bool) -> None:
    if shape == (0,) and splat:
        pytest.skip("an empty tensor has no value to repeat")
    values = np.random.default_rng(0).normal(scale=60, size=shape)
    array = np.full(shape, 3) if splat else values
    array = np.asarray(array).astype(dtype)
    parsed, _ = _round_trip(array, "conv1")
    assert parsed.array.dtype == array.dtype
    assert parsed.array.shape == array.shape
    assert parsed.array.tobytes() == array.tobytes()


def test_special_values() -> None:
    array = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38], np.float32)
    for repeats in (1, 1 << 13):
        parsed, _ = _round_trip(np.tile(array, repeats))
        assert parsed.array.tobytes() == np.tile(array, repeats).tobytes()


def test_a_large_repeated_value_is_printed_once() -> None:
    _, text = _round_trip(np.full((1000, 1000), np.nan, np.float32))
    assert len(text) < 200


def test_views_are_stored_row_major() -> None:
    array = np.arange(12, dtype=np.int32).reshape(3, 4).T
    np.testing.assert_array_equal(graph.ConstantOp(array).array, array)
