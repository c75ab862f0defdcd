"""ResNet as in torchvision."""

from __future__ import annotations

from ..builder import NetworkBuilder, Tensor
from .common import classifier

# The last normalization of a residual branch is small, as training leaves it: sums stay bounded.
BRANCH_GAIN = 0.4


def resnet50(net: NetworkBuilder) -> Tensor:
    return _imagenet_resnet(net, (3, 4, 6, 3), bottleneck=True)


def resnet18(net: NetworkBuilder) -> Tensor:
    return _imagenet_resnet(net, (2, 2, 2, 2), bottleneck=False)


def mini_resnet(net: NetworkBuilder) -> Tensor:
    x = net.relu(net.conv_bn(net.input, "conv1", 8, 3, stride=2), "relu")
    x = net.max_pool(x, "maxpool", 3, 2, 1)
    x = _bottleneck(net, x, "layer1.0", 4, 1)
    x = _basic_block(net, x, "layer2.0", 20, 2)
    return classifier(net, x, "fc", 10)


def _imagenet_resnet(net: NetworkBuilder, blocks: tuple[int, ...], *, bottleneck: bool) -> Tensor:
    x = net.conv_bn(net.input, "conv1", 64, 7, stride=2, bn_name="bn1")
    x = net.max_pool(net.relu(x, "relu"), "maxpool", 3, 2, 1)
    block = _bottleneck if bottleneck else _basic_block
    for stage, repetitions in enumerate(blocks):
        for index in range(repetitions):
            stride = 2 if stage > 0 and index == 0 else 1
            x = block(net, x, f"layer{stage + 1}.{index}", 64 << stage, stride)
    return classifier(net, x, "fc", 1000)


def _bottleneck(net: NetworkBuilder, x: Tensor, name: str, width: int, stride: int) -> Tensor:
    """1×1 reduce, 3×3 (it carries the stride), 1×1 expand by 4, shortcut."""
    y = net.conv_bn(x, f"{name}.conv1", width, bn_name=f"{name}.bn1")
    y = net.relu(y, f"{name}.relu1")
    y = net.conv_bn(y, f"{name}.conv2", width, 3, stride=stride, bn_name=f"{name}.bn2")
    y = net.relu(y, f"{name}.relu2")
    y = net.conv_bn(y, f"{name}.conv3", 4 * width, gain=BRANCH_GAIN, bn_name=f"{name}.bn3")
    return net.relu(net.add(y, _shortcut(net, x, name, y, stride), f"{name}.add"), f"{name}.relu3")


def _basic_block(net: NetworkBuilder, x: Tensor, name: str, width: int, stride: int) -> Tensor:
    y = net.conv_bn(x, f"{name}.conv1", width, 3, stride=stride, bn_name=f"{name}.bn1")
    y = net.relu(y, f"{name}.relu1")
    y = net.conv_bn(y, f"{name}.conv2", width, 3, gain=BRANCH_GAIN, bn_name=f"{name}.bn2")
    return net.relu(net.add(y, _shortcut(net, x, name, y, stride), f"{name}.add"), f"{name}.relu2")


def _shortcut(net: NetworkBuilder, x: Tensor, name: str, branch: Tensor, stride: int) -> Tensor:
    if stride == 1 and x.channels == branch.channels:
        return x
    layer = f"{name}.downsample"
    return net.conv_bn(x, f"{layer}.0", branch.channels, stride=stride, bn_name=f"{layer}.1")
