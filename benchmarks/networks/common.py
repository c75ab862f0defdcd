"""What networks of several families share."""

from __future__ import annotations

from collections.abc import Callable

from ..builder import NetworkBuilder, Tensor

# Appends an activation function to the tensor, under the name.
Activation = Callable[[NetworkBuilder, Tensor, str], Tensor]


def conv_act(
    net: NetworkBuilder,
    x: Tensor,
    name: str,
    channels: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Activation = NetworkBuilder.relu,
) -> Tensor:
    """Convolution `name`.0, normalization `name`.1, activation `name`.2."""
    y = net.conv_bn(
        x, f"{name}.0", channels, kernel, stride=stride, groups=groups, bn_name=f"{name}.1"
    )
    return activation(net, y, f"{name}.2")


def squeeze_excite(
    net: NetworkBuilder, x: Tensor, name: str, squeezed: int, inner: Activation, gate: Activation
) -> Tensor:
    """Scale each channel by a gate computed from the means of all channels."""
    y = net.conv(net.global_average_pool(x, f"{name}.avgpool"), f"{name}.fc1", squeezed)
    y = net.conv(inner(net, y, f"{name}.activation"), f"{name}.fc2", x.channels)
    return net.multiply(gate(net, y, f"{name}.scale"), x, f"{name}.mul")


def divisible(channels: float) -> int:
    """The nearest multiple of 8, but not below 90 %: how MobileNets round widths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def classifier(net: NetworkBuilder, x: Tensor, name: str, classes: int) -> Tensor:
    x = net.global_average_pool(x, "avgpool")
    return net.linear(net.flatten(x, "flatten"), name, classes)
