"""All passes from split to int8 on whole networks.

All of them are exact but two: `integerize-contractions` and `fuse-requantize` replace the roundings
of float sums (contract 7), and per layer move less than 0.1 % of the codes, by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of
from lpc.compiler.driver import TO_INT8
from nets import Net, codes, operations, outputs, run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

SEEDS = st.integers(0, 2**32 - 1)
INEXACT = {"integerize-contractions", "fuse-requantize"}
CHANNELS, SIDE = 8, 8


class Blocks:
    """Building blocks of quantized networks, from one dequantized [1, 8, h, w] to another."""

    def __init__(self, net: Net, generator: np.random.Generator, dtype: Any):
        self.net, self.generator, self.dtype = net, generator, dtype

    def rounded(self, x: SSAValue, scale: float = 0.05) -> SSAValue:
        info = np.iinfo(self.dtype)
        zero_point = int(self.generator.integers(info.min, info.max + 1))
        return self.net.requantized(x, scale, zero_point, self.dtype)

    def filtered(self, x: SSAValue, kernel: int, groups: int) -> SSAValue:
        scales = self.generator.uniform(2e-4, 2e-3, CHANNELS).astype(np.float32)
        shape = (CHANNELS, CHANNELS // groups, kernel, kernel)
        w = self.net.weights(codes(self.generator, shape, np.int8), scales)
        bias = self.generator.integers(-500, 500, CHANNELS).astype(np.int32)
        b = self.net.weights(bias, np.float32(0.05) * scales)
        pads = (kernel // 2,) * 4
        return self.net(graph.Conv2dOp(x, w, b, pads=pads, groups=groups))

    def activated(self, kind: str, x: SSAValue) -> SSAValue:
        return self.net(graph.UnaryOp(kind, x, 0.0, 6.0))

    def convolution(self, x: SSAValue) -> SSAValue:
        return self.rounded(self.activated("relu", self.filtered(x, 3, 1)))

    def depthwise(self, x: SSAValue) -> SSAValue:
        return self.rounded(self.activated("clip", self.filtered(x, 3, CHANNELS)))

    def residual(self, x: SSAValue) -> SSAValue:
        branch = self.rounded(self.filtered(x, 1, 1), 0.04)
        total = self.net(graph.AddOp(x, branch))
        return self.rounded(self.activated("relu", total))

    def swish(self, x: SSAValue) -> SSAValue:
        y = self.rounded(self.filtered(x, 1, 1))
        gate = self.net.requantized(self.activated("sigmoid", y), 1 / 256, 0, np.uint8)
        return self.rounded(self.net(graph.MulOp(y, gate)))

    def concat(self, x: SSAValue) -> SSAValue:
        left, right = self.filtered(x, 1, 2), self.filtered(x, 3, 2)
        half = tuple(shape_of(x))
        limits = (1, CHANNELS // 2, *half[2:])
        parts = [
            self.net(graph.SliceOp(self.activated("relu", part), (0,) * 4, limits, (1,) * 4))
            for part in (left, right)
        ]
        return self.rounded(self.net(graph.ConcatOp(parts, 1)))

    def pool(self, x: SSAValue) -> SSAValue:
        y = self.net(graph.MaxPoolOp(self.filtered(x, 3, 1), (3, 3), pads=(1, 1, 1, 1)))
        return self.rounded(y)

    def average(self, x: SSAValue) -> SSAValue:
        return self.rounded(self.net(graph.AvgPoolOp(x, (2, 2))), 0.03)

    def classifier(self, x: SSAValue) -> SSAValue:
        mean = self.rounded(self.net(graph.ReduceOp("mean", x, (2, 3), False)), 0.02)
        w = self.net.weights(codes(self.generator, (CHANNELS, 10), np.int8), 0.003, 0, 1)
        return self.net.quantize(self.net(graph.MatMulOp(mean, w)), 0.02, 7, self.dtype)


BLOCKS = (
    "convolution", "depthwise", "residual", "swish", "concat", "pool", "average",
)  # fmt: skip


def network(seed: int, dtype: Any, kinds: list[str]) -> tuple[ModuleOp, Array]:
    generator = np.random.default_rng(seed)
    shape = (1, CHANNELS, SIDE, SIDE)
    net = Net((shape, dtype))
    blocks = Blocks(net, generator, dtype)
    x = net.dequantize(net.inputs[0], 0.05, 3)
    for kind in kinds:
        build: Callable[[SSAValue], SSAValue] = getattr(blocks, kind)
        x = build(x)
    return net.module(blocks.classifier(x)), codes(generator, shape, dtype)


def assert_codes_between_layers(module: ModuleOp) -> None:
    """dequantize feeds, and quantize ends, only elementwise sums: the residuals."""
    for op in module.walk():
        if isinstance(op, graph.DequantizeOp):
            assert all(isinstance(use.operation, graph.AddOp) for use in op.result.uses)
        if isinstance(op, graph.QuantizeOp):
            assert isinstance(op.input.owner, graph.AddOp)


@settings(max_examples=20, deadline=None)
@given(
    seed=SEEDS,
    dtype=st.sampled_from([np.uint8, np.int8]),
    kinds=st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=5),
)
def test_networks_become_integer(seed: int, dtype: Any, kinds: list[str]) -> None:
    module, x = network(seed, dtype, kinds)
    for name in TO_INT8:
        after = run_passes(module, name)
        if name not in INEXACT:
            np.testing.assert_array_equal(outputs(module, x)[0], outputs(after, x)[0], name)
        module = after
    assert_codes_between_layers(module)
    assert not {"conv2d", "matmul", "avg_pool", "unary"} & set(operations(module))
    assert operations(module).count("recode") == (2 if dtype == np.int8 else 0)


@pytest.mark.parametrize("kind", ["convolution", "depthwise", "residual", "concat", "pool"])
def test_a_layer_moves_few_codes_by_one(kind: str) -> None:
    different, total = 0, 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        shape = (1, CHANNELS, 16, 16)
        net = Net((shape, np.uint8))
        blocks = Blocks(net, generator, np.uint8)
        real = getattr(blocks, kind)(net.dequantize(net.inputs[0], 0.05, 100))
        module = net.module(real.owner.operands[0])  # the codes before the last dequantize
        x = codes(generator, shape)
        before = outputs(module, x)[0].astype(int)
        after = outputs(run_passes(module, *TO_INT8), x)[0].astype(int)
        assert np.abs(before - after).max() <= 1
        different += int(np.count_nonzero(before != after))
        total += before.size
    assert different <= 1e-3 * total


def test_the_order_of_operations_of_a_small_network() -> None:
    module, _ = network(0, np.int8, ["convolution", "residual", "swish", "concat"])
    assert operations(run_passes(module, *TO_INT8)) == [
        "recode",
        *("qconv2d", "requantize"),
        *("qconv2d", "requantize", "dequantize", "dequantize", "add", "quantize"),
        *("qconv2d", "requantize", "lut"),
        *("qconv2d", "qconv2d", "requantize", "slice", "requantize", "slice", "concat"),
        *("qsum_pool", "requantize", "reshape"),
        *("qmatmul", "requantize", "recode"),
    ]
