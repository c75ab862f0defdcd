"""GoogLeNet as in torchvision: parallel branches joined by concatenations."""

from __future__ import annotations

from ..builder import NetworkBuilder, Tensor
from .common import classifier, conv_act

# Channels of the branches: 1×1; 3×3 with its reduction; the other 3×3 (it replaced a 5×5) with its
# reduction; the projection behind the pool.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(net: NetworkBuilder) -> Tensor:
    x = conv_act(net, net.input, "conv1", 64, 7, stride=2)
    x = net.max_pool(x, "maxpool1", 3, 2, 0, ceil=True)
    x = conv_act(net, conv_act(net, x, "conv2", 64), "conv3", 192, 3)
    x = net.max_pool(x, "maxpool2", 3, 2, 0, ceil=True)
    for name, channels in INCEPTIONS.items():
        if name == "4a":
            x = net.max_pool(x, "maxpool3", 3, 2, 0, ceil=True)
        if name == "5a":
            x = net.max_pool(x, "maxpool4", 2, 2, 0, ceil=True)
        x = _inception(net, x, f"inception{name}", channels)
    return classifier(net, x, "fc", 1000)


def mini_concat(net: NetworkBuilder) -> Tensor:
    """Parallel branches with different kernels and ranges, joined by a concatenation."""
    x = net.relu(net.conv_bn(net.input, "stem", 8, 3), "stem.relu")
    x = net.average_pool(x, "stem.pool", 2, 2)
    wide = net.relu(net.conv_bn(x, "wide", 12, 5, gain=2.0), "wide.relu")
    point = net.relu(net.conv_bn(x, "point", 7), "point.relu")
    pooled = net.max_pool(x, "pooled", 3, 1, 1)
    x = net.concat([wide, point, pooled], "concat")
    x = net.relu(net.conv_bn(x, "grouped", 18, 3, groups=3), "grouped.relu")
    return classifier(net, x, "fc", 10)


def _inception(
    net: NetworkBuilder, x: Tensor, name: str, channels: tuple[int, int, int, int, int, int]
) -> Tensor:
    point, reduce2, wide2, reduce3, wide3, project = channels
    branch1 = conv_act(net, x, f"{name}.branch1", point)
    branch2 = conv_act(net, x, f"{name}.branch2.0", reduce2)
    branch2 = conv_act(net, branch2, f"{name}.branch2.1", wide2, 3)
    branch3 = conv_act(net, x, f"{name}.branch3.0", reduce3)
    branch3 = conv_act(net, branch3, f"{name}.branch3.1", wide3, 3)
    pooled = net.max_pool(x, f"{name}.branch4.0", 3, 1, 1, ceil=True)
    branch4 = conv_act(net, pooled, f"{name}.branch4.1", project)
    return net.concat([branch1, branch2, branch3, branch4], f"{name}.concat")
