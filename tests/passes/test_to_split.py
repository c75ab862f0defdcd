"""Real models compute the same after all passes up to `split`; quantized ones bit for bit."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, value_dtype
from lpc.compiler.driver import TO_SPLIT, load_model
from nets import outputs, run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

ROOT = Path(__file__).parents[2]
MODELS = Path(os.environ.get("LPC_MODELS", ROOT.parent / "shared" / "models"))
FLOAT = ("onnx/ad_fp32", "onnx/sww_fp32", "onnx/kws_fp32", "digits/digits_cnn_fp32")
QUANTIZED = ("onnx/ad_int8_qdq", "onnx/sww_int8_qdq", "onnx/kws_int8_qdq", "onnx/ic_int8_qdq")

pytestmark = pytest.mark.skipif(
    not MODELS.exists(), reason="no models: neither LPC_MODELS nor ../shared/models"
)


def _load(name: str) -> ModuleOp:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_model(MODELS / f"{name}.onnx")


def _inputs(module: ModuleOp) -> list[Array]:
    generator = np.random.default_rng(0)
    main = next(op for op in module.ops if isinstance(op, FuncOp))
    return [
        (
            generator.normal(size=shape_of(argument))
            * (1 if value_dtype(argument) == np.float32 else 40)
        )
        .clip(-128, 127)
        .astype(value_dtype(argument))
        for argument in main.body.block.args
    ]


@pytest.mark.parametrize("name", FLOAT)
def test_float_models(name: str) -> None:
    module = _load(name)
    split = run_passes(module, *TO_SPLIT)
    assert not [op for op in split.walk() if isinstance(op, graph.BatchNormOp)]
    inputs = _inputs(module)
    for before, after in zip(outputs(module, *inputs), outputs(split, *inputs), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_models(name: str) -> None:
    module = _load(name)
    split = run_passes(module, *TO_SPLIT)
    for op in split.walk():
        if isinstance(op, graph.Conv2dOp | graph.MatMulOp):
            assert isinstance(op.operands[1].owner, graph.DequantizeOp)
            assert isinstance(op.bias.owner if op.bias else None, graph.DequantizeOp | None)
    inputs = _inputs(module)
    for before, after in zip(outputs(module, *inputs), outputs(split, *inputs), strict=True):
        np.testing.assert_array_equal(after, before)
