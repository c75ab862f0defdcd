"""EfficientNet as in torchvision."""

from __future__ import annotations

from ..builder import NetworkBuilder, Tensor
from .common import classifier, conv_act, squeeze_excite

SWISH = NetworkBuilder.swish

# (expansion, kernel, stride of the first, channels, repetitions) of each stage
EFFICIENTNET_B0_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def efficientnet_b0(net: NetworkBuilder) -> Tensor:
    x = conv_act(net, net.input, "features.0", 32, 3, stride=2, activation=SWISH)
    for index, stage in enumerate(EFFICIENTNET_B0_STAGES, start=1):
        expansion, kernel, first_stride, channels, repetitions = stage
        for repetition in range(repetitions):
            stride = first_stride if repetition == 0 else 1
            name = f"features.{index}.{repetition}"
            x = _block(net, x, name, expansion, kernel, stride, channels)
    x = conv_act(net, x, "features.8", 1280, activation=SWISH)
    return classifier(net, x, "classifier.1", 1000)


def mini_swish_se(net: NetworkBuilder) -> Tensor:
    """Swish activations and a squeeze-and-excite gate, as in EfficientNet."""
    x = net.swish(net.conv_bn(net.input, "stem", 8, 3, stride=2), "stem.swish")
    x = net.swish(net.conv_bn(x, "depthwise", 8, 5, groups=8), "depthwise.swish")
    gate = net.global_average_pool(x, "se.squeeze")
    gate = net.swish(net.conv(gate, "se.reduce", 4), "se.swish")
    gate = net.sigmoid(net.conv(gate, "se.expand", 8), "se.gate")
    x = net.conv_bn(net.multiply(x, gate, "se.scale"), "project", 16)
    return classifier(net, x, "fc", 10)


def _block(
    net: NetworkBuilder,
    x: Tensor,
    name: str,
    expansion: int,
    kernel: int,
    stride: int,
    channels: int,
) -> Tensor:
    """1×1 expand (absent when expansion is 1), depthwise, gate, linear 1×1 project, shortcut."""
    hidden = expansion * x.channels
    y = x if expansion == 1 else conv_act(net, x, f"{name}.expand", hidden, activation=SWISH)
    y = conv_act(
        net, y, f"{name}.depthwise", hidden, kernel, stride=stride, groups=hidden,
        activation=SWISH,
    )  # fmt: skip
    y = squeeze_excite(net, y, f"{name}.se", x.channels // 4, SWISH, NetworkBuilder.sigmoid)
    y = net.conv_bn(y, f"{name}.project.0", channels, bn_name=f"{name}.project.1")
    if stride == 1 and x.channels == channels:
        return net.add(y, x, f"{name}.add")
    return y
