"""lpc explain: asked, got and why, on small models with one reason each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from bad_models import Constants, model_bytes
from invoking import Invoke
from lpc.compiler.explain import Explanation, explain
from onnx import NodeProto, helper

QUANTIZE = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize")
DEQUANTIZE = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="dequantize")
GRID: Constants = {"s": np.float32(0.1), "z": np.uint8(128)}


def rows(
    folder: Path, nodes: list[NodeProto], constants: Constants, shape: tuple[int, ...] = (1, 4)
) -> dict[str, Explanation]:
    path = folder / "model.onnx"
    path.write_bytes(model_bytes(nodes, shape, **constants))
    return {row.layer: row for row in explain(path)}


def quantized_matmul(weights: onnx.NodeProto | None, end: str) -> list[NodeProto]:
    product = helper.make_node("MatMul", ["d", "w"], ["p"], name="product")
    last = helper.make_node(end, ["p"], ["y"], name="last")
    return [QUANTIZE, DEQUANTIZE, *([] if weights is None else [weights]), product, last]


def test_integer_matmul_with_a_float_tail(tmp_path: Path) -> None:
    weights = helper.make_node("DequantizeLinear", ["c", "s"], ["w"], name="weights")
    constants = {**GRID, "c": np.arange(12, dtype=np.int8).reshape(4, 3)}
    constants["s"] = np.float32(0.1)
    found = rows(tmp_path, quantized_matmul(weights, "Softmax"), constants)
    assert (found["product"].asked, found["product"].got) == ("I8", "I8")
    assert (found["last"].asked, found["last"].got) == ("FP32", "FP32")
    assert found["last"].why == "reads the float32 result of 'product'"
    assert found["quantize"].why == "reads the model's float32 input"


def test_weights_on_a_grid(tmp_path: Path) -> None:
    weights = np.arange(-6, 6, dtype=np.float32).reshape(4, 3) * np.float32(0.25)
    found = rows(tmp_path, quantized_matmul(None, "Softmax"), {**GRID, "w": weights})
    assert (found["product"].asked, found["product"].got) == ("FP32", "I8")
    assert "grid" in found["product"].why


def test_weights_off_any_grid(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).standard_normal((4, 3), np.float32)
    found = rows(tmp_path, quantized_matmul(None, "Softmax"), {**GRID, "w": weights})
    assert (found["product"].asked, found["product"].got) == ("FP32", "FP32")
    assert found["product"].why == "its weights are not quantized"
    assert found["dequantize"].why == "feeds 'product' in float32"


def test_channel_scales_of_an_activation(tmp_path: Path) -> None:
    nodes = quantized_matmul(
        helper.make_node("DequantizeLinear", ["c", "t"], ["w"], name="weights"), "Softmax"
    )
    constants: Constants = {
        "s": np.asarray([0.1, 0.2, 0.3, 0.4], np.float32),
        "z": np.full(4, 128, np.uint8),
        "c": np.arange(12, dtype=np.int8).reshape(4, 3),
        "t": np.float32(0.1),
    }
    found = rows(tmp_path, nodes, constants)
    assert (found["product"].asked, found["product"].got) == ("I8", "FP32")
    assert "scale per channel" in found["product"].why


@pytest.mark.parametrize(("layer", "got"), [("/stem/stem.0/Conv", "I8"), ("/r1/Add", "I8")])
def test_the_demo_model_is_all_int8(invoke: Invoke, digits: Path, layer: str, got: str) -> None:
    result = invoke("explain", digits, "--input-shape", "input:1,1,8,8")
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if f" {layer} " in line]
    assert line.split()[3] == got
    assert "13 I8, 0 FP32" in result.stdout


def test_a_target_names_the_kernels(invoke: Invoke, digits: Path) -> None:
    arguments = ("--input-shape", "input:1,1,8,8", "--target", "avx2")
    result = invoke("explain", digits, *arguments)
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if " /fc/Gemm " in line]
    assert line.split()[4].endswith("_avx2_I8")


def test_a_target_with_tile_registers_says_which_layers_use_them(
    invoke: Invoke, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    arguments = ("--input-shape", "input:1,1,8,8", "--target", "amx_int8")
    result = invoke("explain", digits, *arguments)
    assert result.exit_code == 0, result.stderr
    assert "vectors: depthwise" in result.stdout
    lines = [line for line in result.stdout.splitlines() if "tile registers: " in line]
    assert all(" tile_gemm_amx_int8_" in line for line in lines)
    assert "/fc/Gemm" not in " ".join(lines)
