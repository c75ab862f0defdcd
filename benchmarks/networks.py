"""The zoo's topologies: torchvision's ResNet and MobileNetV2, and networks of a few thousand
parameters that show the same structures to a test."""

from __future__ import annotations

from .builder import NetworkBuilder, Tensor

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

# The last normalization of a residual branch is small, as training leaves it: sums stay bounded.
BRANCH_GAIN = 0.4


def resnet50(net: NetworkBuilder) -> Tensor:
    return _imagenet_resnet(net, (3, 4, 6, 3), bottleneck=True)


def resnet18(net: NetworkBuilder) -> Tensor:
    return _imagenet_resnet(net, (2, 2, 2, 2), bottleneck=False)


def mobilenet_v2(net: NetworkBuilder) -> Tensor:
    x = _conv_relu6(net, net.input, "features.0", 32, kernel=3, stride=2)
    x = _inverted_residuals(net, x, MOBILENET_V2_STAGES)
    x = _conv_relu6(net, x, "features.18", 1280)
    return _classifier(net, x, "classifier.1", 1000)


def mini_resnet(net: NetworkBuilder) -> Tensor:
    x = net.relu(net.conv_bn(net.input, "conv1", 8, 3, stride=2), "relu")
    x = net.max_pool(x, "maxpool", 3, 2, 1)
    x = _bottleneck(net, x, "layer1.0", 4, 1)
    x = _basic_block(net, x, "layer2.0", 20, 2)
    return _classifier(net, x, "fc", 10)


def mini_mobilenet(net: NetworkBuilder) -> Tensor:
    x = _conv_relu6(net, net.input, "features.0", 8, kernel=3, stride=2)
    x = _inverted_residuals(net, x, MINI_MOBILENET_STAGES)
    return _classifier(net, x, "classifier.1", 10)


def mini_swish_se(net: NetworkBuilder) -> Tensor:
    """Swish activations and a squeeze-and-excite gate, as in EfficientNet."""
    x = net.swish(net.conv_bn(net.input, "stem", 8, 3, stride=2), "stem.swish")
    x = net.swish(net.conv_bn(x, "depthwise", 8, 5, groups=8), "depthwise.swish")
    gate = net.global_average_pool(x, "se.squeeze")
    gate = net.swish(net.conv(gate, "se.reduce", 4), "se.swish")
    gate = net.sigmoid(net.conv(gate, "se.expand", 8), "se.gate")
    x = net.conv_bn(net.multiply(x, gate, "se.scale"), "project", 16)
    return _classifier(net, x, "fc", 10)


def mini_concat(net: NetworkBuilder) -> Tensor:
    """Parallel branches with different kernels and ranges, joined by a concatenation."""
    x = net.relu(net.conv_bn(net.input, "stem", 8, 3), "stem.relu")
    x = net.average_pool(x, "stem.pool", 2, 2)
    wide = net.relu(net.conv_bn(x, "wide", 12, 5, gain=2.0), "wide.relu")
    point = net.relu(net.conv_bn(x, "point", 7), "point.relu")
    pooled = net.max_pool(x, "pooled", 3, 1, 1)
    x = net.concat([wide, point, pooled], "concat")
    x = net.relu(net.conv_bn(x, "grouped", 18, 3, groups=3), "grouped.relu")
    return _classifier(net, x, "fc", 10)


def _imagenet_resnet(net: NetworkBuilder, blocks: tuple[int, ...], *, bottleneck: bool) -> Tensor:
    x = net.conv_bn(net.input, "conv1", 64, 7, stride=2, bn_name="bn1")
    x = net.max_pool(net.relu(x, "relu"), "maxpool", 3, 2, 1)
    block = _bottleneck if bottleneck else _basic_block
    for stage, repetitions in enumerate(blocks):
        for index in range(repetitions):
            stride = 2 if stage > 0 and index == 0 else 1
            x = block(net, x, f"layer{stage + 1}.{index}", 64 << stage, stride)
    return _classifier(net, x, "fc", 1000)


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
    y = x if expansion == 1 else _conv_relu6(net, x, f"{name}.expand", hidden)
    y = _conv_relu6(net, y, f"{name}.depthwise", hidden, kernel=3, stride=stride, groups=hidden)
    y = net.conv_bn(y, f"{name}.project.0", channels, bn_name=f"{name}.project.1")
    if stride == 1 and x.channels == channels:
        return net.add(x, y, f"{name}.add")
    return y


def _conv_relu6(
    net: NetworkBuilder,
    x: Tensor,
    name: str,
    channels: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
) -> Tensor:
    y = net.conv_bn(
        x, f"{name}.0", channels, kernel, stride=stride, groups=groups, bn_name=f"{name}.1"
    )
    return net.relu6(y, f"{name}.2")


def _classifier(net: NetworkBuilder, x: Tensor, name: str, classes: int) -> Tensor:
    x = net.global_average_pool(x, "avgpool")
    return net.linear(net.flatten(x, "flatten"), name, classes)
