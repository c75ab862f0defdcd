"""Model inputs: symbolic dimensions, --input-shape, old-style initializers; names; payloads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from lpc.compiler.dialects.tensors import shape_of, value_dtype
from lpc.compiler.errors import LpcError
from lpc.compiler.frontends.onnx import load_onnx
from lpc.compiler.interpreters.graph import run_graph
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_models import codes, longs, model_of, real, saved, single_node
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp

Dims = list[int | str | None]


def relu_model(shape: Dims | None, output: Dims | None = None) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def main_of(module: ModuleOp) -> FuncOp:
    (function,) = (op for op in module.body.block.ops if isinstance(op, FuncOp))
    return function


def strings(function: FuncOp, name: str) -> list[str]:
    attribute = function.attributes[name]
    assert isinstance(attribute, ArrayAttr)
    return [s.data for s in attribute if isinstance(s, StringAttr)]


def test_symbolic_batch_is_compiled_for_one_with_a_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    path = saved(relu_model(["N", 3, 5], ["N", 3, 5]), tmp_path)
    module = load_onnx(path, warn=warnings.append)
    assert shape_of(main_of(module).body.block.args[0]) == (1, 3, 5)
    assert len(warnings) == 1
    assert "--input-shape x:<N>,3,5" in warnings[0]


def test_input_shape_fixes_every_symbol(tmp_path: Path) -> None:
    warnings: list[str] = []
    path = saved(relu_model(["N", "C", None], ["N", "C", None]), tmp_path)
    module = load_onnx(path, {"x": (2, 3, 5)}, warn=warnings.append)
    assert shape_of(main_of(module).body.block.args[0]) == (2, 3, 5)
    assert not warnings


def test_a_size_of_zero_is_one_that_the_exporter_did_not_know(tmp_path: Path) -> None:
    path = saved(relu_model([0, 3], [0, 3]), tmp_path)
    assert shape_of(main_of(load_onnx(path, {"x": (2, 3)})).body.block.args[0]) == (2, 3)
    with pytest.warns(UserWarning, match=r"batch '\?' is not fixed, compiled for 1"):
        assert shape_of(main_of(load_onnx(path)).body.block.args[0]) == (1, 3)
    with pytest.raises(LpcError, match="give 2 sizes of at least 1"):
        load_onnx(path, {"x": (0, 3)})


def test_symbols_are_shared_between_inputs(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["y"])],
        "test",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", "T"]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, ["N", "T"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "T"])],
    )
    path = saved(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path)
    module = load_onnx(path, {"b": (2, 7)}, warn=pytest.fail)
    assert [shape_of(a) for a in main_of(module).body.block.args] == [(2, 7), (2, 7)]


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        (["N", 3, "H"], {}, "dimension 2 ('H') has no value; pass --input-shape x:<N>,3,<H>"),
        (["N", 3, None], {}, "dimension 2 ('?') has no value"),
        ([1, 3], {"z": (1, 3)}, "--input-shape names no input 'z'; inputs are 'x'"),
        ([1, 3], {"x": (1, 4)}, "does not fit the declared shape [1,3]"),
        ([1, 3], {"x": (1, 3, 1)}, "does not fit the declared shape [1,3]"),
        (["N", "N"], {"x": (2, 3)}, "dimension 'N' must be 2"),
        (["N", 3], {"x": (0, 3)}, "sizes of at least 1"),
        (None, {}, "input 'x' has no shape; pass --input-shape"),
    ],
)
def test_refused_shapes(
    declared: Dims | None, given: dict[str, tuple[int, ...]], expected: str, tmp_path: Path
) -> None:
    path = saved(relu_model(declared), tmp_path)
    with pytest.raises(LpcError) as caught:
        load_onnx(path, given, warn=lambda _: None)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_wrong_output_shape_is_refused(tmp_path: Path) -> None:
    path = saved(relu_model([1, 3], [1, 4]), tmp_path)
    with pytest.raises(LpcError, match=r"output 'y': shape mismatch.*\[1,4\].*\[1,3\]"):
        load_onnx(path)


def test_wrong_intermediate_shape_is_a_warning(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], "first"),
        helper.make_node("Relu", ["h"], ["y"], "second"),
    ]
    model = model_of(nodes, {"x": real(1, 3)}, {}, {"y": "float32"})
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [8, 3]))
    warnings: list[str] = []
    load_onnx(saved(model, tmp_path), warn=warnings.append)
    assert len(warnings) == 1
    assert "node 'first' (Relu): 'h' is declared as [8,3] but is [1,3]" in warnings[0]


def test_initializers_listed_as_inputs_are_constants(tmp_path: Path) -> None:
    model, feeds = single_node("Add", real(2, 3), real(3, seed=1), constant=(1,))
    model.graph.input.append(helper.make_tensor_value_info("x1", TensorProto.FLOAT, [3]))
    function = main_of(load_onnx(saved(model, tmp_path)))
    assert strings(function, "input_names") == ["x0"]
    assert len(function.body.block.args) == len(feeds) == 1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "float32"])
def test_input_types_are_kept(dtype: str, tmp_path: Path) -> None:
    x = np.arange(6).reshape(2, 3).astype(dtype)
    module = load_onnx(saved(single_node("Transpose", x, dtype=dtype)[0], tmp_path))
    assert value_dtype(main_of(module).body.block.args[0]) == np.dtype(dtype)


def test_layers_list_every_node_with_a_unique_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value_float=1.0),
        helper.make_node("Add", ["x", "c"], ["a"], "same"),
        helper.make_node("Add", ["a", "c"], ["b"], "same"),
        helper.make_node("Identity", ["b"], ["y"]),
    ]
    model = model_of(nodes, {"x": real(2)}, {}, {"y": "float32"})
    function = main_of(load_onnx(saved(model, tmp_path)))
    layers = function.attributes["layers"]
    assert isinstance(layers, ArrayAttr)
    rows = [[s.data for s in row] for row in layers]
    assert rows == [
        ["Constant_0", "Constant"],
        ["same", "Add"],
        ["same_2", "Add"],
        ["Identity_3", "Identity"],
    ]
    names = {row[0] for row in rows}
    for op in function.body.block.ops:
        layer = op.attributes.get("layer")
        assert op.name == "func.return" or (isinstance(layer, StringAttr) and layer.data in names)


def test_names_of_inputs_outputs_and_model(tmp_path: Path) -> None:
    function = main_of(load_onnx(saved(relu_model([2]), tmp_path)))
    assert strings(function, "input_names") == ["x"]
    assert strings(function, "output_names") == ["y"]
    assert function.attributes["model_name"] == StringAttr("model")


def test_output_may_be_an_input_or_a_constant(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["c"], ["z"])]
    c = real(3)
    model = model_of(nodes, {"x": real(2)}, {"c": c}, {"y": "float32", "z": "float32"})
    module = load_onnx(saved(model, tmp_path))
    module.verify()
    results = run_graph(module, {"x": real(2)})
    np.testing.assert_array_equal(results["y"], real(2))
    np.testing.assert_array_equal(results["z"], c)


def test_external_data(tmp_path: Path) -> None:
    model, feeds = single_node("MatMul", real(2, 64), real(64, 64, seed=1), constant=(1,))
    path = tmp_path / "external.onnx"
    onnx.save(
        model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    (y,) = run_graph(load_onnx(path), list(feeds.values()))
    np.testing.assert_allclose(y, real(2, 64) @ real(64, 64, seed=1), rtol=1e-4, atol=1e-5)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(LpcError, match=r"external\.onnx: external data: .*weights\.bin"):
        load_onnx(path)


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    body = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["b"], ["c"])]
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("local", "NegRelu", ["a"], ["c"], body, opsets)
    graph = helper.make_graph(
        [helper.make_node("NegRelu", ["x"], ["y"], "outer", domain="local")],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5])],
    )
    model = helper.make_model(
        graph, functions=[function], opset_imports=[*opsets, helper.make_opsetid("local", 1)]
    )
    (y,) = run_graph(load_onnx(saved(model, tmp_path)), [real(5)])
    np.testing.assert_array_equal(y, -np.maximum(real(5), 0))


def test_raw_and_typed_payloads_agree(tmp_path: Path) -> None:
    """Initializers may be stored in typed fields (here int32_data) instead of raw bytes."""
    weights = codes(3, 2, dtype=np.int8)
    model, _ = single_node("Gather", weights, longs(2, 0), constant=(0, 1), dtype="int8")
    tensors = [
        helper.make_tensor("x0", TensorProto.INT8, [3, 2], weights.reshape(-1).tolist()),
        numpy_helper.from_array(longs(2, 0), "x1"),
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    (y,) = run_graph(load_onnx(saved(model, tmp_path)), [])
    np.testing.assert_array_equal(y, weights[[2, 0]])
