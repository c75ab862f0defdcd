"""Real models, where they are found: import, verify, and agree with unoptimised ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from lpc.compiler.dialects.tensors import shape_of, value_dtype
from lpc.compiler.frontends.onnx import load_onnx
from lpc.compiler.interpreters.graph import run_graph
from onnx_models import Array, codes, real, run_onnxruntime
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("LPC_MODELS", ROOT.parent / "shared" / "models"))
MODELS = sorted([*FOLDER.glob("onnx/*.onnx"), *FOLDER.glob("digits/*.onnx")])

pytestmark = pytest.mark.skipif(
    not MODELS, reason="no models: neither LPC_MODELS nor ../shared/models exists"
)


def random_inputs(module: ModuleOp) -> dict[str, Array]:
    (main,) = (op for op in module.body.block.ops if isinstance(op, FuncOp))
    names = [name.data for name in main.attributes["input_names"]]  # type: ignore[attr-defined]
    return {
        name: codes(*shape_of(argument), dtype=np.int8)
        if value_dtype(argument) == np.int8
        else real(*shape_of(argument), low=0, high=1)
        for name, argument in zip(names, main.body.block.args, strict=True)
    }


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_model(path: Path) -> None:
    pytest.importorskip("onnxruntime")
    module = load_onnx(path, warn=lambda _: None)
    module.verify()
    feeds = random_inputs(module)
    for actual, expected in zip(
        run_graph(module, feeds).values(), run_onnxruntime(path, feeds), strict=True
    ):
        if expected.dtype == np.int8:
            # Float convolutions sum in different orders: a value on a rounding edge may move.
            assert np.mean(np.abs(actual.astype(int) - expected) <= 2) > 0.99
        else:
            np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)
