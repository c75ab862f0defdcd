"""DenseNet as in torchvision: every layer sees the concatenation of all before it in its block.

The normalization between that concatenation and a convolution stays: ReLU follows it."""

from __future__ import annotations

from ..builder import NetworkBuilder, Tensor
from .common import classifier

DENSENET121_BLOCKS = (6, 12, 24, 16)
BOTTLENECK = 4  # channels of the 1×1 convolution, in growths


def densenet121(net: NetworkBuilder) -> Tensor:
    x = net.conv_bn(net.input, "features.conv0", 64, 7, stride=2, bn_name="features.norm0")
    x = net.max_pool(net.relu(x, "features.relu0"), "features.pool0", 3, 2, 1)
    for block, layers in enumerate(DENSENET121_BLOCKS, start=1):
        x = _dense_block(net, x, f"features.denseblock{block}", layers, growth=32)
        if block < len(DENSENET121_BLOCKS):
            x = _transition(net, x, f"features.transition{block}")
    x = net.relu(net.normalize(x, "features.norm5"), "features.relu5")
    return classifier(net, x, "classifier", 1000)


def mini_dense(net: NetworkBuilder) -> Tensor:
    x = net.relu(net.conv_bn(net.input, "conv0", 8, 3, stride=2), "relu0")
    x = _dense_block(net, x, "denseblock", 3, growth=6)
    x = _transition(net, x, "transition")
    x = net.relu(net.normalize(x, "norm5"), "relu5")
    return classifier(net, x, "classifier", 10)


def _dense_block(net: NetworkBuilder, x: Tensor, name: str, layers: int, growth: int) -> Tensor:
    features = [x]
    for index in range(1, layers + 1):
        layer = f"{name}.denselayer{index}"
        y = net.concat(features, f"{layer}.concat") if index > 1 else x
        y = net.relu(net.normalize(y, f"{layer}.norm1"), f"{layer}.relu1")
        y = net.conv_bn(y, f"{layer}.conv1", BOTTLENECK * growth, bn_name=f"{layer}.norm2")
        y = net.relu(y, f"{layer}.relu2")
        features.append(net.conv(y, f"{layer}.conv2", growth, 3, bias=False))
    return net.concat(features, f"{name}.concat")


def _transition(net: NetworkBuilder, x: Tensor, name: str) -> Tensor:
    y = net.relu(net.normalize(x, f"{name}.norm"), f"{name}.relu")
    y = net.conv(y, f"{name}.conv", x.channels // 2, bias=False)
    return net.average_pool(y, f"{name}.pool", 2, 2)
