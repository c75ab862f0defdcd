"""recover-weight-grid finds grids that are there, and none that are not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.driver import load_model
from lpc.compiler.passes.recover_weight_grid import find_grid
from nets import Net, operations, outputs, run_passes

SEEDS = st.integers(0, 2**32 - 1)
ROOT = Path(__file__).parents[2]
MODELS = Path(os.environ.get("LPC_MODELS", ROOT.parent / "shared" / "models"))


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    per_channel=st.booleans(),
    axis=st.sampled_from((0, -1)),
    most=st.sampled_from((1, 7, 64, 127)),
    noisy=st.booleans(),
)
def test_finds_the_grid(seed: int, per_channel: bool, axis: int, most: int, noisy: bool) -> None:
    generator = np.random.default_rng(seed)
    shape = (6, 20, 5)
    count = shape[axis] if per_channel else 1
    scales = generator.uniform(1e-4, 1, count).astype(np.float32)
    along = [1, 1, 1]
    along[axis] = count
    k = generator.integers(-most, most + 1, shape)
    weights = (k * scales.reshape(along)).astype(np.float32)
    if noisy:  # as when a writer adds the low limit back in float32
        weights = (weights + np.float32(16)) - np.float32(16) if weights.max() > 64 else weights
    grid = find_grid(weights, axis)
    assert grid is not None
    found = grid.codes * grid.scales.reshape(along if len(grid.scales) > 1 else [1, 1, 1])
    np.testing.assert_allclose(found, weights, rtol=0, atol=2e-6 * np.abs(weights).max())
    assert np.abs(grid.codes.astype(int)).max() <= most


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, channels=st.integers(1, 8), size=st.integers(4, 200))
def test_ordinary_weights_have_none(seed: int, channels: int, size: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(channels, size)).astype(np.float32)
    assert find_grid(weights, 0) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(value: float) -> None:
    assert find_grid(np.array([[1, value]], np.float32), 0) is None


def test_all_zero_and_most_negative() -> None:
    zero = find_grid(np.zeros((2, 3), np.float32), 0)
    assert zero is not None
    assert not zero.codes.any()
    full = find_grid(np.array([[-128, 127, 3]], np.float32), 0)
    assert full is not None
    assert full.codes.tolist() == [[-128, 127, 3]]


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, conv=st.booleans())
def test_same_result(seed: int, conv: bool) -> None:
    """On a power-of-two grid every product and sum is exact, hence equal bit for bit."""
    generator = np.random.default_rng(seed)
    shape = (1, 3, 5, 5) if conv else (4, 6)
    net = Net((shape, np.uint8))
    x = net.dequantize(net.inputs[0], 0.5, 128)
    weights = generator.integers(-127, 128, (4, 3, 2, 2) if conv else (6, 3)) * np.float32(0.125)
    w = net.constant(weights.astype(np.float32))
    module = net.module(net(graph.Conv2dOp(x, w) if conv else graph.MatMulOp(x, w)))
    integer = run_passes(module, "recover-weight-grid")
    assert operations(integer).count("dequantize") == 2
    codes = generator.integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(outputs(module, codes)[0], outputs(integer, codes)[0])


@pytest.mark.skipif(
    not MODELS.exists(), reason="no models: neither LPC_MODELS nor ../shared/models"
)
def test_real_model_with_float_weights_on_a_grid() -> None:
    module = load_model(MODELS / "onnx" / "kws_fakequant_actqdq.onnx")
    recovered = run_passes(module, "canonicalize", "recover-weight-grid")
    convolutions = [op for op in recovered.walk() if isinstance(op, graph.Conv2dOp)]
    assert len(convolutions) == 9
    for op in convolutions:
        assert isinstance(op.weight.owner, graph.DequantizeOp), op.attributes["layer"]
    # The dense layer reads an average of codes, which the model does not round to a code.
    (dense,) = (op for op in recovered.walk() if isinstance(op, graph.MatMulOp))
    assert isinstance(dense.b.owner, graph.ConstantOp)
