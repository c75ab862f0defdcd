"""The zoo: valid ONNX, the same bytes every time, the Q/DQ pattern that peers recognise."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from benchmarks import zoo
from benchmarks.builder import calibration_inputs
from benchmarks.networks import MINI
from benchmarks.qdq import activation_codes, weight_codes
from benchmarks.reference import average_pool, convolve, erf, max_pool, softmax


def evaluate(model: onnx.ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    results: Any = ReferenceEvaluator(model).run(None, {"input": images})
    return np.asarray(results[0], np.float32)


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("name", MINI)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_same_valid_bytes_every_time(name: str, precision: zoo.Precision) -> None:
    first, second = (zoo.build(name, precision) for _ in range(2))
    onnx.checker.check_model(first, full_check=True)
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize("name", MINI)
def test_quantized_network_follows_the_float_one(name: str) -> None:
    images = calibration_inputs(1, MINI[name].shape, seed=5)
    models = zoo.build(name, "fp32"), zoo.build(name, "int8")
    # onnx's evaluator starts at opset 19 for DequantizeLinear; our nodes mean the same there.
    models[1].opset_import[0].version = 19
    expected, got = (evaluate(m, images) for m in models)
    assert np.corrcoef(expected.ravel(), got.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("name", [n for n in MINI if n not in ("mini_transformer", "mini_bert")])
def test_kept_batch_norm_equals_folded(name: str) -> None:
    images = np.random.default_rng(6).uniform(-2, 2, (1, 3, 24, 24)).astype(np.float32)
    kept = zoo.build(name, "fp32", batch_norm="keep")
    folded = zoo.build(name, "fp32")
    left = operators(folded)["BatchNormalization"]
    assert operators(kept)["BatchNormalization"] > left
    # Three of the dense block, one of the transition, the last: each before a ReLU.
    assert left == (5 if name == "mini_dense" else 0)
    got, expected = (evaluate(m, images) for m in (kept, folded))
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_cache_keeps_one_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path))
    others = [tmp_path / "mini_concat_fp32-0.onnx", tmp_path / "mini_resnet_int8-0.onnx"]
    stale = [tmp_path / "mini_concat_int8-0.onnx", tmp_path / "mini_concat_int8-0-avx2.so"]
    for file in others + stale:
        file.touch()
    path = zoo.model_path("mini_concat", "int8")
    assert sorted(tmp_path.iterdir()) == sorted([*others, path])


def test_seed_changes_the_weights() -> None:
    models = [zoo.build("mini_concat", "fp32", seed=seed) for seed in (0, 1)]
    first, second = (numpy_helper.to_array(model.graph.initializer[0]) for model in models)
    assert not np.array_equal(first, second)


def test_qdq_pattern() -> None:
    """Every activation passes Q/DQ except between a contraction or Add and its Relu."""
    model = zoo.build("mini_resnet", "int8")
    producer = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        sources = [producer[name].op_type for name in node.input if name in producer]
        if node.op_type in ("Conv", "Gemm"):
            assert sources == ["DequantizeLinear"] * 3
        if node.op_type in ("Add", "MaxPool", "GlobalAveragePool", "Flatten"):
            assert set(sources) == {"DequantizeLinear"}
        if node.op_type == "Relu":
            assert sources[0] in ("Conv", "Add")
    assert producer["logits"].op_type == "DequantizeLinear"
    assert operators(model)["QuantizeLinear"] < operators(model)["DequantizeLinear"]


def sources(model: onnx.ModelProto, node: onnx.NodeProto) -> list[str]:
    producer = {name: n.op_type for n in model.graph.node for name in n.output}
    return [producer.get(name, "constant") for name in node.input]


def test_qdq_pattern_of_a_transformer() -> None:
    """Both operands of every product are codes; GELU and the divided scores stay float inside."""
    model = zoo.build("mini_bert", "int8")
    nodes = {node.name: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Softmax", "LayerNormalization", "Transpose"):
            assert set(sources(model, node)) <= {"DequantizeLinear", "constant"}
    gelu = "layer0.feed_forward.gelu"
    assert sources(model, nodes[f"{gelu}.div"]) == ["DequantizeLinear", "constant"]
    assert sources(model, nodes[f"{gelu}.erf"]) == ["Div"]
    assert sources(model, nodes[gelu]) == ["Mul", "constant"]
    assert sources(model, nodes[f"{gelu}.output.codes.QuantizeLinear"])[0] == "Mul"
    assert sources(model, nodes["layer0.feed_forward.up"]) == ["DequantizeLinear"] * 2


def test_product_weights_have_a_scale_per_column() -> None:
    constants = initializers(zoo.build("mini_bert", "int8"))
    weight = "layer0.feed_forward.up.weight"
    assert constants[f"{weight}.codes"].shape == (24, 96)
    assert constants[f"{weight}.codes"].dtype == np.int8
    assert constants[f"{weight}.scale"].shape == (96,)
    assert constants["layer0.feed_forward.up.bias.codes"].dtype == np.uint8


def test_movers_keep_the_grid() -> None:
    """A shuffle of channels rounds nothing: reshape, transpose and split share one scale."""
    constants = initializers(zoo.build("mini_shuffle", "int8"))
    names = ["concat", "shuffle.0", "shuffle.1", "shuffle.2"]
    scales = [constants[f"stage2.0.{name}.output.scale"] for name in names]
    scales += [constants[f"stage2.1.chunk.output{i}.scale"] for i in (0, 1)]
    assert len(set(map(float, scales))) == 1


def initializers(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def test_bias_scale_is_the_product_of_input_and_weight_scales() -> None:
    constants = initializers(zoo.build("mini_resnet", "int8"))
    product = constants["input.scale"] * constants["conv1.weight.scale"]
    np.testing.assert_array_equal(constants["conv1.bias.scale"], product)
    assert constants["conv1.bias.codes"].dtype == np.int32


@pytest.mark.parametrize("limits", [(-2.0, 3.0), (0.5, 6.0), (-4.0, -1.0), (0.0, 0.0)])
def test_activation_codes_cover_the_range_and_zero(limits: tuple[float, float]) -> None:
    codes = activation_codes(*limits)
    zero_point = int(codes.zero_point)
    tolerance = 0.51 * float(codes.scale)
    assert -zero_point * float(codes.scale) <= min(*limits, 0.0) + tolerance
    assert (255 - zero_point) * float(codes.scale) >= max(*limits, 0.0) - tolerance


def test_weight_codes_use_the_full_symmetric_range() -> None:
    weight = np.array([[1.0, -2.0], [0.25, 0.5], [0.0, 0.0]], np.float32)
    codes, scales = weight_codes(weight)
    assert codes.tolist() == [[64, -127], [64, 127], [0, 0]]
    assert np.all(scales > 0)


@pytest.mark.parametrize(("groups", "channels"), [(1, 6), (2, 6), (4, 4)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (3, 2, 1), (5, 1, 2)])
def test_reference_convolution(
    groups: int, channels: int, kernel: int, stride: int, padding: int
) -> None:
    rng = np.random.default_rng(kernel)
    x = rng.standard_normal((2, 4, 9, 8)).astype(np.float32)
    weight = rng.standard_normal((channels, 4 // groups, kernel, kernel)).astype(np.float32)
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], strides=[stride] * 2, pads=[padding] * 4, group=groups
    )
    expected: Any = ReferenceEvaluator(node).run(None, {"x": x, "w": weight})
    result = convolve(x, weight, stride, padding, groups)
    np.testing.assert_allclose(result, expected[0], rtol=1e-4, atol=1e-4)


def test_reference_pools() -> None:
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert max_pool(-x, 3, 2, 1).tolist() == [[[[0, -1], [-4, -5]]]]
    assert max_pool(x, 3, 2, 0).tolist() == [[[[10]]]]
    assert max_pool(x, 3, 2, 0, ceil=True).tolist() == [[[[10, 11], [14, 15]]]]
    assert average_pool(x, 2, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]


def test_reference_functions() -> None:
    x = np.linspace(-5, 5, 101, dtype=np.float32)
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), expected, atol=1e-6)
    assert softmax(np.array([[0, math.log(3)]], np.float32))[0] == pytest.approx([0.25, 0.75])
