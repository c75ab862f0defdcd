"""run_graph: every op of the dialect, kernels, names, observation, errors; and a speed floor."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.layout import Layout, LayoutAttr
from lpc.compiler.dialects.tensors import si8, tensor_type, type_of, ui8
from lpc.compiler.interpreters.graph import register_graph_implementations, run_graph
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, TensorType, i32, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.interpreter import Interpreter
from xdsl.ir import Block, Operation, Region, SSAValue

Array = np.ndarray[Any, Any]
Build = Callable[..., Operation]
f32 = np.float32


def floats(values: Any) -> Array:
    return np.asarray(values, f32)


def module_of(inputs: Sequence[Array], build: Build) -> ModuleOp:
    """@main whose body is what `build(*arguments)` returns with its operands' defining ops."""
    block = Block(arg_types=[tensor_type(x.shape, x.dtype) for x in inputs])
    op = build(*block.args)
    for value in op.operands:
        if isinstance(value.owner, Operation) and value.owner.parent is None:
            block.add_op(value.owner)
    block.add_op(op)
    block.add_op(ReturnOp(*op.results))
    types = [argument.type for argument in block.args], [r.type for r in op.results]
    main = FuncOp("main", types, Region(block))
    main.attributes["input_names"] = ArrayAttr([StringAttr(f"x{i}") for i in range(len(inputs))])
    main.attributes["output_names"] = ArrayAttr([StringAttr("y")])
    module = ModuleOp([main])
    module.verify()
    return module


def run(build: Build, *inputs: Array) -> Array:
    module = module_of(inputs, build)
    (result,) = run_graph(module, inputs)
    main = next(iter(module.body.block.ops))
    assert isinstance(main, FuncOp)
    expected = main.function_type.outputs.data[0]
    assert tensor_type(result.shape, result.dtype) == expected
    assert result.flags.c_contiguous
    return result


def constant(values: Any, dtype: Any = f32) -> SSAValue:
    return graph.ConstantOp(np.asarray(values, dtype)).result


def reals(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(f32)


def codes(*shape: int, dtype: Any = np.uint8) -> Array:
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8).view(dtype)


def test_every_op_has_an_implementation() -> None:
    interpreter = Interpreter(ModuleOp([]))
    register_graph_implementations(interpreter)
    implemented = set(interpreter._impls._impl_dict)
    assert set(graph.Graph.operations) <= implemented


def test_quantization_ops() -> None:
    x = floats([[0.25, -1.0], [0.75, 100.0]])
    q = run(lambda v: graph.QuantizeOp(v, [0.5, 0.25], [1, 2], ui8, axis=1), x)
    assert q.tolist() == [[1, 0], [3, 255]]
    back = run(lambda v: graph.DequantizeOp(v, [0.5, 0.25], [1, 2], axis=1), q)
    assert back.tolist() == [[0.0, -0.5], [1.0, 63.25]]
    accumulators = np.array([[5, 5], [-300, 7]], np.int32)
    r = run(lambda v: graph.RequantizeOp(v, [0.5, 1.0], 1, si8, axis=1, qmax=5), accumulators)
    assert r.tolist() == [[3, 5], [-128, 5]]
    levels = run(lambda v: graph.FakeQuantizeOp(v, 3, *floats([-1, 1, -2, 2])), x)
    assert levels.tolist() == [[0.0, -2.0], [2.0, 2.0]]


def test_codes_by_bit_pattern() -> None:
    q = np.array([-128, -1, 0, 127], np.int8)
    table = np.arange(256).astype(np.uint8)
    assert run(lambda v: graph.LutOp(v, table), q).tolist() == [128, 255, 0, 127]
    assert run(graph.RecodeOp, q).tolist() == [0, 127, 128, 255]
    assert run(graph.RecodeOp, run(graph.RecodeOp, q)).tolist() == q.tolist()


def test_lut_reads_views() -> None:
    q = codes(3, 4)
    module = module_of([q], lambda v: graph.TransposeOp(v, [1, 0]))
    (main,) = module.body.block.ops
    assert isinstance(main, FuncOp)
    transposed = next(iter(main.body.block.ops))
    lut = graph.LutOp(transposed.results[0], np.arange(256, dtype=np.int32).astype(np.uint8))
    main.body.block.insert_op_after(lut, transposed)
    terminator = main.body.block.last_op
    assert terminator is not None
    terminator.operands[0] = lut.result
    assert np.array_equal(run_graph(module, [q])[0], q.T)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (graph.AddOp, np.add),
        (graph.SubOp, np.subtract),
        (graph.MulOp, np.multiply),
        (graph.DivOp, np.divide),
        (graph.MaximumOp, np.maximum),
        (graph.MinimumOp, np.minimum),
        (graph.PReluOp, lambda x, slope: np.where(x < 0, x * slope, x)),
    ],
)
def test_binary_ops_broadcast(op: Build, expected: Callable[[Array, Array], Array]) -> None:
    lhs, rhs = reals(2, 3, 4), reals(3, 1, seed=1)
    assert np.array_equal(run(op, lhs, rhs), expected(lhs, rhs))


def test_pow() -> None:
    x = np.abs(reals(5))
    assert np.array_equal(run(lambda v: graph.PowOp(v, constant(2.0)), x), x * x)
    assert np.array_equal(run(lambda v: graph.PowOp(v, constant([-0.5])), x), 1 / np.sqrt(x))


def test_unary_and_cast() -> None:
    x = floats([-1.5, 0.5, 9.0])
    assert run(lambda v: graph.UnaryOp("clip", v, 0.0, 6.0), x).tolist() == [0.0, 0.5, 6.0]
    assert run(lambda v: graph.CastOp(v, i32), x).tolist() == [-1, 0, 9]
    assert run(lambda v: graph.CastOp(v, i64), codes(3)).dtype == np.int64


def test_reductions() -> None:
    x = reals(2, 3, 4)
    total = run(lambda v: graph.ReduceOp("sum", v, [0, 2], keepdims=False), x)
    assert np.allclose(total, x.sum((0, 2)), rtol=1e-5)
    highest = run(lambda v: graph.ReduceOp("max", v, [2], keepdims=True), x)
    assert np.array_equal(highest, x.max(-1, keepdims=True))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax(axis: int) -> None:
    x = reals(3, 5, 20) * 10
    e = np.exp((x - x.max(axis, keepdims=True)).astype(np.float64))
    result = run(lambda v: graph.SoftmaxOp(v, axis), x)
    assert np.allclose(result, e / e.sum(axis, keepdims=True), rtol=2e-6, atol=0)


def test_normalizations() -> None:
    x, weight, bias = reals(2, 5, 7), reals(7, seed=1), reals(7, seed=2)
    result = run(lambda v: graph.LayerNormOp(v, constant(weight), constant(bias), 1e-5), x)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    assert np.allclose(result, (x - mean) / np.sqrt(variance + 1e-5) * weight + bias, atol=1e-5)
    parameters = [reals(5, seed=s) for s in range(3)] + [np.abs(reals(5, seed=4))]
    result = run(lambda v: graph.BatchNormOp(v, [constant(p) for p in parameters], 1e-3), x)
    scale, shift, mean, variance = (p[:, None] for p in parameters)
    assert np.array_equal(result, (x - mean) / np.sqrt(variance + f32(1e-3)) * scale + shift)


@pytest.mark.parametrize(
    "x", [reals(2, 3, 4, 4), codes(2, 3, 4, 4), codes(2, 3, 4, 4, dtype=np.int8)]
)
def test_movement(x: Array) -> None:
    assert np.array_equal(run(lambda v: graph.ReshapeOp(v, [6, 16]), x), x.reshape(6, 16))
    moved = run(lambda v: graph.TransposeOp(v, [0, 2, 3, 1]), x)
    assert np.array_equal(moved, x.transpose(0, 2, 3, 1))
    joined = run(lambda a, b: graph.ConcatOp([a, b], 1), x, x[:, :1])
    assert np.array_equal(joined, np.concatenate([x, x[:, :1]], 1))
    part = run(lambda v: graph.SliceOp(v, [0, 1, 0, 1], [2, 3, 4, 4], [1, 1, 3, 2]), x)
    assert np.array_equal(part, x[:, 1:3, ::3, 1::2])
    padded = run(lambda v: graph.PadOp(v, [0, 0, 1, 0], [0, 1, 0, 2], 7.0), x)
    assert np.array_equal(
        padded, np.pad(x, [(0, 0), (0, 1), (1, 0), (0, 2)], constant_values=x.dtype.type(7))
    )
    wide = run(lambda v: graph.BroadcastOp(v, [5, 2, 3, 4, 4]), x)
    assert np.array_equal(wide, np.stack([x] * 5))
    picked = run(lambda v: graph.GatherOp(v, constant([[2, 0]], np.int64), 1), x)
    assert np.array_equal(picked, x[:, [[2, 0]]])
    resized = run(lambda v: graph.ResizeNearestOp(v, [2, 3]), x)
    assert np.array_equal(resized, x.repeat(2, 2).repeat(3, 3))


def test_contractions_and_pools() -> None:
    x, weight = codes(1, 2, 4, 4), codes(3, 2, 3, 3, dtype=np.int8)
    result = run(
        lambda v: graph.QConv2dOp(
            v, constant(weight, np.int8), input_zero_point=7, weight_zero_point=[1, 2, 3]
        ),
        x,
    )
    window = x[0, :, 1:, :3].astype(int) - 7
    centred = weight.astype(int) - np.array([1, 2, 3])[:, None, None, None]
    assert result[0, :, 1, 0].tolist() == (window * centred).sum((1, 2, 3)).tolist()
    real = run(
        lambda v: graph.Conv2dOp(v, constant(np.ones((2, 2, 1, 1))), constant([0, 1])),
        reals(1, 2, 3, 3),
    )
    assert np.allclose(real[:, 1], real[:, 0] + 1, atol=1e-6)
    a, b = codes(2, 3), codes(3, 2, dtype=np.int8)
    product = run(lambda v: graph.QMatMulOp(v, constant(b, np.int8), a_zero_point=3), a)
    assert np.array_equal(product, (a.astype(int) - 3) @ b.astype(int))
    assert run(lambda v: graph.MatMulOp(v, constant([[2.0]]), constant([1.0])), floats([[3]])) == 7
    assert run(lambda v: graph.MaxPoolOp(v, [4, 4]), x).shape == (1, 2, 1, 1)
    assert run(lambda v: graph.AvgPoolOp(v, [2, 2]), np.ones((1, 1, 2, 2), f32)) == 1
    total = run(lambda v: graph.QSumPoolOp(v, [4, 4], input_zero_point=5), x)
    assert np.array_equal(total[..., 0, 0], x.astype(int).sum((2, 3)) - 16 * 5)


def kernel_of(x: SSAValue) -> graph.KernelOp:
    """y = max(x + 1, 0), with the constant inside."""
    block = Block(arg_types=[x.type])
    one = graph.ConstantOp(floats([1]))
    total = graph.AddOp(block.args[0], one.result)
    relu = graph.UnaryOp("relu", total.result)
    block.add_ops([one, total, relu, graph.YieldOp(relu.result)])
    return graph.KernelOp([x], [relu.result.type], Region(block))


def test_kernels_run_their_body() -> None:
    assert run(kernel_of, floats([-3, 2])).tolist() == [0, 3]


def test_observers_see_every_op() -> None:
    seen: list[tuple[str, int]] = []
    run_graph(
        module_of([reals(4)], kernel_of),
        [reals(4)],
        observe=lambda op, results: seen.append((op.name, sum(r.size for r in results))),
    )
    names = ["constant", "add", "unary", "yield", "kernel"]
    assert [name for name, _ in seen] == [*(f"graph.{n}" for n in names), "func.return"]
    assert [size for _, size in seen] == [1, 4, 4, 0, 4, 0]


def test_layout_encodings_change_nothing() -> None:
    x = codes(1, 2, 2, 3)

    def padded(value: SSAValue) -> Operation:
        encoding = LayoutAttr.of(Layout(1, 2, 2, 3, 4, (1, 1, 1, 1)))
        op = graph.ReshapeOp(value, x.shape)
        result = TensorType(type_of(value).element_type, x.shape, encoding)
        return graph.ReshapeOp.create(operands=op.operands, result_types=[result])

    (result,) = run_graph(module_of([x], padded), [x])
    assert np.array_equal(result, x)


def test_inputs_and_outputs_by_name() -> None:
    lhs, rhs = reals(3), reals(3, seed=1)
    module = module_of([lhs, rhs], graph.SubOp)
    result = run_graph(module, {"x1": rhs, "x0": lhs})
    assert list(result) == ["y"]
    assert np.array_equal(result["y"], lhs - rhs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "takes 1 inputs, not 0"),
        ([reals(4)], "input 0 is float32[4], not float32[3]"),
        ([codes(3)], "input 0 is uint8[3], not float32[3]"),
        ({"x": reals(3)}, "no value for input x0"),
    ],
)
def test_wrong_inputs(inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        run_graph(module_of([reals(3)], lambda v: graph.UnaryOp("relu", v)), inputs)


def test_errors_name_the_layer() -> None:
    def overflowing(value: SSAValue) -> Operation:
        op = graph.QMatMulOp(value, constant(np.full((70000, 1), -128), np.int8))
        op.attributes["layer"] = StringAttr("fc")
        return op

    x = np.full((1, 70000), 255, np.uint8)
    with pytest.raises(OverflowError) as error:
        run_graph(module_of([x], overflowing), [x])
    assert error.value.__notes__ == ["in graph.qmatmul of layer 'fc'"]
