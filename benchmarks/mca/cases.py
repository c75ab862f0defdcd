"""The layers whose loops are proved: those that the zoo's networks are made of, with weights of the
deviations that decide which chains a layer gets (docs/performance.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, tensor_type, ui8
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue


class Net:
    """@main under construction: calling it adds an op."""

    def __init__(self) -> None:
        self.block = Block()

    def __call__(self, op: Operation) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]

    def input(self, shape: tuple[int, ...], dtype: Any) -> SSAValue:
        return self.block.insert_arg(tensor_type(shape, dtype), len(self.block.args))

    def constant(self, array: Array) -> SSAValue:
        return self(graph.ConstantOp(array))

    def module(self, result: SSAValue) -> ModuleOp:
        self.block.add_op(ReturnOp(result))
        types = [value.type for value in self.block.args]
        func = FuncOp("main", FunctionType.from_lists(types, [result.type]), Region(self.block))
        names = [StringAttr(f"input{i}") for i in range(len(types))]
        func.attributes["model_name"] = StringAttr("case")
        func.attributes["layers"] = ArrayAttr([])
        func.attributes["input_names"] = ArrayAttr(names)
        func.attributes["output_names"] = ArrayAttr([StringAttr("output")])
        return ModuleOp([func])


Build: TypeAlias = Callable[[], ModuleOp]


@dataclass(frozen=True)
class Case:
    """A layer by its name in the table; `build` makes a module of it."""

    name: str
    build: Build


def gaussian(shape: tuple[int, ...], deviation: float) -> Array:
    """s8 weights; the same for the same shape."""
    values = np.random.default_rng(1).normal(0, deviation, shape)
    return np.clip(np.rint(values), -127, 127).astype(np.int8)


def _requantized(net: Net, sums: SSAValue) -> ModuleOp:
    """To codes, with a multiplier for each channel."""
    *_, channels = shape_of(sums)
    multipliers = np.linspace(1e-4, 2e-4, channels, dtype=np.float32)
    axis = len(shape_of(sums)) - 1
    return net.module(net(graph.RequantizeOp(sums, multipliers, 3, ui8, axis)))


def convolution(
    channels: int, outputs: int, kernel: int, side: int, deviation: float, stride: int = 1
) -> Build:
    def build() -> ModuleOp:
        net = Net()
        x = net.input((1, side, side, channels), np.uint8)
        weight = net.constant(gaussian((outputs, channels, kernel, kernel), deviation))
        pads, strides = (kernel // 2,) * 4, (stride, stride)
        op = graph.QConv2dOp(x, weight, pads=pads, strides=strides, layout="nhwc")
        return _requantized(net, net(op))

    return build


def depthwise(channels: int, kernel: int, side: int, deviation: float, stride: int = 1) -> Build:
    def build() -> ModuleOp:
        net = Net()
        x = net.input((1, side, side, channels), np.uint8)
        weight = gaussian((channels, 1, kernel, kernel), deviation)
        pads, strides = (kernel // 2,) * 4, (stride, stride)
        op = graph.QConv2dOp(
            x, net.constant(weight), pads=pads, strides=strides, groups=channels, layout="nhwc"
        )
        return _requantized(net, net(op))

    return build


def matmul(rows: int, depth: int, columns: int, deviation: float) -> Build:
    def build() -> ModuleOp:
        net = Net()
        x = net.input((1, rows, depth), np.uint8)
        op = graph.QMatMulOp(x, net.constant(gaussian((depth, columns), deviation)))
        return _requantized(net, net(op))

    return build


def product(heads: int, rows: int, depth: int, columns: int, zero_point: int) -> Build:
    """Of two activations; `zero_point`: of the first."""

    def build() -> ModuleOp:
        net = Net()
        a = net.input((1, heads, rows, depth), np.uint8)
        b = net.input((1, heads, depth, columns), np.uint8)
        op = graph.QMatMulOp(a, b, a_zero_point=zero_point, b_zero_point=128)
        return _requantized(net, net(op))

    return build


def float_convolution(
    channels: int, outputs: int, kernel: int, side: int, groups: int = 1
) -> Build:
    def build() -> ModuleOp:
        net = Net()
        x = net.input((1, side, side, channels), np.float32)
        shape = (outputs, channels // groups, kernel, kernel)
        weight = net.constant(np.random.default_rng(1).random(shape, np.float32))
        pads = (kernel // 2,) * 4
        op = graph.Conv2dOp(x, weight, pads=pads, groups=groups, layout="nhwc")
        return net.module(net(op))

    return build


def float_product(heads: int, rows: int, depth: int, columns: int) -> Build:
    def build() -> ModuleOp:
        net = Net()
        a = net.input((1, heads, rows, depth), np.float32)
        b = net.input((1, heads, depth, columns), np.float32)
        return net.module(net(graph.MatMulOp(a, b)))

    return build


CASES = (
    Case("3x3 64 to 64, 56x56", convolution(64, 64, 3, 56, 40)),
    Case("3x3 64 to 64, 56x56, small weights", convolution(64, 64, 3, 56, 10)),
    Case("3x3 256 to 256, 14x14", convolution(256, 256, 3, 14, 40)),
    Case("3x3 256 to 256, 28x28, stride 2", convolution(256, 256, 3, 28, 40, stride=2)),
    Case("7x7 3 to 64, 224x224, stride 2", convolution(3, 64, 7, 224, 40, stride=2)),
    Case("1x1 64 to 256, 56x56", convolution(64, 256, 1, 56, 45)),
    Case("1x1 256 to 64, 56x56, small weights", convolution(256, 64, 1, 56, 20)),
    Case("1x1 2048 to 512, 7x7", convolution(2048, 512, 1, 7, 33)),
    Case("1x1 16 to 96, 112x112", convolution(16, 96, 1, 112, 45)),
    Case("1x1 24 to 144, 56x56", convolution(24, 144, 1, 56, 45)),
    Case("matmul 197x768 to 3072", matmul(197, 768, 3072, 33)),
    Case("matmul 1x2048 to 1000", matmul(1, 2048, 1000, 33)),
    Case("depthwise 3x3, 96, 56x56, small weights", depthwise(96, 3, 56, 12)),
    Case("depthwise 3x3, 96, 56x56, large weights", depthwise(96, 3, 56, 45)),
    Case(
        "depthwise 3x3, 64, 112x112, stride 2, large weights", depthwise(64, 3, 112, 45, stride=2)
    ),
    Case("depthwise 5x5, 64, 14x14, large weights", depthwise(64, 5, 14, 45)),
    Case("products 12 x 128x64 to 128", product(12, 128, 64, 128, 128)),
    Case("products 12 x 128x128 to 64", product(12, 128, 128, 64, 0)),
    Case("products 12 x 197x64 to 197", product(12, 197, 64, 197, 128)),
    Case("fp32 3x3 64 to 64, 56x56", float_convolution(64, 64, 3, 56)),
    Case("fp32 1x1 2048 to 512, 7x7", float_convolution(2048, 512, 1, 7)),
    Case("fp32 depthwise 3x3, 96, 56x56", float_convolution(96, 96, 3, 56, groups=96)),
    Case("fp32 products 12 x 197x64 to 197", float_product(12, 197, 64, 197)),
)
