"""integerize-contractions changes float sums only by their roundings, and is itself exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, codes, operations, outputs, run_passes
from xdsl.dialects.builtin import ModuleOp

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = st.sampled_from([np.uint8, np.int8])


def _zero_point(generator: np.random.Generator, dtype: Any) -> int:
    info = np.iinfo(dtype)
    return int(
        generator.choice(np.array([info.min, info.max, generator.integers(info.min, info.max)]))
    )


def _close(module: ModuleOp, *inputs: np.ndarray) -> ModuleOp:
    """The module after the pass, whose results agree with those before to float accuracy."""
    integer = run_passes(module, "integerize-contractions")
    for before, after in zip(outputs(module, *inputs), outputs(integer, *inputs), strict=True):
        scale = np.abs(before).max() + 1e-3
        np.testing.assert_allclose(after / scale, before / scale, atol=1e-5)
    return integer


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    x_dtype=DTYPES,
    w_dtype=DTYPES,
    groups=st.sampled_from([1, 2, 6]),
    per_channel=st.booleans(),
    bias=st.sampled_from(["none", "codes", "float"]),
)
def test_convolution(
    seed: int, x_dtype: Any, w_dtype: Any, groups: int, per_channel: bool, bias: str
) -> None:
    generator = np.random.default_rng(seed)
    shape, filters = (2, 6, 7, 5), 12
    net = Net((shape, x_dtype))
    x = net.dequantize(net.inputs[0], 0.02, _zero_point(generator, x_dtype))
    scales = generator.uniform(1e-3, 0.1, filters if per_channel else 1).astype(np.float32)
    weight_codes = codes(generator, (filters, 6 // groups, 3, 2), w_dtype)
    weight_zero_point = _zero_point(generator, w_dtype)
    w = net.weights(weight_codes, scales, weight_zero_point)
    values = generator.integers(-5000, 5000, filters).astype(np.int32)
    operand = None
    if bias == "codes":
        operand = net.weights(values, np.float32(0.02) * scales)
    elif bias == "float":
        operand = net.constant((values * 0.02 * scales).astype(np.float32))
    padding, strides, dilations = (1, 0, 2, 1), (2, 1), (1, 2)
    y = net(
        graph.Conv2dOp(
            x, w, operand, strides=strides, pads=padding, dilations=dilations, groups=groups
        )
    )
    integer = _close(net.module(y), codes(generator, shape, x_dtype))
    assert operations(integer) == ["qconv2d", "dequantize"]


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, multiplier=st.integers(1, 3))
def test_depthwise_with_a_scale_per_channel(seed: int, multiplier: int) -> None:
    generator = np.random.default_rng(seed)
    net = Net(((1, 5, 4, 4), np.uint8))
    x = net.dequantize(net.inputs[0], generator.uniform(0.01, 1, 5), 9)
    w = net.weights(codes(generator, (5 * multiplier, 1, 3, 3), np.int8), 0.05)
    y = net(graph.Conv2dOp(x, w, pads=(1, 1, 1, 1), groups=5))
    integer = _close(net.module(y), codes(generator, (1, 5, 4, 4)))
    assert operations(integer) == ["qconv2d", "dequantize"]


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, a_dtype=DTYPES, b_dtype=DTYPES, constant=st.booleans(), batch=st.booleans())
def test_matmul(seed: int, a_dtype: Any, b_dtype: Any, constant: bool, batch: bool) -> None:
    generator = np.random.default_rng(seed)
    a_shape, b_shape = ((2, 3, 17), (2, 17, 5)) if batch else ((3, 17), (17, 5))
    net = Net((a_shape, a_dtype), *([] if constant else [(b_shape, b_dtype)]))
    a = net.dequantize(net.inputs[0], 0.02, _zero_point(generator, a_dtype))
    b_codes = codes(generator, b_shape, b_dtype)
    zero_point = _zero_point(generator, b_dtype)
    if constant:
        axis = len(b_shape) - 1
        scales = generator.uniform(1e-3, 0.1, 5)
        b = net.weights(b_codes, scales, zero_point, axis)
    else:
        b = net.dequantize(net.inputs[1], 0.03, zero_point)
    bias = net.constant(generator.normal(0, 3, 5).astype(np.float32))
    module = net.module(net(graph.MatMulOp(a, b, bias)))
    x = codes(generator, a_shape, a_dtype)
    integer = run_passes(module, "integerize-contractions")
    assert operations(integer) == ["qmatmul", "dequantize", "add"]
    inputs = [x] if constant else [x, b_codes]
    (before,), (after,) = outputs(module, *inputs), outputs(integer, *inputs)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, step=st.sampled_from([0.0, 1.0, 3.0, 20.0]))
def test_a_float_bias_moves_few_codes(seed: int, step: float) -> None:
    """The accumulator's scale is 0.01: before a finer grid, a rounded bias would show more."""
    generator = np.random.default_rng(seed)
    net = Net(((1, 8, 64, 64), np.uint8))
    x = net.dequantize(net.inputs[0], 0.1, 128)
    w = net.weights(codes(generator, (4, 8, 3, 3), np.int8), 0.1)
    bias = net.constant(generator.normal(0, 1, 4).astype(np.float32))
    y = net(graph.Conv2dOp(x, w, bias))
    module = net.module(net.quantize(y, step, 128) if step else y)
    image = codes(generator, (1, 8, 64, 64))
    integer = run_passes(module, "integerize-contractions")
    (before,), (after,) = outputs(module, image), outputs(integer, image)
    if step:
        assert np.mean(before != after) <= 1e-3
    else:
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-2)


def _average(net: Net, x: Any) -> Any:
    return net(
        graph.AvgPoolOp(x, (3, 2), strides=(2, 1), pads=(1, 0, 1, 1), count_include_pad=True)
    )


POOLS: dict[str, tuple[tuple[int, ...], Callable[[Net, Any], Any]]] = {
    "padded": ((2, 3, 6, 5), _average),
    "image": ((2, 3, 6, 5), lambda net, x: net(graph.ReduceOp("mean", x, (2, 3), False))),
    "rows": ((2, 3, 6, 5), lambda net, x: net(graph.ReduceOp("mean", x, (2,), True))),
    "sequence": ((2, 3, 6), lambda net, x: net(graph.ReduceOp("mean", x, (2,), False))),
}


@pytest.mark.parametrize("kind", POOLS)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, dtype=DTYPES, per_channel=st.booleans())
def test_average(kind: str, seed: int, dtype: Any, per_channel: bool) -> None:
    generator = np.random.default_rng(seed)
    shape, build = POOLS[kind]
    net = Net((shape, dtype))
    scale = generator.uniform(0.01, 1, 3 if per_channel else 1)
    x = net.dequantize(net.inputs[0], scale, _zero_point(generator, dtype))
    integer = _close(net.module(build(net, x)), codes(generator, shape, dtype))
    assert "qsum_pool" in operations(integer)
    assert not {"avg_pool", "reduce"} & set(operations(integer))


def test_extreme_codes_are_exact() -> None:
    """255 · 127 · 64 = 2 072 640, where saturating 16-bit kernels answer 1 048 544."""
    net = Net(((1, 64), np.uint8))
    a = net.dequantize(net.inputs[0], 1.0)
    b = net.weights(np.full((64, 1), 127, np.int8), 1.0, 0, 1)
    integer = run_passes(net.module(net(graph.MatMulOp(a, b))), "integerize-contractions")
    assert outputs(integer, np.full((1, 64), 255, np.uint8))[0].item() == 2_072_640


@pytest.mark.parametrize(("depth", "fits"), [(66_311, True), (66_312, False)])
def test_the_proof_of_range_is_tight(depth: int, fits: bool) -> None:
    """255 · 127 · 66 311 < 2³¹ ≤ 255 · 127 · 66 312."""
    net = Net(((1, depth), np.uint8))
    a = net.dequantize(net.inputs[0], 1.0)
    b = net.weights(np.full((depth, 1), 127, np.int8), 1.0, 0, 1)
    integer = run_passes(net.module(net(graph.MatMulOp(a, b))), "integerize-contractions")
    assert ("qmatmul" in operations(integer)) == fits
