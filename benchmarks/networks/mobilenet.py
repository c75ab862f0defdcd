"""MobileNetV2 and V3 as in torchvision."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import NetworkBuilder, Tensor
from .common import Activation, classifier, conv_act, divisible, squeeze_excite

RELU6 = NetworkBuilder.relu6

# (expansion, channels, repetitions, stride of the first) of each stage of MobileNetV2
MOBILENET_V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
MINI_MOBILENET_STAGES = ((1, 8, 1, 1), (3, 12, 2, 2), (3, 16, 1, 1))


@dataclass(frozen=True)
class Block:
    """An inverted residual block of MobileNetV3."""

    kernel: int
    hidden: int
    channels: int
    gated: bool
    hard_swish: bool
    stride: int


MOBILENET_V3_LARGE = (
    Block(3, 16, 16, False, False, 1),
    Block(3, 64, 24, False, False, 2),
    Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2),
    Block(5, 120, 40, True, False, 1),
    Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2),
    Block(3, 200, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 480, 112, True, True, 1),
    Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2),
    Block(5, 960, 160, True, True, 1),
    Block(5, 960, 160, True, True, 1),
)
MINI_HARD_SWISH = (Block(3, 8, 8, True, False, 1), Block(5, 20, 8, True, True, 1))


def mobilenet_v2(net: NetworkBuilder) -> Tensor:
    x = conv_act(net, net.input, "features.0", 32, 3, stride=2, activation=RELU6)
    x = _inverted_residuals(net, x, MOBILENET_V2_STAGES)
    x = conv_act(net, x, "features.18", 1280, activation=RELU6)
    return classifier(net, x, "classifier.1", 1000)


def mini_mobilenet(net: NetworkBuilder) -> Tensor:
    x = conv_act(net, net.input, "features.0", 8, 3, stride=2, activation=RELU6)
    x = _inverted_residuals(net, x, MINI_MOBILENET_STAGES)
    return classifier(net, x, "classifier.1", 10)


def _inverted_residuals(
    net: NetworkBuilder, x: Tensor, stages: tuple[tuple[int, int, int, int], ...]
) -> Tensor:
    index = 1
    for expansion, channels, repetitions, first_stride in stages:
        for repetition in range(repetitions):
            stride = first_stride if repetition == 0 else 1
            x = _inverted_residual(net, x, f"features.{index}", expansion, channels, stride)
            index += 1
    return x


def _inverted_residual(
    net: NetworkBuilder, x: Tensor, name: str, expansion: int, channels: int, stride: int
) -> Tensor:
    """1×1 expand (absent when expansion is 1), 3×3 depthwise, linear 1×1 project, shortcut."""
    hidden = expansion * x.channels
    act = RELU6
    y = x if expansion == 1 else conv_act(net, x, f"{name}.expand", hidden, activation=act)
    y = conv_act(
        net, y, f"{name}.depthwise", hidden, 3, stride=stride, groups=hidden, activation=act
    )
    y = net.conv_bn(y, f"{name}.project.0", channels, bn_name=f"{name}.project.1")
    if stride == 1 and x.channels == channels:
        return net.add(x, y, f"{name}.add")
    return y


def mobilenet_v3_large(net: NetworkBuilder) -> Tensor:
    x = _v3_features(net, 16, MOBILENET_V3_LARGE, 960)
    x = net.flatten(net.global_average_pool(x, "avgpool"), "flatten")
    x = net.hard_swish(net.linear(x, "classifier.0", 1280), "classifier.1")
    return net.linear(x, "classifier.3", 1000)


def mini_hard_swish(net: NetworkBuilder) -> Tensor:
    x = _v3_features(net, 8, MINI_HARD_SWISH, 24)
    return classifier(net, x, "classifier", 10)


def _v3_features(net: NetworkBuilder, stem: int, blocks: tuple[Block, ...], last: int) -> Tensor:
    swish = NetworkBuilder.hard_swish
    x = conv_act(net, net.input, "features.0", stem, 3, stride=2, activation=swish)
    for index, block in enumerate(blocks, start=1):
        x = _v3_block(net, x, f"features.{index}", block)
    return conv_act(net, x, f"features.{len(blocks) + 1}", last, activation=swish)


def _v3_block(net: NetworkBuilder, x: Tensor, name: str, block: Block) -> Tensor:
    """1×1 expand (absent where nothing expands), depthwise, gate, linear 1×1 project, shortcut."""
    act: Activation = NetworkBuilder.hard_swish if block.hard_swish else NetworkBuilder.relu
    hidden, stride = block.hidden, block.stride
    y = x if hidden == x.channels else conv_act(net, x, f"{name}.expand", hidden, activation=act)
    y = conv_act(
        net, y, f"{name}.depthwise", hidden, block.kernel, stride=stride, groups=hidden,
        activation=act,
    )  # fmt: skip
    if block.gated:
        squeezed = divisible(hidden / 4)
        inner, gate = NetworkBuilder.relu, NetworkBuilder.hard_sigmoid
        y = squeeze_excite(net, y, f"{name}.se", squeezed, inner, gate)
    y = net.conv_bn(y, f"{name}.project.0", block.channels, bn_name=f"{name}.project.1")
    if stride == 1 and x.channels == block.channels:
        return net.add(y, x, f"{name}.add")
    return y
