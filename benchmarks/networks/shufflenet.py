"""ShuffleNetV2 as in torchvision: half of the channels pass by, then all are shuffled."""

from __future__ import annotations

from ..builder import NetworkBuilder, Tensor
from .common import conv_act

# (channels, repetitions) of each stage
SHUFFLENET_V2_X1_0_STAGES = ((116, 4), (232, 8), (464, 4))
MINI_STAGES = ((16, 2),)


def shufflenet_v2_x1_0(net: NetworkBuilder) -> Tensor:
    x = conv_act(net, net.input, "conv1", 24, 3, stride=2)
    x = net.max_pool(x, "maxpool", 3, 2, 1)
    x = conv_act(net, _stages(net, x, SHUFFLENET_V2_X1_0_STAGES), "conv5", 1024)
    return net.linear(net.spatial_mean(x, "mean"), "fc", 1000)


def mini_shuffle(net: NetworkBuilder) -> Tensor:
    x = conv_act(net, net.input, "conv1", 8, 3, stride=2)
    x = conv_act(net, _stages(net, x, MINI_STAGES), "conv5", 24)
    return net.linear(net.spatial_mean(x, "mean"), "fc", 10)


def _stages(net: NetworkBuilder, x: Tensor, stages: tuple[tuple[int, int], ...]) -> Tensor:
    for stage, (channels, repetitions) in enumerate(stages, start=2):
        x = _reducing_unit(net, x, f"stage{stage}.0", channels // 2)
        for index in range(1, repetitions):
            x = _unit(net, x, f"stage{stage}.{index}")
    return x


def _reducing_unit(net: NetworkBuilder, x: Tensor, name: str, half: int) -> Tensor:
    """Both branches see all channels and halve the image."""
    y = _depthwise(net, x, f"{name}.branch1.0", stride=2)
    y = conv_act(net, y, f"{name}.branch1.1", half)
    return _shuffled(net, y, _branch(net, x, name, half, stride=2), name)


def _unit(net: NetworkBuilder, x: Tensor, name: str) -> Tensor:
    passing, y = net.split(x, f"{name}.chunk", 2)
    return _shuffled(net, passing, _branch(net, y, name, y.channels, stride=1), name)


def _branch(net: NetworkBuilder, x: Tensor, name: str, channels: int, *, stride: int) -> Tensor:
    y = conv_act(net, x, f"{name}.branch2.0", channels)
    y = _depthwise(net, y, f"{name}.branch2.1", stride=stride)
    return conv_act(net, y, f"{name}.branch2.2", channels)


def _depthwise(net: NetworkBuilder, x: Tensor, name: str, *, stride: int) -> Tensor:
    return net.conv_bn(x, name, x.channels, 3, stride=stride, groups=x.channels)


def _shuffled(net: NetworkBuilder, first: Tensor, second: Tensor, name: str) -> Tensor:
    """Concatenate, then take channels of both in turn."""
    x = net.concat([first, second], f"{name}.concat")
    channels, height, width = x.value.shape[1:]
    y = net.reshape(x, f"{name}.shuffle.0", (2, channels // 2, height, width))
    y = net.transpose(y, f"{name}.shuffle.1", (0, 2, 1, 3, 4))
    return net.reshape(y, f"{name}.shuffle.2", (channels, height, width))
