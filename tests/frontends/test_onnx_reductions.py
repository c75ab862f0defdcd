"""Reductions, softmax and normalizations: import == reference evaluator == ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.frontends.onnx import load_onnx
from onnx_models import check, longs, real, saved, single_node

KINDS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")


@pytest.mark.parametrize("op_type", KINDS)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [(2, 3), (-1,), (1, 2), (0,), None])
def test_reduce_axes_input(
    op_type: str, keepdims: int, axes: tuple[int, ...] | None, tmp_path: Path
) -> None:
    arguments = [real(2, 3, 4, 5)] + ([] if axes is None else [longs(*axes)])
    model = single_node(op_type, *arguments, constant=(1,), keepdims=keepdims, opset=18)
    check(*model, tmp_path)


@pytest.mark.parametrize("op_type", [k for k in KINDS if k != "ReduceSum"])
def test_reduce_axes_attribute(op_type: str, tmp_path: Path) -> None:
    check(*single_node(op_type, real(2, 3, 4, 5), axes=[-2, 3], opset=13), tmp_path)


def test_reduce_without_axes_may_do_nothing(tmp_path: Path) -> None:
    model = single_node("ReduceSum", real(2, 3), noop_with_empty_axes=1, opset=18)
    check(*model, tmp_path)


def test_spatial_mean_becomes_a_pool(tmp_path: Path) -> None:
    model, _ = single_node("ReduceMean", real(1, 3, 4, 5), axes=[2, 3], keepdims=0)
    ops = list(load_onnx(saved(model, tmp_path)).walk())
    assert any(isinstance(op, graph.AvgPoolOp) for op in ops)
    assert not any(isinstance(op, graph.ReduceOp) for op in ops)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("attributes", [{}, {"axis": 1}, {"axis": -2}, {"axis": 0}])
def test_softmax(op_type: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    check(*single_node(op_type, real(2, 3, 21), **attributes), tmp_path)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4), (4, 3)])
def test_batch_normalization(shape: tuple[int, ...], tmp_path: Path) -> None:
    parameters = [real(3, seed=i, low=0.1) for i in range(4)]
    model = single_node(
        "BatchNormalization", real(*shape), *parameters, constant=(1, 2, 3, 4), epsilon=1e-3
    )
    check(*model, tmp_path)


@pytest.mark.parametrize(
    ("width", "attributes"), [((8,), {}), ((8,), {"epsilon": 1e-2}), ((6, 8), {"axis": 1})]
)
@pytest.mark.parametrize("has_bias", [True, False])
def test_layer_normalization(
    width: tuple[int, ...], attributes: dict[str, Any], has_bias: bool, tmp_path: Path
) -> None:
    arguments = [real(2, 6, 8), real(*width, seed=1), real(*width, seed=2)][: 2 + has_bias]
    model = single_node("LayerNormalization", *arguments, constant=(1, 2), **attributes)
    check(*model, tmp_path)
