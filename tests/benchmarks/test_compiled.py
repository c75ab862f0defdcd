"""The zoo's small networks end to end: the library is the interpreter bit for bit, and what is left
between them and ONNX Runtime without optimisations is contract rule 7."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lpc.compiler as lpcc
import lpc.runtime as lpr
import numpy as np
import onnx
import pytest
from lpc.compiler.compilation import graph_at
from lpc.compiler.interpreters.graph import run_graph
from numpy.typing import NDArray
from onnx import numpy_helper

from benchmarks import zoo
from benchmarks.builder import calibration_inputs
from benchmarks.networks import MINI

Array = NDArray[Any]
INPUTS = 4


def run_onnxruntime(path: Path, inputs: Array) -> list[Array]:
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"input": x[None]})[0] for x in inputs]


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.onnx"
    zoo.save(zoo.build(request.param, "int8"), path)
    return path


@pytest.mark.parametrize("model", MINI, indirect=True)
def test_library(model: Path, tmp_path: Path) -> None:
    inputs = calibration_inputs(INPUTS, MINI[model.stem].shape, seed=5)
    reference = graph_at("int8", model)
    expected = [run_graph(reference, [x[None]])[0] for x in inputs]
    lpcc.compile(model, tmp_path / "net.so")
    loaded = lpr.load(tmp_path / "net.so", num_threads=2)
    for x, y in zip(inputs, expected, strict=True):
        np.testing.assert_array_equal(loaded(x[None]), y, strict=True)


@pytest.mark.parametrize("model", MINI, indirect=True)
def test_agrees_with_onnxruntime(model: Path) -> None:
    inputs = calibration_inputs(INPUTS, MINI[model.stem].shape, seed=5)
    theirs = np.concatenate(run_onnxruntime(model, inputs))
    for level in ("import", "int8"):
        module = graph_at(level, model)
        ours = np.concatenate([run_graph(module, [x[None]])[0] for x in inputs])
        codes = np.abs(ours - theirs) / scale_of_output(model)
        assert codes.max() < 1.01


def scale_of_output(path: Path) -> float:
    constants = onnx.load(path).graph.initializer
    (scale,) = (t for t in constants if t.name == "logits.scale")
    return float(numpy_helper.to_array(scale))
