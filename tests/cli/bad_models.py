"""Models with one thing wrong each: name → (bytes of the file, words the error must hold)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from lpc.compiler import demo
from onnx import NodeProto, helper, numpy_helper

Constants = dict[str, Any]


def model_bytes(
    nodes: Sequence[NodeProto], shape: Sequence[int | str] = (1, 4), **constants: Any
) -> bytes:
    """x → y through `nodes`, with the constants as initializers."""
    graph = helper.make_graph(
        list(nodes),
        "bad",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())


def _quantized(scale: Any, zero_point: Any, zero_point_back: Any | None = None) -> bytes:
    """x → QuantizeLinear → DequantizeLinear → y."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize_x"),
        helper.make_node("DequantizeLinear", ["q", "s", "back"], ["y"], name="dequantize_x"),
    ]
    back = zero_point if zero_point_back is None else zero_point_back
    return model_bytes(nodes, s=np.float32(scale), z=zero_point, back=back)


def _digits() -> bytes:
    with demo.resource("digits_int8.onnx") as path:
        return path.read_bytes()


def _unknown_op() -> bytes:
    return model_bytes([helper.make_node("Frobnicate", ["x"], ["y"], name="strange_node")])


def _open_shape() -> bytes:
    return model_bytes([helper.make_node("Relu", ["x"], ["y"], name="relu")], shape=(1, "width"))


def _mismatch() -> bytes:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    return model_bytes([node], w=np.zeros((5, 3), np.float32))


def _conv_mismatch() -> bytes:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="convolution")
    return model_bytes([node], shape=(1, 3, 8, 8), w=np.zeros((4, 2, 3, 3), np.float32))


BAD: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "truncated": (lambda: _digits()[:9000], ()),
    "empty": (lambda: b"", ()),
    "not onnx": (lambda: b"this is a text file, not a model\n" * 20, ()),
    "unsupported op": (_unknown_op, ("'strange_node'", "Frobnicate")),
    "open shape": (_open_shape, ("'x'", "width", "--input-shape")),
    "NaN scale": (lambda: _quantized(np.nan, np.uint8(0)), ("'quantize_x'", "scale")),
    "zero scale": (lambda: _quantized(0, np.uint8(0)), ("'quantize_x'", "scale")),
    "zero point of another type": (
        lambda: _quantized(1, np.int8(-5), np.uint8(251)),
        ("'dequantize_x'", "zero point"),
    ),
    "shape mismatch": (_mismatch, ("'product'", "MatMul")),
    "channel mismatch": (_conv_mismatch, ("'convolution'", "Conv")),
}
