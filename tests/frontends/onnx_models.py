"""Small ONNX models built in code, and their import against independent evaluators."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from lpc import compiler, runtime
from lpc.compiler.frontends.onnx import load_onnx
from lpc.compiler.interpreters.graph import run_graph
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = npt.NDArray[Any]
HAS_RUNTIME = find_spec("onnxruntime") is not None


def real(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> Array:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def codes(*shape: int, dtype: npt.DTypeLike = np.uint8, seed: int = 0) -> Array:
    limits = np.iinfo(np.dtype(dtype))
    return np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape, dtype)


def longs(*values: int) -> Array:
    return np.asarray(values, np.int64)


def model_of(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array],
    outputs: Mapping[str, npt.DTypeLike],
    opset: int = 17,
) -> ModelProto:
    """A model with these nodes; output shapes stay undeclared."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in inputs.items()
        ],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None
            )
            for name, dtype in outputs.items()
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("org.openvinotoolkit", 1)]
    model = helper.make_model(graph, opset_imports=imports)
    model.ir_version = 8 if opset < 21 else 10
    return model


def single_node(
    op_type: str,
    *arguments: Array | None,
    constant: Collection[int] = (),
    opset: int = 17,
    outputs: int = 1,
    dtype: npt.DTypeLike = np.float32,
    domain: str = "",
    **attributes: Any,
) -> tuple[ModelProto, dict[str, Array]]:
    """A model of one node, and its inputs: None is absent, `constant` lists the initializers."""
    names = ["" if a is None else f"x{i}" for i, a in enumerate(arguments)]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op_type, names, results, "the_node", domain=domain, **attributes)
    arrays = {n: a for n, a in zip(names, arguments, strict=True) if a is not None}
    fixed = {f"x{i}" for i in constant}
    feeds = {n: a for n, a in arrays.items() if n not in fixed}
    constants = {n: a for n, a in arrays.items() if n in fixed}
    return model_of([node], feeds, constants, dict.fromkeys(results, dtype), opset), feeds


def saved(model: ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    return path


def run_imported(
    model: ModelProto, feeds: Mapping[str, Array], folder: Path, *, has_kernel: bool = True
) -> list[Array]:
    """What the import computes by the interpreter; its library computes the same."""

    def refuse(message: str) -> None:
        raise AssertionError(message)

    path = saved(model, folder)
    module = load_onnx(path, warn=refuse)
    module.verify()
    results = list(run_graph(module, dict(feeds)).values())
    if has_kernel:
        library = folder / "model.so"
        compiler.compile(path, output=library)
        for found, expected in zip(runtime.load(library).run(feeds).values(), results, strict=True):
            assert_near(found, expected)
    return results


def assert_near(found: Array, expected: Array) -> None:
    """Codes are the same, and reals but for the rounding of sums (contract 7)."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if found.dtype.kind != "f":
        assert np.array_equal(found, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(found, expected, 2e-5, 2e-6 * max(1, finite.max(initial=0)))


def run_reference(model: ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    with np.errstate(all="ignore"):
        return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, dict(feeds))]


def run_onnxruntime(model: ModelProto | Path, feeds: Mapping[str, Array]) -> list[Array]:
    """ONNX Runtime on one thread, without any graph optimization."""
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, dict(feeds))]


def check(
    model: ModelProto,
    feeds: Mapping[str, Array],
    folder: Path,
    *,
    by_reference: bool = True,
    by_runtime: bool = True,
    has_kernel: bool = True,
) -> None:
    """The import computes what ONNX's reference evaluator and (if installed) ONNX Runtime compute.

    Either can be left out where it does not follow the standard for a case."""
    actual = run_imported(model, feeds, folder, has_kernel=has_kernel)
    if by_reference:
        assert_same(actual, run_reference(model, feeds))
    if by_runtime and HAS_RUNTIME:
        assert_same(actual, run_onnxruntime(model, feeds))


def assert_same(actual: Sequence[Array], expected: Sequence[Array]) -> None:
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        assert a.dtype == e.dtype
        if e.dtype == np.float32:
            np.testing.assert_allclose(a, e, rtol=2e-5, atol=2e-6)
        else:
            np.testing.assert_array_equal(a, e)
