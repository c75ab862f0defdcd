"""Every refusal is one LpcError line that names file, node, op type and reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from lpc.compiler.errors import LpcError
from lpc.compiler.frontends.onnx import load_onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_models import Array, codes, longs, model_of, real, saved, single_node

ONE = np.asarray(1, np.float32)
EMPTY = np.zeros(0, np.float32)


def refusal(model: ModelProto, folder: Path) -> str:
    """The message of the LpcError that importing `model` raises, checked for its common form."""
    path = saved(model, folder)
    with pytest.raises(LpcError) as caught:
        load_onnx(path, warn=lambda _: None)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert ";" in message, "the remedy is missing"
    return message


def quantizing(scale: Array, zero_point: Array, op_type: str = "QuantizeLinear") -> ModelProto:
    x = real(1, 3, 4, 4) if op_type == "QuantizeLinear" else np.zeros((1, 3, 4, 4), np.uint8)
    if op_type == "DequantizeLinear" and zero_point.dtype == np.int32:
        x = x.astype(np.int32)
    return single_node(op_type, x, scale, zero_point, constant=(1, 2), dtype="uint8")[0]


@pytest.mark.parametrize("op_type", ["QuantizeLinear", "DequantizeLinear"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -0.5])
@pytest.mark.parametrize("count", [1, 3])
def test_bad_scale(op_type: str, value: float, count: int, tmp_path: Path) -> None:
    scale = np.full(count, 0.5, np.float32)
    scale[-1] = value
    message = refusal(quantizing(scale, np.zeros(count, np.uint8), op_type), tmp_path)
    assert f"node 'the_node' ({op_type}): scale {scale[-1]} is not a finite positive" in message


@pytest.mark.parametrize("dtype", ["int32", "float32", "int16", "uint16"])
def test_wrong_type_of_quantize_zero_point(dtype: str, tmp_path: Path) -> None:
    message = refusal(quantizing(ONE, np.asarray(0, dtype)), tmp_path)
    assert f"node 'the_node' (QuantizeLinear): wrong dtype {dtype} of the zero point" in message


def test_wrong_type_of_dequantize_zero_point(tmp_path: Path) -> None:
    message = refusal(quantizing(ONE, np.asarray(0, np.int8), "DequantizeLinear"), tmp_path)
    assert "wrong dtype int8 of the zero point for uint8 codes" in message


def test_zero_point_of_int32(tmp_path: Path) -> None:
    message = refusal(quantizing(ONE, np.asarray(4, np.int32), "DequantizeLinear"), tmp_path)
    assert "(DequantizeLinear): the zero point of int32 values is not zero" in message


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 300), ("uint8", -1), ("int8", 128)])
def test_zero_point_outside_its_type(dtype: str, value: int, tmp_path: Path) -> None:
    model = quantizing(ONE, np.asarray(0, dtype))
    stored = TensorProto(name="x2", data_type=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    stored.int32_data.append(value)
    del model.graph.initializer[1]
    model.graph.initializer.append(stored)
    assert f"value {value} of 'x2' is outside {dtype}" in refusal(model, tmp_path)


def test_number_of_scales(tmp_path: Path) -> None:
    message = refusal(quantizing(real(4, low=1), np.zeros(4, np.uint8)), tmp_path)
    assert "shape mismatch: 4 scales for axis 1 of (1, 3, 4, 4)" in message
    message = refusal(quantizing(real(3, low=1), np.zeros(2, np.uint8)), tmp_path)
    assert "shape mismatch: 2 zero points for 3 scales" in message
    message = refusal(quantizing(real(3, 1, low=1), np.zeros(3, np.uint8)), tmp_path)
    assert "scale has shape (3, 1)" in message


def test_computed_scale(tmp_path: Path) -> None:
    model, _ = single_node("QuantizeLinear", real(3), ONE, dtype="uint8")
    assert "scale ('x1') is computed at run time; it must be a constant" in refusal(model, tmp_path)


@pytest.mark.parametrize("limit", [np.nan, np.inf])
def test_fake_quantize_limits(limit: float, tmp_path: Path) -> None:
    limits = [np.asarray(v, np.float32) for v in (-1, limit, -1, 1)]
    model, _ = single_node(
        "FakeQuantize",
        real(3),
        *limits,
        constant=(1, 2, 3, 4),
        levels=256,
        domain="org.openvinotoolkit",
    )
    assert "(FakeQuantize): input_high is not finite" in refusal(model, tmp_path)


REFUSED: dict[str, tuple[Callable[[], tuple[ModelProto, object]], str]] = {
    "unsupported_op": (lambda: single_node("Det", real(3, 3)), "(Det): unsupported operator"),
    "conv_transpose": (
        lambda: single_node("ConvTranspose", real(1, 2, 4, 4), real(2, 3, 3, 3), constant=(1,)),
        "(ConvTranspose): unsupported operator",
    ),
    "unsupported_domain": (
        lambda: single_node("Gelu", real(3), domain="com.microsoft"),
        "(Gelu): domain 'com.microsoft' is not supported",
    ),
    "operator_format": (
        lambda: single_node("QLinearAdd", codes(3), domain="com.microsoft", dtype=np.uint8),
        "(QLinearAdd): only the Q/DQ form of quantized models is supported; quantize again with "
        "quant_format=QuantFormat.QDQ",
    ),
    "dynamic_quantization": (
        lambda: single_node("DynamicQuantizeLinear", real(3), outputs=3, dtype=np.uint8),
        "(DynamicQuantizeLinear): only the Q/DQ form of quantized models is supported; "
        "use quantize_static",
    ),
    "op_on_run_time_values": (
        lambda: single_node("ReduceProd", real(3)),
        "(ReduceProd): unsupported operator on values computed at run time",
    ),
    "integer_arithmetic": (
        lambda: single_node("Add", longs(1), longs(2), dtype="int64"),
        "input 0 ('x0') is int64",
    ),
    "volumetric_conv": (
        lambda: single_node("Conv", real(1, 1, 3, 3, 3), real(1, 1, 2, 2, 2), constant=(1,)),
        "3 spatial axes are not supported",
    ),
    "conv_channels": (
        lambda: single_node("Conv", real(1, 3, 5, 5), real(4, 2, 3, 3), constant=(1,)),
        "weight (4, 2, 3, 3) in 1 groups for 3 channels",
    ),
    "conv_kernel": (
        lambda: single_node(
            "Conv", real(1, 2, 5, 5), real(4, 2, 3, 3), constant=(1,), kernel_shape=[5, 5]
        ),
        "shape mismatch: kernel_shape (5, 5) but the weight is (4, 2, 3, 3)",
    ),
    "conv_window": (
        lambda: single_node("Conv", real(1, 2, 2, 2), real(4, 2, 3, 3), constant=(1,)),
        "window (3, 3) does not fit",
    ),
    "conv_negative_pads": (
        lambda: single_node(
            "Conv", real(1, 2, 5, 5), real(4, 2, 3, 3), constant=(1,), pads=[-1, 0, 0, 0]
        ),
        "pads [-1, 0, 0, 0] should be 4 values",
    ),
    "matmul_shapes": (
        lambda: single_node("MatMul", real(2, 3), real(4, 5), constant=(1,)),
        "inner dimensions of (2, 3) and (4, 5) differ",
    ),
    "broadcast": (
        lambda: single_node("Add", real(2, 3), real(2, 4)),
        "(Add): shape mismatch: shapes (2, 3), (2, 4) do not broadcast",
    ),
    "reshape": (
        lambda: single_node("Reshape", real(2, 3), longs(4, -1), constant=(1,)),
        "shape mismatch: cannot reshape (2, 3) into [4, -1]",
    ),
    "computed_shape": (
        lambda: single_node("Reshape", real(2, 3), longs(3, 2)),
        "shape ('x1') is computed at run time",
    ),
    "negative_steps": (
        lambda: single_node(
            "Slice", real(4), longs(-1), longs(-9), longs(0), longs(-1), constant=(1, 2, 3, 4)
        ),
        "negative or zero steps are not supported",
    ),
    "reflect": (
        lambda: single_node("Pad", real(4), longs(1, 1), constant=(1,), mode="reflect"),
        "mode 'reflect' is not supported",
    ),
    "edge": (
        lambda: single_node("Pad", real(4), longs(1, 1), constant=(1,), mode="edge"),
        "mode 'edge' is not supported",
    ),
    "linear_resize": (
        lambda: single_node(
            "Resize", real(1, 1, 2, 2), None, real(4, low=2), constant=(2,), mode="linear"
        ),
        "mode 'linear' is not supported",
    ),
    "fractional_resize": (
        lambda: single_node(
            "Resize", real(1, 1, 2, 2), None, np.asarray([1, 1, 1.5, 2], np.float32), constant=(2,)
        ),
        "scales [1.0, 1.0, 1.5, 2.0] are not supported",
    ),
    "misaligned_resize": (
        lambda: single_node(
            "Resize",
            real(1, 1, 3, 3),
            None,
            np.asarray([1, 1, 2, 2], np.float32),
            constant=(2,),
            coordinate_transformation_mode="align_corners",
            nearest_mode="floor",
        ),
        "coordinate_transformation_mode 'align_corners'",
    ),
    "gather_range": (
        lambda: single_node("Gather", real(3), longs(3), constant=(1,)),
        "an index is outside axis 0 of (3,)",
    ),
    "axis": (lambda: single_node("Softmax", real(3), axis=1), "axis 1 is outside a tensor of rank"),
    "cast": (
        lambda: single_node("Cast", real(3), to=TensorProto.FLOAT16, dtype="float16"),
        "(Cast): cast to float16 is not supported",
    ),
    "batch_norm_training": (
        lambda: single_node(
            "BatchNormalization", real(1, 2, 3), *[real(2)] * 4, training_mode=1, outputs=3
        ),
        "training_mode is on",
    ),
    "pool_indices": (
        lambda: single_node("MaxPool", real(1, 1, 4, 4), kernel_shape=[2, 2], outputs=2),
        "output 1 ('y1') is not supported",
    ),
    "missing_input": (lambda: single_node("Add", real(3), None), "input 1 is missing"),
    "blocked_quantization": (
        lambda: single_node(
            "QuantizeLinear",
            real(4),
            real(1, low=1),
            constant=(1,),
            dtype="uint8",
            opset=21,
            block_size=2,
        ),
        "block_size is not supported",
    ),
    "half_input": (
        lambda: single_node("Relu", real(3).astype(np.float16), dtype="float16"),
        "input 'x0' is float16, which is not supported; convert the model to float32",
    ),
    "half_constant": (
        lambda: single_node("Identity", ONE.astype(np.float16), constant=(0,), dtype="float16"),
        "a constant has type float16",
    ),
    "slice_of_nothing": (
        lambda: single_node("Slice", real(4), longs(2), longs(2), constant=(1, 2)),
        "(Slice): the slice of (4,) is empty",
    ),
    "expand_to_nothing": (
        lambda: single_node("Expand", real(1, 3), longs(0, 3), constant=(1,)),
        "(Expand): a tensor of shape [0, 3] has no elements",
    ),
    "part_without_elements": (
        lambda: single_node("Split", real(4), longs(0, 4), constant=(1,), outputs=2),
        "(Split): a tensor of shape [0] has no elements",
    ),
    "gather_of_nothing": (
        lambda: single_node("Gather", real(4), EMPTY.astype(np.int64), constant=(1,)),
        "(Gather): a tensor of shape [0] has no elements",
    ),
    "product_of_nothing": (
        lambda: single_node("MatMul", real(2, 3), EMPTY.reshape(3, 0), constant=(1,)),
        "(MatMul): a tensor of shape [3, 0] has no elements",
    ),
    "constant_without_elements": (
        lambda: single_node("Identity", EMPTY, constant=(0,)),
        "output 'y0': a tensor of shape [0] has no elements",
    ),
    "old_opset": (lambda: single_node("Relu", real(3), opset=12), "opset 12 is not supported"),
    "new_opset": (lambda: single_node("Relu", real(3), opset=23), "opset 23 is not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    build, expected = REFUSED[name]
    model, _ = build()
    assert expected in refusal(model, tmp_path)


def test_undefined_name(tmp_path: Path) -> None:
    model, _ = single_node("Add", real(3), real(3, seed=1), constant=(1,))
    del model.graph.initializer[:]
    message = refusal(model, tmp_path)
    assert "node 'the_node' (Add): input 'x1' is produced by no earlier node" in message


def test_undefined_output(tmp_path: Path) -> None:
    model, _ = single_node("Relu", real(3))
    model.graph.output[0].name = "nothing"
    assert "output 'nothing': " in refusal(model, tmp_path)


def test_wrong_output_type(tmp_path: Path) -> None:
    model, _ = single_node("Relu", real(3), dtype="uint8")
    assert "output 'y0': the model declares uint8 but computes float32" in refusal(model, tmp_path)


def test_damaged_initializer(tmp_path: Path) -> None:
    model, _ = single_node("Add", real(3), real(3, seed=1), constant=(1,))
    model.graph.initializer[0].raw_data = b"abc"
    message = refusal(model, tmp_path)
    assert "node 'the_node' (Add): the data of 'x1' is damaged" in message


def test_missing_attribute_is_no_traceback(tmp_path: Path) -> None:
    assert "(Cast): " in refusal(single_node("Cast", real(3))[0], tmp_path)
    assert "(MaxPool): kernel []" in refusal(single_node("MaxPool", real(1, 1, 3, 3))[0], tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 64, bytes(range(256))])
def test_not_a_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(LpcError, match=r"model\.onnx: not an ONNX model, or truncated"):
        load_onnx(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LpcError, match=r"absent\.onnx: no such file"):
        load_onnx(tmp_path / "absent.onnx")
    with pytest.raises(LpcError, match="is a directory"):
        load_onnx(tmp_path)


def two_layers() -> ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["f"], "dequantize"),
        helper.make_node("Conv", ["f", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], "relu"),
    ]
    constants = {"s": ONE, "z": codes(1).reshape(()), "w": real(4, 3, 3, 3)}
    return model_of(nodes, {"x": real(1, 3, 6, 6)}, constants, {"y": "float32"})


def imports_or_refuses(content: bytes | Sequence[int], path: Path) -> bool:
    path.write_bytes(bytes(content))
    try:
        load_onnx(path, warn=lambda _: None)
    except LpcError:
        return False
    return True


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = two_layers().SerializeToString()
    path = tmp_path / "model.onnx"
    assert imports_or_refuses(content, path)
    for length in range(0, len(content) - 1, 7):
        # What follows the graph is the opset import; without it there is no model either.
        assert not imports_or_refuses(content[:length], path), length


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    content = two_layers().SerializeToString()
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        for position in random.integers(0, len(damaged), 3):
            damaged[position] = random.integers(0, 256)
        imports_or_refuses(damaged, tmp_path / "model.onnx")


def test_sparse_initializers(tmp_path: Path) -> None:
    model, _ = single_node("Relu", real(3))
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(real(1), "w"), numpy_helper.from_array(longs(0), "i"), [3]
    )
    model.graph.sparse_initializer.append(sparse)
    assert "sparse initializers are not supported" in refusal(model, tmp_path)
