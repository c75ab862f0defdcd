"""Ops that move elements, and shape arithmetic: import == reference evaluator == ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.frontends.onnx import load_onnx
from onnx import helper
from onnx_models import Array, check, codes, longs, model_of, real, saved, single_node

X = real(2, 3, 4, 6)
SINGLE: dict[str, tuple[str, list[Array | None], dict[str, Any]]] = {
    "reshape": ("Reshape", [X, longs(6, -1)], {}),
    "reshape_copies": ("Reshape", [X, longs(0, 0, -1)], {}),
    "reshape_to_scalar": ("Reshape", [real(1, 1), longs()], {}),
    "flatten": ("Flatten", [X], {}),
    "flatten_0": ("Flatten", [X], {"axis": 0}),
    "flatten_negative": ("Flatten", [X], {"axis": -1}),
    "squeeze": ("Squeeze", [real(1, 3, 1, 4), longs(0, -2)], {}),
    "squeeze_all": ("Squeeze", [real(1, 3, 1, 4)], {}),
    "unsqueeze": ("Unsqueeze", [real(3, 4), longs(0, -1)], {}),
    "transpose": ("Transpose", [X], {"perm": [0, 2, 3, 1]}),
    "transpose_default": ("Transpose", [X], {}),
    "concat": ("Concat", [real(2, 3), real(2, 1), real(2, 4)], {"axis": -1}),
    "slice": ("Slice", [X, longs(1, -3), longs(3, 9), longs(1, -1), longs(1, 2)], {}),
    "slice_leading": ("Slice", [X, longs(1, 0), longs(2, 2)], {}),
    "gather": ("Gather", [X, np.asarray([[2, 0], [-1, 1]])], {"axis": 1}),
    "gather_scalar": ("Gather", [X, np.asarray(-1)], {"axis": 2}),
    "gather_one": ("Gather", [X, longs(1)], {"axis": 3}),
    "expand": ("Expand", [real(3, 1), longs(2, 1, 4)], {}),
    "pad": ("Pad", [X, longs(0, 0, 1, 2, 0, 0, 0, 3), np.asarray(1.5, np.float32)], {}),
    "pad_default": ("Pad", [X, longs(0, 1, 0, 0, 1, 0, 0, 0)], {}),
    "depth_to_space": ("DepthToSpace", [real(2, 8, 3, 2)], {"blocksize": 2}),
    "depth_to_space_crd": ("DepthToSpace", [real(2, 8, 3, 2)], {"blocksize": 2, "mode": "CRD"}),
    "space_to_depth": ("SpaceToDepth", [X], {"blocksize": 2}),
}


@pytest.mark.parametrize("name", SINGLE)
def test_movement(name: str, tmp_path: Path) -> None:
    op_type, arguments, attributes = SINGLE[name]
    constant = () if op_type == "Concat" else range(1, len(arguments))
    check(*single_node(op_type, *arguments, constant=constant, **attributes), tmp_path)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_movement_of_codes(dtype: str, tmp_path: Path) -> None:
    x = codes(1, 4, 4, 4, dtype=dtype)
    for op_type in ("Transpose", "Flatten"):
        check(*single_node(op_type, x, dtype=dtype), tmp_path)
    check(*single_node("Concat", x, x, dtype=dtype, axis=1), tmp_path)


def test_concat_drops_constants_without_elements(tmp_path: Path) -> None:
    empty = np.zeros((2, 0), np.float32)
    check(*single_node("Concat", empty, real(2, 3), empty, constant=(0, 2), axis=1), tmp_path)


def test_pad_of_selected_axes(tmp_path: Path) -> None:
    model = single_node(
        "Pad", X, longs(1, 2), None, longs(-1), constant=(1, 3), opset=18, mode="constant"
    )
    check(*model, tmp_path, by_reference=False)


@pytest.mark.parametrize(
    ("opset", "sizes", "attributes"),
    [(13, [1, 3], {}), (13, None, {}), (18, None, {"num_outputs": 2})],
)
def test_split(
    opset: int, sizes: list[int] | None, attributes: dict[str, Any], tmp_path: Path
) -> None:
    arguments = [X] + ([] if sizes is None else [longs(*sizes)])
    model = single_node(
        "Split", *arguments, constant=(1,), axis=2, outputs=2, opset=opset, **attributes
    )
    check(*model, tmp_path)


def test_split_into_uneven_parts(tmp_path: Path) -> None:
    check(*single_node("Split", real(7, 2), outputs=3, opset=18, num_outputs=3), tmp_path)


def test_gather_with_computed_indices(tmp_path: Path) -> None:
    for dtype in (np.int64, np.int32):
        indices = np.asarray([[2, 0], [1, 1]], dtype)
        check(*single_node("Gather", real(3, 5), indices, constant=(0,)), tmp_path)


RESIZES: dict[str, dict[str, Any]] = {
    "asymmetric_floor": {
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    },
    "half_pixel": {"coordinate_transformation_mode": "half_pixel"},
    "half_pixel_prefer_ceil": {"nearest_mode": "round_prefer_ceil"},
}


@pytest.mark.parametrize("name", RESIZES)
@pytest.mark.parametrize("factors", [(2, 3), (1, 2), (1, 1)])
def test_resize(name: str, factors: tuple[int, int], tmp_path: Path) -> None:
    scales = np.asarray([1, 1, *factors], np.float32)
    model = single_node("Resize", X, None, scales, constant=(2,), mode="nearest", **RESIZES[name])
    check(*model, tmp_path)


def test_resize_to_sizes(tmp_path: Path) -> None:
    sizes = longs(2, 3, 8, 18)
    model = single_node("Resize", X, None, None, sizes, constant=(3,), mode="nearest")
    check(*model, tmp_path)


def test_shape_arithmetic_is_folded(tmp_path: Path) -> None:
    """Flattening as exporters write it: Shape → Gather → Unsqueeze → Concat → Reshape."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Constant", [], ["zero"], value_int=0),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Constant", [], ["axes"], value_ints=[0]),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["batches"]),
        helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
        helper.make_node("Concat", ["batches", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    model = model_of(nodes, {"x": X}, {}, {"y": "float32"})
    check(model, {"x": X}, tmp_path)
    ops = [op for op in load_onnx(saved(model, tmp_path)).walk() if isinstance(op, graph.GraphOp)]
    assert [op.name for op in ops] == ["graph.reshape"]


def test_masks_and_ranges_are_folded(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Size", ["x"], ["size"]),
        helper.make_node("Constant", [], ["zero"], value_int=0),
        helper.make_node("Constant", [], ["one"], value_int=1),
        helper.make_node("Constant", [], ["three"], value_int=3),
        helper.make_node("Range", ["zero", "size", "one"], ["range"]),
        helper.make_node("Equal", ["range", "three"], ["mask"]),
        helper.make_node("Where", ["mask", "one", "range"], ["chosen"]),
        helper.make_node("Cast", ["chosen"], ["addend"], to=1),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["zeros", "addend"], ["sum"]),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    x = real(5)
    model = model_of(nodes, {"x": x}, {}, {"y": "float32"})
    check(model, {"x": x}, tmp_path)
    ops = [op for op in load_onnx(saved(model, tmp_path)).walk() if isinstance(op, graph.GraphOp)]
    assert [op.name for op in ops] == ["graph.constant", "graph.add"]
