"""Unary functions, arithmetic, casts: import == reference evaluator == ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.frontends.onnx import load_onnx
from onnx import TensorProto
from onnx_models import Array, check, codes, longs, real, run_imported, saved, single_node

UNARY = (
    *("Relu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "Selu", "Erf"),
    *("Exp", "Neg", "Abs", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Softplus", "Softsign"),
)
PARAMETERS: dict[str, dict[str, Any]] = {
    "LeakyRelu": {"alpha": 0.3},
    "Elu": {"alpha": 1.7},
    "Selu": {"alpha": 1.2, "gamma": 0.7},
    "HardSigmoid": {"alpha": 0.4, "beta": 0.3},
}


@pytest.mark.parametrize("op_type", UNARY)
def test_unary(op_type: str, tmp_path: Path) -> None:
    check(*single_node(op_type, real(2, 3, 4, low=-6, high=6)), tmp_path)


@pytest.mark.parametrize("op_type", PARAMETERS)
def test_unary_with_parameters(op_type: str, tmp_path: Path) -> None:
    check(*single_node(op_type, real(2, 3), **PARAMETERS[op_type]), tmp_path)


@pytest.mark.parametrize("op_type", ["Log", "Sqrt"])
def test_unary_of_positive(op_type: str, tmp_path: Path) -> None:
    check(*single_node(op_type, real(2, 3, low=0.01, high=9)), tmp_path)


def test_mish(tmp_path: Path) -> None:
    model, feeds = single_node("Mish", real(2, 3), opset=18)
    check(model, feeds, tmp_path, by_reference=False)


@pytest.mark.parametrize("attributes", [{}, {"approximate": "none"}, {"approximate": "tanh"}])
def test_gelu(attributes: dict[str, Any], tmp_path: Path) -> None:
    check(*single_node("Gelu", real(2, 9), opset=20, **attributes), tmp_path)


def test_round_is_half_to_even(tmp_path: Path) -> None:
    x = np.asarray([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    check(*single_node("Round", x), tmp_path)


LIMITS: dict[str, tuple[float | None, float | None]] = {
    "both": (0.0, 6.0),
    "low": (-0.5, None),
    "relu": (0.0, None),
    "high": (None, 0.5),
    "none": (None, None),
}


@pytest.mark.parametrize("constant", [(), (1, 2)], ids=["computed", "constant"])
@pytest.mark.parametrize("name", LIMITS)
def test_clip(name: str, constant: tuple[int, ...], tmp_path: Path) -> None:
    limits = [None if v is None else np.asarray(v, np.float32) for v in LIMITS[name]]
    check(*single_node("Clip", real(3, 4, low=-8, high=8), *limits, constant=constant), tmp_path)


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (4,), (3, 1), (1, 1, 1), ()])
@pytest.mark.parametrize("constant", [(), (1,)], ids=["computed", "constant"])
def test_binary(
    op_type: str, shape: tuple[int, ...], constant: tuple[int, ...], tmp_path: Path
) -> None:
    other = real(*shape, low=0.5, high=2, seed=1)
    check(*single_node(op_type, real(2, 3, 4), other, constant=constant), tmp_path)


@pytest.mark.parametrize("op_type", ["Min", "Max", "Sum"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_variadic(op_type: str, count: int, tmp_path: Path) -> None:
    arguments = [real(2, 3, seed=i) for i in range(count - 1)] + [real(3, seed=9)]
    check(*single_node(op_type, *arguments), tmp_path)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, -0.5, -1.0])
def test_pow(exponent: float, tmp_path: Path) -> None:
    x = real(2, 3, low=0.1)
    check(*single_node("Pow", x, np.asarray(exponent, np.float32), constant=(1,)), tmp_path)


def test_pow_with_integer_exponent(tmp_path: Path) -> None:
    check(*single_node("Pow", real(2, 3), np.asarray(2, np.int64), constant=(1,)), tmp_path)


@pytest.mark.parametrize("slope", [(3, 1, 1), (1,), (2, 3, 4, 4)])
def test_prelu(slope: tuple[int, ...], tmp_path: Path) -> None:
    check(*single_node("PRelu", real(2, 3, 4, 4), real(*slope, seed=1), constant=(1,)), tmp_path)


@pytest.mark.parametrize(
    ("x", "to"),
    [
        (real(2, 3, low=-100, high=100), TensorProto.INT32),
        (real(2, 3), TensorProto.FLOAT),
        (codes(2, 3), TensorProto.FLOAT),
        (codes(2, 3, dtype=np.int8), TensorProto.INT32),
        (longs(1, 2, 3), TensorProto.FLOAT),
        (longs(1, 2, 3), TensorProto.INT32),
    ],
)
def test_cast(x: Array, to: int, tmp_path: Path) -> None:
    dtype = "int32" if to == TensorProto.INT32 else "float32"
    check(*single_node("Cast", x, to=to, dtype=dtype), tmp_path)


def test_cast_like(tmp_path: Path) -> None:
    check(*single_node("CastLike", longs(1, 2, 3), real(2)), tmp_path)


@pytest.mark.parametrize("arguments", [(), (np.asarray(0.3, np.float32),)])
def test_identities_disappear(arguments: tuple[Any, ...], tmp_path: Path) -> None:
    x = real(2, 3)
    for op_type, extra in (("Identity", ()), ("Dropout", arguments)):
        model, feeds = single_node(op_type, x, *extra, constant=(1,))
        np.testing.assert_array_equal(run_imported(model, feeds, tmp_path)[0], x)
        ops = list(load_onnx(saved(model, tmp_path)).walk())
        assert not any(isinstance(op, graph.GraphOp) for op in ops)
