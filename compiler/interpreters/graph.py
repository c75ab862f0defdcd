"""Executable semantics of the graph dialect in numpy: the oracle for every pass and every compiled
library.

    outputs = run_graph(module, [x])                      # list in, list out
    outputs = run_graph(module, {"input": x})             # dict in, dict out, by @main's
    input_names and output_names run_graph(module, [x], observe=lambda op, results: …)  # every op
    with its results, kernel bodies included

The arithmetic itself is in `numerics` (quantization, reductions), `functions` (float functions) and
`contractions`. A layout encoding on a type changes nothing here: values are always the plain
logical tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, overload

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    ReturnedValues,
    TerminatorValue,
    impl,
    impl_callable,
    impl_terminator,
    register_impls,
)
from xdsl.ir import Operation

from .. import functions, numerics
from ..contractions import winograd
from ..contractions.unpack import unpack
from ..contractions.winograd_tiling import Tiling
from ..dialects import graph, shapes
from ..dialects.tensors import Array, array_to_numpy, dense_to_numpy, shape_of, value_dtype
from . import contractions, normalizations
from .contractions import Window

Observer = Callable[[Operation, tuple[Array, ...]], None]

_BINARY: dict[type[graph.BinaryOp], Callable[[Array, Array], Array]] = {
    graph.AddOp: np.add,
    graph.SubOp: np.subtract,
    graph.MulOp: np.multiply,
    graph.DivOp: np.divide,
    graph.MaximumOp: numerics.maximum,
    graph.MinimumOp: numerics.minimum,
    graph.PowOp: functions.evaluate_pow,
    graph.PReluOp: lambda x, slope: np.where(x >= 0, x, x * slope),
}


def _int(attribute: Any) -> int:
    return int(attribute.value.data)


def _window(op: graph.WindowedOp) -> Window:
    return Window(op.window, graph.ints(op.strides), graph.ints(op.pads), graph.ints(op.dilations))


def _bias(args: PythonValues) -> Array | None:
    return args[2] if len(args) > 2 else None


@register_impls
class FuncFunctions(InterpreterFunctions):
    """Of `func`. xDSL's own are in a package that imports the interpreters of all its dialects,
    which takes a tenth of the time of a small compilation."""

    @impl_callable(FuncOp)
    def call_func(self, interpreter: Interpreter, op: FuncOp, args: PythonValues) -> PythonValues:
        return interpreter.run_ssacfg_region(op.body, args, op.sym_name.data)

    @impl_terminator(ReturnOp)
    def run_return(
        self, interpreter: Interpreter, op: ReturnOp, args: PythonValues
    ) -> tuple[TerminatorValue, PythonValues]:
        return ReturnedValues(args), ()


@register_impls
class QuantizationFunctions(InterpreterFunctions):
    """Constants and the ops between real values, codes and accumulators."""

    @impl(graph.ConstantOp)
    def constant(
        self, _: Interpreter, op: graph.ConstantOp, args: PythonValues
    ) -> tuple[Array, ...]:
        return (op.array,)

    @impl(graph.PackedWeightsOp)
    def packed_weights(
        self, _: Interpreter, op: graph.PackedWeightsOp, args: PythonValues
    ) -> tuple[Array, ...]:
        return (unpack(op, args[0], args[1:]),)

    @impl(graph.FakeQuantizeOp)
    def fake_quantize(
        self, _: Interpreter, op: graph.FakeQuantizeOp, args: PythonValues
    ) -> tuple[Array, ...]:
        limits = (op.input_low, op.input_high, op.output_low, op.output_high)
        arrays = (dense_to_numpy(limit) for limit in limits)
        return (numerics.fake_quantize(args[0], _int(op.levels), *arrays),)

    @impl(graph.QuantizeOp)
    def quantize(
        self, _: Interpreter, op: graph.QuantizeOp, args: PythonValues
    ) -> tuple[Array, ...]:
        dtype, (qmin, qmax) = value_dtype(op.result), (_int(op.qmin), _int(op.qmax))
        codes = numerics.quantize(
            args[0], op.scales, op.zero_points, op.axis_index, qmin, qmax, dtype
        )
        return (codes,)

    @impl(graph.DequantizeOp)
    def dequantize(
        self, _: Interpreter, op: graph.DequantizeOp, args: PythonValues
    ) -> tuple[Array, ...]:
        return (numerics.dequantize(args[0], op.scales, op.zero_points, op.axis_index),)

    @impl(graph.RequantizeOp)
    def requantize(
        self, _: Interpreter, op: graph.RequantizeOp, args: PythonValues
    ) -> tuple[Array, ...]:
        codes = numerics.requantize(
            args[0],
            op.multipliers,
            _int(op.axis),
            _int(op.zero_point),
            _int(op.qmin),
            _int(op.qmax),
            value_dtype(op.result),
        )
        return (codes,)

    @impl(graph.LutOp)
    def lut(self, _: Interpreter, op: graph.LutOp, args: PythonValues) -> tuple[Array, ...]:
        return (dense_to_numpy(op.table)[args[0].view(np.uint8)],)

    @impl(graph.RecodeOp)
    def recode(self, _: Interpreter, op: graph.RecodeOp, args: PythonValues) -> tuple[Array, ...]:
        return ((args[0].view(np.uint8) ^ np.uint8(0x80)).view(value_dtype(op.result)),)


@register_impls
class ContractionFunctions(InterpreterFunctions):
    """Convolutions, matrix products and pools."""

    @impl(graph.Conv2dOp)
    def conv2d(self, _: Interpreter, op: graph.Conv2dOp, args: PythonValues) -> tuple[Array, ...]:
        x, weight = args[:2]
        window, layout = _window(op), op.layout.data
        return (contractions.conv2d(x, weight, _bias(args), window, op.group_count, layout),)

    @impl(graph.QConv2dOp)
    def qconv2d(self, _: Interpreter, op: graph.QConv2dOp, args: PythonValues) -> tuple[Array, ...]:
        accumulators = contractions.qconv2d(
            args[0],
            args[1],
            _bias(args),
            array_to_numpy(op.input_zero_point),
            array_to_numpy(op.weight_zero_point),
            _window(op),
            op.group_count,
            op.layout.data,
        )
        return (accumulators,)

    @impl(graph.WinogradInputOp)
    def winograd_input(
        self, _: Interpreter, op: graph.WinogradInputOp, args: PythonValues
    ) -> tuple[Array, ...]:
        padded = contractions.pad_images(args[0], graph.ints(op.pads), _int(op.input_zero_point))
        tiling = Tiling(len(padded), *op.output_size, op.window_taps)
        if op.pixel_stride == 2:
            padded = winograd.space_to_depth(padded)
        return (winograd.transform_inputs(padded, tiling),)

    @impl(graph.WinogradQConv2dOp)
    def winograd_qconv2d(
        self, _: Interpreter, op: graph.WinogradQConv2dOp, args: PythonValues
    ) -> tuple[Array, ...]:
        points, weight = args[:2]
        images, rows, columns = shape_of(op.result)[:3]
        tiling = Tiling(images, rows, columns, weight.shape[-1])
        zero = _int(op.input_zero_point) * weight.reshape(len(weight), -1).sum(1, dtype=np.int64)
        sums = winograd.convolve(points, weight, tiling) - zero
        return (contractions.to_int32(sums, _bias(args), int(np.abs(sums).max(initial=0))),)

    @impl(graph.MatMulOp)
    def matmul(self, _: Interpreter, op: graph.MatMulOp, args: PythonValues) -> tuple[Array, ...]:
        return (contractions.matmul(args[0], args[1], _bias(args)),)

    @impl(graph.QMatMulOp)
    def qmatmul(self, _: Interpreter, op: graph.QMatMulOp, args: PythonValues) -> tuple[Array, ...]:
        zero_points = _int(op.a_zero_point), array_to_numpy(op.b_zero_point)
        return (contractions.qmatmul(args[0], args[1], _bias(args), *zero_points),)

    @impl(graph.MaxPoolOp)
    def max_pool(
        self, _: Interpreter, op: graph.MaxPoolOp, args: PythonValues
    ) -> tuple[Array, ...]:
        return (contractions.max_pool(args[0], _window(op), op.layout.data),)

    @impl(graph.AvgPoolOp)
    def avg_pool(
        self, _: Interpreter, op: graph.AvgPoolOp, args: PythonValues
    ) -> tuple[Array, ...]:
        include = bool(op.count_include_pad)
        return (contractions.avg_pool(args[0], _window(op), include, op.layout.data),)

    @impl(graph.QSumPoolOp)
    def qsum_pool(
        self, _: Interpreter, op: graph.QSumPoolOp, args: PythonValues
    ) -> tuple[Array, ...]:
        zero_point = _int(op.input_zero_point)
        return (contractions.qsum_pool(args[0], zero_point, _window(op), op.layout.data),)


class ElementwiseFunctions(InterpreterFunctions):
    """Functions of one value, conversions, reductions and normalizations."""

    @impl(graph.UnaryOp)
    def unary(self, _: Interpreter, op: graph.UnaryOp, args: PythonValues) -> tuple[Array, ...]:
        return (functions.evaluate_unary(op.kind.data, args[0], *op.parameters),)

    @impl(graph.CastOp)
    def cast(self, _: Interpreter, op: graph.CastOp, args: PythonValues) -> tuple[Array, ...]:
        return (numerics.cast(args[0], value_dtype(op.result)),)

    @impl(graph.ReduceOp)
    def reduce(self, _: Interpreter, op: graph.ReduceOp, args: PythonValues) -> tuple[Array, ...]:
        result = numerics.reduce(op.kind.data, args[0], graph.ints(op.axes))
        return (result.reshape(shape_of(op.result)),)

    @impl(graph.SoftmaxOp)
    def softmax(self, _: Interpreter, op: graph.SoftmaxOp, args: PythonValues) -> tuple[Array, ...]:
        return (normalizations.softmax(args[0], _int(op.axis)),)

    @impl(graph.LayerNormOp)
    def layer_norm(
        self, _: Interpreter, op: graph.LayerNormOp, args: PythonValues
    ) -> tuple[Array, ...]:
        x, weight, bias = args
        return (normalizations.layer_norm(x, weight, bias, op.epsilon.value.data),)

    @impl(graph.BatchNormOp)
    def batch_norm(
        self, _: Interpreter, op: graph.BatchNormOp, args: PythonValues
    ) -> tuple[Array, ...]:
        x, *parameters = args
        epsilon = op.epsilon.value.data
        return (normalizations.batch_norm(x, parameters, epsilon),)


def _binary(function: Callable[[Array, Array], Array]) -> Any:
    def run(
        self: InterpreterFunctions, _: Interpreter, op: Operation, args: PythonValues
    ) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return (np.asarray(function(*args)),)

    return run


for _op_type, _function in _BINARY.items():
    setattr(ElementwiseFunctions, f"run_{_op_type.name}", impl(_op_type)(_binary(_function)))
register_impls(ElementwiseFunctions)


@register_impls
class MovementFunctions(InterpreterFunctions):
    """Ops that move values without changing them, and kernels, which run their body."""

    @impl(graph.ReshapeOp)
    def reshape(self, _: Interpreter, op: graph.ReshapeOp, args: PythonValues) -> tuple[Array, ...]:
        return (args[0].reshape(shape_of(op.result)),)

    @impl(graph.TransposeOp)
    def transpose(
        self, _: Interpreter, op: graph.TransposeOp, args: PythonValues
    ) -> tuple[Array, ...]:
        return (args[0].transpose(graph.ints(op.permutation)),)

    @impl(graph.ConcatOp)
    def concat(self, _: Interpreter, op: graph.ConcatOp, args: PythonValues) -> tuple[Array, ...]:
        return (np.concatenate(args, axis=_int(op.axis)),)

    @impl(graph.SliceOp)
    def slice(self, _: Interpreter, op: graph.SliceOp, args: PythonValues) -> tuple[Array, ...]:
        bounds = map(graph.ints, (op.starts, op.limits, op.steps))
        return (args[0][tuple(slice(*s) for s in zip(*bounds, strict=True))],)

    @impl(graph.PadOp)
    def pad(self, _: Interpreter, op: graph.PadOp, args: PythonValues) -> tuple[Array, ...]:
        x, low = args[0], graph.ints(op.low)
        padded = np.full(shape_of(op.result), op.value.value.data, x.dtype)
        padded[tuple(slice(lo, lo + d) for lo, d in zip(low, x.shape, strict=True))] = x
        return (padded,)

    @impl(graph.BroadcastOp)
    def broadcast(
        self, _: Interpreter, op: graph.BroadcastOp, args: PythonValues
    ) -> tuple[Array, ...]:
        return (np.broadcast_to(args[0], shape_of(op.result)),)

    @impl(graph.GatherOp)
    def gather(self, _: Interpreter, op: graph.GatherOp, args: PythonValues) -> tuple[Array, ...]:
        x, indices = args
        size = x.shape[_int(op.axis)]
        from_start = np.where(indices < 0, indices + size, indices)
        return (np.take(x, np.clip(from_start, 0, size - 1), axis=_int(op.axis)),)

    @impl(graph.ResizeNearestOp)
    def resize_nearest(
        self, _: Interpreter, op: graph.ResizeNearestOp, args: PythonValues
    ) -> tuple[Array, ...]:
        x = args[0]
        axes = shapes.spatial_axes(op.layout.data)
        for axis, factor in zip(axes, graph.ints(op.factors), strict=True):
            x = np.repeat(x, factor, axis)
        return (x,)

    @impl(graph.KernelOp)
    def kernel(
        self, interpreter: Interpreter, op: graph.KernelOp, args: PythonValues
    ) -> PythonValues:
        return interpreter.run_ssacfg_region(op.body, args, "graph.kernel")

    @impl_terminator(graph.YieldOp)
    def yield_(
        self, _: Interpreter, op: graph.YieldOp, args: PythonValues
    ) -> tuple[TerminatorValue, PythonValues]:
        return ReturnedValues(args), ()


def register_graph_implementations(interpreter: Interpreter) -> None:
    """Everything that a module of func and graph ops needs."""
    for implementations in (
        FuncFunctions(),
        QuantizationFunctions(),
        ContractionFunctions(),
        ElementwiseFunctions(),
        MovementFunctions(),
    ):
        interpreter.register_implementations(implementations)


@dataclass
class _Trace(Interpreter.Listener):
    observe: Observer | None
    current: Operation | None = None

    def will_interpret_op(self, op: Operation, args: PythonValues) -> None:
        self.current = op

    def did_interpret_op(self, op: Operation, results: PythonValues) -> None:
        if self.observe is not None:
            self.observe(op, results)

    def describe(self) -> str:
        assert self.current is not None
        layer = self.current.attributes.get("layer")
        suffix = f" of layer '{layer.data}'" if isinstance(layer, StringAttr) else ""
        return f"in {self.current.name}{suffix}"


@overload
def run_graph(
    module: ModuleOp, inputs: Mapping[str, Array], observe: Observer | None = None
) -> dict[str, Array]: ...


@overload
def run_graph(
    module: ModuleOp, inputs: Sequence[Array], observe: Observer | None = None
) -> list[Array]: ...


def run_graph(
    module: ModuleOp,
    inputs: Mapping[str, Array] | Sequence[Array],
    observe: Observer | None = None,
) -> dict[str, Array] | list[Array]:
    """Run @main. Inputs in order, or by `input_names`; results come back the same way, contiguous.

    ValueError for a missing input or one of another dtype or shape than @main's argument."""
    main = _main(module)
    if isinstance(inputs, Mapping):
        names = _names(main, "input_names")
        if missing := [name for name in names if name not in inputs]:
            raise ValueError(f"no value for input {', '.join(missing)}")
        results = run_graph(module, [inputs[name] for name in names], observe)
        return dict(zip(_names(main, "output_names"), results, strict=True))
    _check_inputs(main, inputs)
    trace = _Trace(observe)
    interpreter = Interpreter(module, listeners=(trace,))
    register_graph_implementations(interpreter)
    try:
        values = interpreter.call_op(main, tuple(inputs))
    except Exception as error:
        # In place of xDSL's note, which is the whole module with all its weights.
        error.__notes__ = [trace.describe()]
        raise
    return [np.ascontiguousarray(value).reshape(value.shape) for value in values]


def _main(module: ModuleOp) -> FuncOp:
    for op in module.body.block.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == "main":
            return op
    raise ValueError("the module has no function @main")


def _names(main: FuncOp, attribute: str) -> list[str]:
    names = main.attributes.get(attribute)
    if not isinstance(names, ArrayAttr):
        raise ValueError(f"@main has no {attribute}")
    return [cast(StringAttr, name).data for name in names]


def _check_inputs(main: FuncOp, inputs: Sequence[Array]) -> None:
    arguments = main.body.block.args
    if len(arguments) != len(inputs):
        raise ValueError(f"@main takes {len(arguments)} inputs, not {len(inputs)}")
    for index, (argument, value) in enumerate(zip(arguments, inputs, strict=True)):
        dtype, shape = value_dtype(argument), shape_of(argument)
        if value.dtype != dtype or value.shape != shape:
            raise ValueError(
                f"input {index} is {value.dtype}{list(value.shape)}, not {dtype}{list(shape)}"
            )
