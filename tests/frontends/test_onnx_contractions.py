"""Conv, MatMul, Gemm and pools: import == reference evaluator == ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.frontends.onnx import load_onnx
from onnx import helper
from onnx_models import Array, check, codes, model_of, real, saved, single_node

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((1, 3, 7, 6), (4, 3, 3, 2), {}),
    "pointwise": ((2, 5, 4, 4), (3, 5, 1, 1), {}),
    "strided": ((1, 3, 9, 8), (4, 3, 3, 3), {"strides": [2, 3]}),
    "asymmetric_pads": ((1, 2, 6, 6), (3, 2, 3, 3), {"pads": [0, 2, 1, 0]}),
    "dilated": ((1, 2, 9, 9), (3, 2, 3, 2), {"dilations": [2, 3], "pads": [1, 1, 1, 1]}),
    "grouped": ((1, 6, 5, 5), (4, 3, 3, 3), {"group": 2}),
    "depthwise": ((1, 5, 6, 6), (5, 1, 3, 3), {"group": 5, "pads": [1, 1, 1, 1]}),
    "multiplied_depthwise": ((1, 3, 6, 6), (6, 1, 3, 3), {"group": 3}),
    "same_upper": ((1, 3, 7, 8), (4, 3, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same_lower": ((1, 3, 7, 8), (4, 3, 3, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "valid": ((1, 3, 7, 8), (4, 3, 3, 4), {"auto_pad": "VALID"}),
    "flat": ((2, 3, 11), (4, 3, 4), {"pads": [2, 1], "strides": [2]}),
    "flat_grouped_dilated": ((1, 4, 12), (4, 2, 3), {"group": 2, "dilations": [2]}),
}


@pytest.mark.parametrize("has_bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv(name: str, has_bias: bool, tmp_path: Path) -> None:
    x, w, attributes = CONVOLUTIONS[name]
    bias = [real(w[0], seed=3)] if has_bias else []
    model, feeds = single_node(
        "Conv", real(*x, seed=1), real(*w, seed=2), *bias, constant=(1, 2), **attributes
    )
    # onnx's own evaluator mishandles SAME_LOWER for even windows
    check(model, feeds, tmp_path, by_reference=name != "same_lower")


def test_conv_with_computed_weight(tmp_path: Path) -> None:
    model = single_node("Conv", real(1, 2, 5, 5), real(3, 2, 3, 3, seed=1))
    check(*model, tmp_path, has_kernel=False)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 1, 3, 4), (3, 4, 5)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((2, 3, 4), (4,)),
        ((4,), (4,)),
    ],
)
def test_matmul(a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path) -> None:
    check(*single_node("MatMul", real(*a), real(*b, seed=1), constant=(1,)), tmp_path)


@pytest.mark.parametrize(
    ("a", "b", "c", "attributes"),
    [
        ((3, 4), (4, 5), (5,), {}),
        ((3, 4), (5, 4), (1, 5), {"transB": 1}),
        ((4, 3), (5, 4), (3, 1), {"transA": 1, "transB": 1}),
        ((3, 4), (4, 5), (3, 5), {"alpha": 0.5, "beta": 0.25}),
        ((3, 4), (4, 5), (), {"beta": 2.0}),
        ((3, 4), (4, 5), (5,), {"beta": 0.0}),
        ((3, 4), (4, 1), (1,), {}),
        ((3, 4), (4, 5), None, {"alpha": 2.0}),
    ],
)
@pytest.mark.parametrize("constant", [(), (1, 2)], ids=["computed", "constant"])
def test_gemm(
    a: tuple[int, ...],
    b: tuple[int, ...],
    c: tuple[int, ...] | None,
    attributes: dict[str, Any],
    constant: tuple[int, ...],
    tmp_path: Path,
) -> None:
    arguments: list[Array | None] = [real(*a), real(*b, seed=1)]
    arguments += [] if c is None else [real(*c, seed=2)]
    check(*single_node("Gemm", *arguments, constant=constant, **attributes), tmp_path)


def test_transposed_int8_weight_stays_a_dequantized_constant(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wf"], axis=0),
        helper.make_node("Gemm", ["x", "wf"], ["y"], transB=1),
    ]
    constants = {
        "w": codes(5, 4, dtype="int8"),
        "s": real(5, low=0.01, high=0.1),
        "z": codes(5, dtype="int8", seed=4),
    }
    feeds = {"x": real(2, 4)}
    model = model_of(nodes, feeds, constants, {"y": "float32"}, opset=21)
    check(model, feeds, tmp_path)
    module = load_onnx(saved(model, tmp_path))
    (matmul,) = (op for op in module.walk() if isinstance(op, graph.MatMulOp))
    dequantize = matmul.b.owner
    assert isinstance(dequantize, graph.DequantizeOp)
    assert dequantize.axis_index == 1
    assert isinstance(dequantize.input.owner, graph.ConstantOp)
    assert sum(isinstance(op, graph.ConstantOp) for op in module.walk()) == 1


def test_flat_convolution_of_quantized_weight_chain(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["w", "s", "z"], ["wq"], axis=0),
        helper.make_node("DequantizeLinear", ["wq", "s", "z"], ["wf"], axis=0),
        helper.make_node("Conv", ["x", "wf"], ["y"]),
    ]
    constants = {
        "w": real(3, 2, 4),
        "s": real(3, low=0.01, high=0.1),
        "z": codes(3, dtype="int8") * 0,
    }
    feeds = {"x": real(1, 2, 9)}
    model = model_of(nodes, feeds, constants, {"y": "float32"}, opset=21)
    check(model, feeds, tmp_path)
    module = load_onnx(saved(model, tmp_path))
    (conv,) = (op for op in module.walk() if isinstance(op, graph.Conv2dOp))
    dequantize = conv.weight.owner
    assert isinstance(dequantize, graph.DequantizeOp)
    assert isinstance(dequantize.input.owner, graph.QuantizeOp)


POOLS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((1, 3, 6, 7), {"kernel_shape": [2, 3]}),
    "strided_padded": (
        (1, 2, 7, 7),
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]},
    ),
    "ceil": ((1, 2, 6, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "ceil_padded": (
        (1, 2, 6, 8),
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    ),
    "ceil_drops_last": (
        (1, 1, 5, 5),
        {"kernel_shape": [1, 1], "strides": [3, 3], "ceil_mode": 1, "pads": [0, 0, 0, 0]},
    ),
    "same_upper": (
        (1, 2, 7, 8),
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    "flat": ((2, 3, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}),
}


@pytest.mark.parametrize("name", POOLS)
def test_max_pool(name: str, tmp_path: Path) -> None:
    shape, attributes = POOLS[name]
    check(*single_node("MaxPool", real(*shape), **attributes), tmp_path, by_reference=False)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_max_pool_of_codes(dtype: str, tmp_path: Path) -> None:
    model, feeds = single_node(
        "MaxPool",
        codes(1, 3, 5, 5, dtype=dtype),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        dtype=dtype,
    )
    check(model, feeds, tmp_path, by_reference=False)


def test_max_pool_dilated(tmp_path: Path) -> None:
    model, feeds = single_node("MaxPool", real(1, 2, 9, 9), kernel_shape=[3, 2], dilations=[2, 3])
    check(model, feeds, tmp_path)


@pytest.mark.parametrize("counts_padding", [0, 1])
@pytest.mark.parametrize("name", POOLS)
def test_average_pool(name: str, counts_padding: int, tmp_path: Path) -> None:
    shape, attributes = POOLS[name]
    model, feeds = single_node(
        "AveragePool", real(*shape), count_include_pad=counts_padding, opset=22, **attributes
    )
    # onnx's own evaluator counts the elements that ceil_mode adds
    check(model, feeds, tmp_path, by_reference="ceil" not in name)


def test_average_pool_dilated(tmp_path: Path) -> None:
    model, feeds = single_node(
        "AveragePool", real(1, 2, 9, 9), kernel_shape=[3, 2], dilations=[2, 3], opset=19
    )
    check(model, feeds, tmp_path)


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 3, 7)])
def test_global_pool(op_type: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    # onnx's own evaluator squeezes the result of a flat GlobalMaxPool
    is_flat_maximum = op_type == "GlobalMaxPool" and len(shape) == 3
    check(*single_node(op_type, real(*shape)), tmp_path, by_reference=not is_flat_maximum)
