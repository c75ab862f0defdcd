"""tabulate-unary changes no bit: all 256 codes of every function go through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of
from nets import Net, operations, outputs, run_passes
from xdsl.ir import SSAValue

DTYPES = st.sampled_from([np.uint8, np.int8])
SCALES = st.floats(2.0**-8, 2.0**-2, width=32)
KINDS = tuple(kind for kind in graph.UNARY_KINDS if kind not in ("log", "sqrt", "reciprocal"))


def _all_codes(dtype: Any) -> Array:
    codes: Array = np.arange(256).astype(np.uint8).view(dtype)
    return codes.reshape(2, 128)


def _function(net: Net, kind: str, x: SSAValue) -> SSAValue:
    return net(graph.UnaryOp(kind, x, 0.2, 0.7))


def _check(net: Net, y: SSAValue, dtype: Any, expected: list[str]) -> None:
    module = net.module(y)
    tabulated = run_passes(module, "tabulate-unary")
    assert operations(tabulated) in (expected, [])
    x = _all_codes(dtype)
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(tabulated, x)[0])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=5, deadline=None)
@given(x_dtype=DTYPES, y_dtype=DTYPES, scales=st.tuples(SCALES, SCALES), z=st.integers(0, 127))
def test_unary(kind: str, x_dtype: Any, y_dtype: Any, scales: tuple[float, float], z: int) -> None:
    net = Net(((2, 128), x_dtype))
    x = net.dequantize(net.inputs[0], scales[0], z)
    y = net.quantize(_function(net, kind, x), scales[1], z, y_dtype)
    _check(net, y, x_dtype, ["lut"])


@settings(max_examples=15, deadline=None)
@given(x_dtype=DTYPES, y_dtype=DTYPES, scales=st.tuples(SCALES, SCALES), rounded=st.booleans())
def test_swish(x_dtype: Any, y_dtype: Any, scales: tuple[float, float], rounded: bool) -> None:
    net = Net(((2, 128), x_dtype))
    x = net.dequantize(net.inputs[0], scales[0], 100)
    gate = net(graph.UnaryOp("sigmoid", x))
    if rounded:
        gate = net.requantized(gate, 1 / 256, 0, x_dtype)
    y = net.quantize(net(graph.MulOp(gate, x)), scales[1], 20, y_dtype)
    _check(net, y, x_dtype, ["lut"])


def _scalar(net: Net, generator: np.random.Generator) -> SSAValue:
    """A constant, as such or quantized."""
    if generator.random() < 0.5:
        return net.constant(generator.normal(size=1).astype(np.float32))
    codes = net.constant(generator.integers(256, size=1).astype(np.uint8))
    return net.dequantize(codes, 0.01, 120)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dtype=DTYPES)
def test_random_expressions_of_one_tensor(seed: int, dtype: Any) -> None:
    """Sums, products and functions of x, of constants and of each other, rounded here and there."""
    generator = np.random.default_rng(seed)
    net = Net(((2, 128), dtype))
    values = [net.dequantize(net.inputs[0], 0.05, 30)]
    for _ in range(int(generator.integers(1, 8))):
        left = values[generator.integers(len(values))]
        constant = _scalar(net, generator)
        right = constant if generator.random() < 0.3 else values[generator.integers(len(values))]
        match generator.integers(4):
            case 0:
                values.append(net(graph.AddOp(left, right)))
            case 1:
                values.append(net(graph.MulOp(right, left)))
            case 2:
                values.append(_function(net, str(generator.choice(["tanh", "elu", "clip"])), left))
            case _:
                values.append(net.requantized(left, 0.03, 11, dtype))
    wide = [value for value in values if shape_of(value) == (2, 128)]
    _check(net, net.quantize(wide[-1], 0.04, 12), dtype, ["lut"])
