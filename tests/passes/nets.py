"""Small graphs built in code, and the interpreter as judge of passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, element_type_of, si8, tensor_type, ui8
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.passes import load_pass
from xdsl.context import Context
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue

__all__ = ["Net", "codes", "operations", "outputs", "run_passes", "si8", "ui8"]


class Net:
    """@main under construction: calling the net adds an op and gives its result."""

    def __init__(self, *inputs: tuple[Sequence[int], Any]):
        self.block = Block(arg_types=[tensor_type(shape, dtype) for shape, dtype in inputs])
        self.inputs = self.block.args

    def __call__(self, op: Operation) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]

    def constant(self, array: Array) -> SSAValue:
        return self(graph.ConstantOp(np.asarray(array)))

    def dequantize(self, q: SSAValue, scale: Any, zero_point: Any = 0, axis: int = 1) -> SSAValue:
        return self(graph.DequantizeOp(q, scale, zero_point, axis))

    def quantize(
        self, x: SSAValue, scale: Any, zero_point: Any = 0, dtype: Any = np.uint8
    ) -> SSAValue:
        return self(graph.QuantizeOp(x, scale, zero_point, element_type_of(dtype)))

    def requantized(
        self, x: SSAValue, scale: Any, zero_point: Any = 0, dtype: Any = np.uint8
    ) -> SSAValue:
        """Q → DQ, as a quantized model has it on every activation."""
        return self.dequantize(self.quantize(x, scale, zero_point, dtype), scale, zero_point)

    def weights(self, array: Array, scale: Any, zero_point: Any = 0, axis: int = 0) -> SSAValue:
        return self.dequantize(self.constant(array), scale, zero_point, axis)

    def module(self, *results: SSAValue) -> ModuleOp:
        self.block.add_op(ReturnOp(*results))
        types = FunctionType.from_lists(
            [argument.type for argument in self.inputs], [result.type for result in results]
        )
        module = ModuleOp([FuncOp("main", types, Region(self.block))])
        module.verify()
        return module


def run_passes(module: ModuleOp, *names: str) -> ModuleOp:
    """A copy of `module` after the passes, verified."""
    copy = module.clone()
    for name in names:
        load_pass(name)().apply(Context(), copy)
        copy.verify()
    return copy


def outputs(module: ModuleOp, *inputs: Array) -> list[Array]:
    return run_graph(module, list(inputs))


def operations(module: ModuleOp) -> list[str]:
    """Names of the graph ops but constants, in order."""
    return [
        op.name.removeprefix("graph.")
        for op in module.walk()
        if op.name.startswith("graph.") and not isinstance(op, graph.ConstantOp)
    ]


def codes(generator: np.random.Generator, shape: Sequence[int], dtype: Any = np.uint8) -> Array:
    """Random codes with both ends of the type among them."""
    info = np.iinfo(dtype)
    array = generator.integers(info.min, info.max + 1, size=tuple(shape)).astype(dtype)
    flat = array.reshape(-1)
    flat[:1], flat[-1:] = info.min, info.max
    return array
