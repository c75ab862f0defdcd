"""Real quantized models, where they are found: integer throughout, and equal to ONNX Runtime.

The stored `ort_qdq_out` is ONNX Runtime without optimisations, which evaluates Q/DQ as written."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from lpc.compiler.dialects.tensors import shape_of
from lpc.compiler.driver import TO_INT8, TO_SPLIT
from lpc.compiler.frontends.onnx import load_onnx
from lpc.compiler.interpreters.graph import run_graph
from nets import operations, run_passes
from xdsl.dialects.builtin import ModuleOp

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("LPC_MODELS", ROOT.parent / "shared" / "models"))
FLOAT_CONTRACTIONS = {"conv2d", "matmul", "avg_pool"}
INPUTS = 20

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="no models: neither LPC_MODELS nor ../shared/models exists"
)


def imported(name: str) -> ModuleOp:
    return load_onnx(FOLDER / "onnx" / f"{name}.onnx", warn=lambda _: None)


def lowered(name: str) -> ModuleOp:
    return run_passes(imported(name), *TO_SPLIT, *TO_INT8)


def answers(module: ModuleOp, inputs: np.ndarray) -> np.ndarray:
    shape = shape_of(next(iter(module.ops)).regions[0].block.args[0])
    return np.concatenate([run_graph(module, [x.reshape(shape)])[0] for x in inputs])


@pytest.mark.parametrize(
    ("name", "data"),
    [("kws", "kws01"), ("vww", "vww_representative100"), ("sww", "sww_windows327")],
)
def test_classifiers(name: str, data: str) -> None:
    arrays = np.load(FOLDER / "data" / f"{data}.npz")
    module = lowered(f"{name}_int8_qdq")
    assert not FLOAT_CONTRACTIONS & set(operations(module))
    x = arrays["x_int8"] if "x_int8" in arrays else (arrays["x_uint8"] ^ 128).view(np.int8)
    ours = answers(module, x[:INPUTS])
    expected = arrays["ort_qdq_out"][:INPUTS].reshape(ours.shape)
    assert np.mean(ours.argmax(1) == expected.argmax(1)) >= 0.99
    assert np.mean(np.abs(ours.astype(int) - expected) <= 1) >= 0.95


def test_autoencoder() -> None:
    arrays = np.load(FOLDER / "data" / "ad_normal196.npz")
    module = lowered("ad_int8_qdq")
    assert set(operations(module)) == {"recode", "qmatmul", "requantize"}
    ours = answers(module, arrays["x_int8"][:INPUTS])
    expected = arrays["ort_qdq_out"][:INPUTS].reshape(ours.shape)
    assert np.mean(np.abs(ours.astype(int) - expected) <= 1) >= 0.95


def test_residual_network() -> None:
    """Between integer layers only the three residual sums are float."""
    counts = Counter(operations(lowered("ic_int8_qdq")))
    assert not FLOAT_CONTRACTIONS & set(counts)
    assert 3 <= counts["add"] <= 6  # each with a constant, or without
    assert counts["dequantize"] == 2 * 3 + 1  # one before softmax
    assert counts["quantize"] == 3 + 1  # one after softmax


def test_quantized_activations_and_weights_on_a_grid() -> None:
    """Float biases, whose rounding to the accumulators' grids would cost 0.3 % of accuracy."""
    module = lowered("kws_fakequant_actqdq")
    counts = Counter(operations(module))
    assert counts["qconv2d"] == 9
    assert counts["conv2d"] == 0
    arrays = np.load(FOLDER / "data" / "kws01.npz")
    expected = answers(imported("kws_fakequant_actqdq"), arrays["x_float"][:INPUTS])
    ours = answers(module, arrays["x_float"][:INPUTS])
    assert np.mean(ours.argmax(1) == expected.argmax(1)) >= 0.99
    np.testing.assert_allclose(ours, expected, atol=0.1)
