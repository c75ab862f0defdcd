"""channels-last changes no bit, and leaves transposes only where the model begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import shape_of, ui8
from lpc.compiler.driver import TO_INT8, TO_SPLIT
from lpc.compiler.frontends.onnx import load_onnx
from nets import Net, codes, operations, outputs, run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import BlockArgument, SSAValue

SEEDS = st.integers(0, 2**32 - 1)


class Blocks:
    """Parts of networks, from one u8 [1, C, H, W] image to another."""

    def __init__(self, net: Net, generator: np.random.Generator):
        self.net, self.generator = net, generator

    def rounded(self, sums: SSAValue, per_channel: bool = True) -> SSAValue:
        count = shape_of(sums)[1] if per_channel else 1
        multiplier = self.generator.uniform(1e-3, 1e-2, count).astype(np.float32)
        return self.net(graph.RequantizeOp(sums, multiplier, 100, ui8, 1))

    def real(self, x: SSAValue) -> SSAValue:
        return self.net.dequantize(x, 0.05, 100)

    def convolution(self, x: SSAValue, stride: int = 1) -> SSAValue:
        channels = int(self.generator.integers(2, 9))
        weight = self.net.constant(codes(self.generator, (channels, shape_of(x)[1], 3, 3), np.int8))
        bias = self.net.constant(self.generator.integers(-99, 99, channels).astype(np.int32))
        op = graph.QConv2dOp(
            x, weight, bias, input_zero_point=100, pads=(1, 1, 1, 1), strides=(stride, stride)
        )
        return self.rounded(self.net(op))

    def depthwise(self, x: SSAValue) -> SSAValue:
        channels = shape_of(x)[1]
        weight = self.net.constant(codes(self.generator, (channels, 1, 3, 2), np.int8))
        op = graph.QConv2dOp(x, weight, pads=(1, 0, 1, 1), groups=channels)
        return self.rounded(self.net(op))

    def max_pool(self, x: SSAValue) -> SSAValue:
        return self.net(graph.MaxPoolOp(x, (3, 2), pads=(1, 0, 1, 1)))

    def average(self, x: SSAValue) -> SSAValue:
        pooled = graph.AvgPoolOp(self.real(x), (2, 2), pads=(0, 0, 1, 1))
        return self.net.quantize(self.net(pooled), 0.03, 90)

    def residual(self, x: SSAValue) -> SSAValue:
        weight = codes(self.generator, (shape_of(x)[1],) * 2 + (1, 1), np.int8)
        branch = self.rounded(self.net(graph.QConv2dOp(x, self.net.constant(weight))))
        total = self.net(graph.AddOp(self.real(x), self.real(branch)))
        return self.net.quantize(self.net(graph.UnaryOp("relu", total)), 0.1, 3)

    def per_channel(self, x: SSAValue) -> SSAValue:
        """A broadcast constant of fewer axes, as exporters write it."""
        factor = self.generator.uniform(0.5, 2, (shape_of(x)[1], 1, 1)).astype(np.float32)
        product = graph.MulOp(self.real(x), self.net.constant(factor))
        return self.net.quantize(self.net(product), 0.07, 50)

    def gate(self, x: SSAValue) -> SSAValue:
        """Squeeze and excite, without the layers in between."""
        mean = self.net(graph.ReduceOp("mean", self.real(x), (2, 3), True))
        scale = self.net(graph.UnaryOp("sigmoid", mean))
        return self.net.quantize(self.net(graph.MulOp(self.real(x), scale)), 0.05, 100)

    def concat(self, x: SSAValue) -> SSAValue:
        axis = int(self.generator.integers(1, 4))
        return self.net(graph.ConcatOp([x, self.depthwise(x), x], axis))

    def part(self, x: SSAValue) -> SSAValue:
        shape = shape_of(x)
        starts, steps = (0, shape[1] // 2, 1, 0), (1, 1, 1, 2)
        return self.net(graph.SliceOp(x, starts, shape, steps))

    def pad(self, x: SSAValue) -> SSAValue:
        return self.net(graph.PadOp(x, (0, 1, 0, 2), (0, 0, 3, 1), 7))

    def enlarge(self, x: SSAValue) -> SSAValue:
        return self.net(graph.ResizeNearestOp(x, (2, 1)))

    # --- ends of networks -------------------------------------------------------------------------

    def image(self, x: SSAValue) -> SSAValue:
        return x

    def classifier(self, x: SSAValue) -> SSAValue:
        n, c, h, w = shape_of(x)
        flat = self.net(graph.ReshapeOp(x, (n, c * h * w)))
        weight = self.net.constant(codes(self.generator, (c * h * w, 5), np.int8))
        return self.net(graph.QMatMulOp(flat, weight, a_zero_point=100))

    def mean(self, x: SSAValue) -> SSAValue:
        return self.net(graph.ReduceOp("mean", self.real(x), (2, 3), False))


KINDS = (
    "convolution", "depthwise", "max_pool", "average", "residual", "per_channel", "gate",
    "concat", "part", "pad", "enlarge",
)  # fmt: skip


def network(seed: int, kinds: list[str], end: str) -> ModuleOp:
    generator = np.random.default_rng(seed)
    net = Net(((1, 3, 8, 7), np.uint8))
    blocks = Blocks(net, generator)
    x = blocks.convolution(net.inputs[0], stride=2)
    for kind in (*kinds, end):
        build: Callable[[SSAValue], SSAValue] = getattr(blocks, kind)
        x = build(x)
    return net.module(x)


def inner_transposes(module: ModuleOp) -> list[graph.TransposeOp]:
    """Transposes that neither read a model input nor make a model output."""
    return [
        op
        for op in module.walk()
        if isinstance(op, graph.TransposeOp)
        and not isinstance(op.input, BlockArgument)
        and not all(isinstance(use.operation, ReturnOp) for use in op.result.uses)
    ]


@settings(max_examples=60)
@given(
    seed=SEEDS,
    kinds=st.lists(st.sampled_from(KINDS), max_size=4),
    end=st.sampled_from(("image", "classifier", "mean")),
)
def test_same_bits_and_transposes_at_the_border(seed: int, kinds: list[str], end: str) -> None:
    module = network(seed, kinds, end)
    after = run_passes(module, "channels-last")
    x = codes(np.random.default_rng(seed), (1, 3, 8, 7))
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(after, x)[0])
    assert not inner_transposes(after)
    assert operations(after).count("transpose") == (2 if end == "image" else 1)


@settings(max_examples=20)
@given(seed=SEEDS, axes=st.sampled_from(((1,), (2,), (3,), (1, 2), (2, 3), (1, 2, 3))))
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
def test_reductions_keep_their_order(
    kind: str, keepdims: bool, seed: int, axes: tuple[int, ...]
) -> None:
    """Sums whose order would change with the layout stay where they are; the others move."""
    generator = np.random.default_rng(seed)
    net = Net(((1, 19, 5, 6), np.float32))
    pooled = net(graph.MaxPoolOp(net.inputs[0], (2, 2)))
    module = net.module(net(graph.ReduceOp(kind, pooled, axes, keepdims)))
    x = generator.normal(0, 100, (1, 19, 5, 6)).astype(np.float32)
    after = run_passes(module, "channels-last")
    assert outputs(module, x)[0].tobytes() == outputs(after, x)[0].tobytes()


def test_a_network_that_is_channels_last_already() -> None:
    """transpose → conv → transpose, as tf2onnx writes it, loses both."""
    net = Net(((1, 8, 7, 3), np.uint8))
    blocks = Blocks(net, np.random.default_rng(0))
    x = blocks.convolution(net(graph.TransposeOp(net.inputs[0], (0, 3, 1, 2))))
    module = net.module(net(graph.TransposeOp(x, (0, 2, 3, 1))))
    after = run_passes(module, "channels-last")
    assert "transpose" not in operations(after)
    x_codes = codes(np.random.default_rng(1), (1, 8, 7, 3))
    np.testing.assert_array_equal(outputs(module, x_codes)[0], outputs(after, x_codes)[0])


@pytest.mark.parametrize(
    "name",
    [
        "onnx/kws_int8_qdq",
        "onnx/ic_int8_qdq",
        "onnx/vww_int8_qdq",
        "onnx/sww_int8_qdq",
        "onnx/kws_fakequant_actqdq",
        "onnx/ic_fp32",
        "digits/digits_cnn_fp32",
        "digits/digits_cnn_fp32_dynamo_raw",
    ],
)
def test_real_networks(models_dir: Path, name: str) -> None:
    """From TensorFlow, channels-last as they are; the digits have one channel."""
    module = load_onnx(models_dir / f"{name}.onnx", warn=lambda _: None)
    after = run_passes(module, *TO_SPLIT, *TO_INT8, "channels-last", "canonicalize")
    assert "transpose" not in operations(after)
