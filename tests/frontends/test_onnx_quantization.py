"""QuantizeLinear, DequantizeLinear and FakeQuantize: values, and ops that survive the import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from lpc import compiler, runtime
from lpc.compiler.dialects import graph
from lpc.compiler.errors import LpcError
from lpc.compiler.explain import explain
from lpc.compiler.frontends.onnx import load_onnx
from onnx import helper
from onnx_models import (
    Array,
    check,
    codes,
    model_of,
    real,
    run_imported,
    run_onnxruntime,
    saved,
    single_node,
)

# Halves, and values beyond both ends of the codes.
X = np.linspace(-20, 20, 2 * 3 * 27, dtype=np.float32).reshape(2, 3, 27)
SCALE = np.asarray(0.125, np.float32)
SCALES = np.asarray([0.125, 0.05, 0.5], np.float32)


def graph_ops(path: Path) -> list[graph.GraphOp]:
    return [op for op in load_onnx(path).walk() if isinstance(op, graph.GraphOp)]


@pytest.mark.parametrize("opset", [13, 19, 21, 22])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("is_per_channel", [False, True])
def test_round_trip(opset: int, dtype: str, is_per_channel: bool, tmp_path: Path) -> None:
    scale = SCALES if is_per_channel else SCALE
    zero_point = codes(*scale.shape, dtype=dtype, seed=3)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    constants = {"s": scale, "z": np.asarray(zero_point, dtype)}
    model = model_of(nodes, {"x": X}, constants, {"q": dtype, "y": "float32"}, opset)
    check(model, {"x": X}, tmp_path, by_reference=opset >= 21)


@pytest.mark.parametrize("axis", [0, -1, 2])
def test_axis(axis: int, tmp_path: Path) -> None:
    scale = real(X.shape[axis], low=0.1, high=1)
    model = single_node(
        "QuantizeLinear", X, scale, constant=(1,), axis=axis, dtype="uint8", opset=21
    )
    check(*model, tmp_path)


def test_zero_point_defaults_to_uint8_zero(tmp_path: Path) -> None:
    check(*single_node("QuantizeLinear", X, SCALE, constant=(1,), dtype="uint8"), tmp_path,
          by_reference=False)  # fmt: skip


def test_output_dtype(tmp_path: Path) -> None:
    model = single_node(
        "QuantizeLinear", X, SCALE, constant=(1,), output_dtype=3, dtype="int8", opset=21
    )
    check(*model, tmp_path)


@pytest.mark.parametrize("count", [1, 5])
def test_int32_bias_stays_a_dequantized_constant(count: int, tmp_path: Path) -> None:
    bias = np.asarray([-70000, 3, 0, 99, 2**24], np.int32)
    scale = real(count, low=1e-4, high=1e-3)
    nodes = [
        helper.make_node("DequantizeLinear", ["b", "s", "z"], ["bias"], axis=0),
        helper.make_node("Add", ["x", "bias"], ["y"]),
    ]
    constants: dict[str, Array] = {"b": bias, "s": scale, "z": np.zeros(count, np.int32)}
    feeds = {"x": real(2, 5)}
    model = model_of(nodes, feeds, constants, {"y": "float32"}, opset=21)
    check(model, feeds, tmp_path)
    names = [op.name for op in graph_ops(saved(model, tmp_path))]
    assert names == ["graph.constant", "graph.dequantize", "graph.add"]


def test_quantized_float_weight_is_not_folded(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["w", "s", "z"], ["wq"], axis=1),
        helper.make_node("DequantizeLinear", ["wq", "s", "z"], ["wf"], axis=1),
        helper.make_node("MatMul", ["x", "wf"], ["y"]),
    ]
    constants = {"w": real(4, 3), "s": SCALES, "z": np.zeros(3, np.int8)}
    feeds = {"x": real(2, 4)}
    model = model_of(nodes, feeds, constants, {"y": "float32"}, opset=21)
    check(model, feeds, tmp_path)
    names = [op.name for op in graph_ops(saved(model, tmp_path))]
    assert names == ["graph.constant", "graph.quantize", "graph.dequantize", "graph.matmul"]


def test_scale_may_be_computed_from_constants(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Div", ["s", "two"], ["half"]),
        helper.make_node("QuantizeLinear", ["x", "half", "z"], ["y"]),
    ]
    constants: dict[str, Array] = {"s": SCALE, "z": np.asarray(3, np.int8)}
    model = model_of(nodes, {"x": X}, constants, {"y": "int8"}, opset=21)
    check(model, {"x": X}, tmp_path)


def fake_quantize(x: Array, levels: int, il: Array, ih: Array, ol: Array, oh: Array) -> Array:
    """FakeQuantize-1 as its specification states it, in float64."""
    step = np.rint((x.astype(np.float64) - il) / (ih.astype(np.float64) - il) * (levels - 1))
    inside = step / (levels - 1) * (oh.astype(np.float64) - ol) + ol
    return np.where(x <= np.minimum(il, ih), ol, np.where(x > np.maximum(il, ih), oh, inside))


@pytest.mark.parametrize("shape", [(), (1,), (1, 3, 1)])
def test_fake_quantize(shape: tuple[int, ...], tmp_path: Path) -> None:
    low, high = real(*shape, low=-3, high=-1), real(*shape, low=1, high=3)
    limits = [low, high, low * 2, high * 2]
    model, feeds = single_node(
        "FakeQuantize",
        X,
        *limits,
        constant=(1, 2, 3, 4),
        domain="org.openvinotoolkit",
        levels=256,
    )
    (actual,) = run_imported(model, feeds, tmp_path)
    expected = fake_quantize(X, 256, *limits)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_limits_along_several_axes_have_no_kernel(tmp_path: Path) -> None:
    limits = [real(1, 3, 1, low=-3, high=-1), real(27, low=1, high=3)]
    model, _ = single_node(
        "FakeQuantize",
        X,
        *limits,
        *limits,
        constant=(1, 2, 3, 4),
        domain="org.openvinotoolkit",
        levels=256,
    )
    with pytest.raises(LpcError, match=r"'the_node' \(FakeQuantize\): .* several axes .* use one"):
        compiler.compile(saved(model, tmp_path), output=tmp_path / "model.so")


def residual_block(dtype: npt.DTypeLike, is_per_channel: bool) -> tuple[Any, dict[str, Array]]:
    """A QDQ network as quantizers write it: conv (int32 bias) → relu → Q, added to its input."""
    shape = (4,) if is_per_channel else ()
    constants = {
        "xs": np.asarray(0.02, np.float32),
        "xz": np.asarray(7, dtype),
        "ws": np.asarray(real(*shape, low=0.01, high=0.02), np.float32),
        "wz": np.zeros(shape, np.int8),
        "w": codes(4, 4, 3, 3, dtype=np.int8),
        "b": np.asarray([1000, -500, 0, 77], np.int32),
        "ys": np.asarray(0.05, np.float32),
    }
    constants["bs"] = np.asarray(constants["xs"] * constants["ws"], np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bf"], axis=0),
        helper.make_node("Conv", ["xf", "wf", "bf"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "ys", "xz"], ["rq"]),
        helper.make_node("DequantizeLinear", ["rq", "ys", "xz"], ["rf"]),
        helper.make_node("Add", ["rf", "xf"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "ys", "xz"], ["y"]),
    ]
    feeds = {"x": real(1, 4, 6, 6)}
    return model_of(nodes, feeds, constants, {"y": dtype}, opset=17), feeds


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("is_per_channel", [False, True])
def test_residual_block(dtype: str, is_per_channel: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model, feeds = residual_block(dtype, is_per_channel)
    (actual,) = run_imported(model, feeds, tmp_path)
    (expected,) = run_onnxruntime(model, feeds)
    # The float convolutions sum in different orders, so a value on a rounding edge may move.
    assert np.mean(actual == expected) > 0.99
    assert np.abs(actual.astype(int) - expected).max() <= 1


def test_zero_points_of_channels_before_a_depthwise_convolution(tmp_path: Path) -> None:
    """As NNCF writes them with its preset MIXED: the convolution is an integer one, and its padding
    holds each channel's own zero point."""
    channels = 21
    constants = {
        "s": real(channels, low=0.01, high=0.05),
        "z": codes(channels, seed=5),
        "w": codes(channels, 1, 3, 3, dtype=np.int8),
        "ws": real(channels, low=0.01, high=0.02),
        "ys": np.asarray(0.04, np.float32),
        "yz": np.asarray(111, np.uint8),
    }
    nodes = [
        helper.make_node("HardSwish", ["x"], ["h"], name="swish"),
        helper.make_node("QuantizeLinear", ["h", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=0),
        helper.make_node(
            "Conv", ["d", "wf"], ["c"], pads=[1, 1, 1, 1], group=channels, name="depthwise"
        ),
        helper.make_node("QuantizeLinear", ["c", "ys", "yz"], ["y"]),
    ]
    feeds = {"x": real(1, channels, 7, 9)}
    model = model_of(nodes, feeds, constants, {"y": "uint8"}, opset=17)
    path, library = saved(model, tmp_path), tmp_path / "model.so"
    assert {row.layer: row.got for row in explain(path)}["depthwise"] == "I8"
    compiler.compile(path, output=library)
    (actual,) = runtime.load(library).run(feeds).values()
    # Float sums round (contract 7): a value on an edge may move.
    (expected,) = run_imported(model, feeds, tmp_path, has_kernel=False)
    assert np.mean(actual == expected) > 0.99
    assert np.abs(actual.astype(int) - expected).max() <= 1
