"""Pools over one or two spatial axes; global pools are pools with a window as large as the input.

AveragePool with ceil_mode and count_include_pad divides by the window clipped to the *declared*
padding:  ⇒ pad (zeros, declared pads) → avg_pool that does not count what ceil_mode adds
AveragePool with dilations ⇒ depthwise convolution with ones, divided by the number of taps.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.tensors import is_code, shape_of
from .context import Converter, Node, NodeError
from .windows import Window, ceiled, in_two_dimensions, read_window


def _as_image(node: Node, x: SSAValue) -> SSAValue:
    shape = shape_of(x)
    if len(shape) not in (3, 4):
        raise NodeError(
            f"input {shape} has rank {len(shape)}; only 1-D and 2-D pools are supported"
        )
    return node.reshape(x, (*shape[:2], 1, shape[2])) if len(shape) == 3 else x


def _restored(node: Node, y: SSAValue, x: SSAValue) -> SSAValue:
    n, c, _, columns = shape_of(y)
    return node.reshape(y, (n, c, columns)) if len(shape_of(x)) == 3 else y


def _window(node: Node, x: SSAValue) -> Window:
    spatial = shape_of(x)[2:]
    kernel: tuple[int, ...] = tuple(node.attribute("kernel_shape", []))
    window = read_window(node, kernel, spatial)
    is_explicit = node.attribute("auto_pad", "NOTSET") in ("NOTSET", "")
    if node.attribute("ceil_mode", 0) and is_explicit:
        window = ceiled(window, spatial)
    return in_two_dimensions(window)


def _convert_max_pool(node: Node) -> SSAValue:
    x = node.tensor(0)
    if not is_code(x):
        x = node.real(0)
    image, window = _as_image(node, x), _window(node, x)
    y = node.emit(
        graph.MaxPoolOp(
            image,
            window.kernel,
            strides=window.strides,
            pads=window.pads,
            dilations=window.dilations,
        )
    )
    return _restored(node, y, x)


def _convert_average_pool(node: Node) -> SSAValue:
    x = node.real(0)
    image, window = _as_image(node, x), _window(node, x)
    counts_padding = bool(node.attribute("count_include_pad", 0))
    if any(d != 1 for d in window.dilations):
        return _restored(node, _dilated_mean(node, image, window, counts_padding), x)
    if counts_padding and node.attribute("ceil_mode", 0):
        image, window = _with_explicit_padding(node, image, window)
        counts_padding = False
    y = node.emit(
        graph.AvgPoolOp(
            image,
            window.kernel,
            strides=window.strides,
            pads=window.pads,
            count_include_pad=counts_padding,
        )
    )
    return _restored(node, y, x)


def _with_explicit_padding(node: Node, image: SSAValue, window: Window) -> tuple[SSAValue, Window]:
    pads = tuple(node.attribute("pads", [0, 0, 0, 0]))
    declared = (0, *pads[len(pads) // 2 :])[-2:]
    inside = tuple(min(d, a) for d, a in zip(declared, window.after, strict=True))
    rest = tuple(a - i for a, i in zip(window.after, inside, strict=True))
    if any(window.before) or any(inside):
        image = node.emit(graph.PadOp(image, (0, 0, *window.before), (0, 0, *inside), 0.0))
    return image, replace(window, before=(0, 0), after=rest)


def _dilated_mean(node: Node, image: SSAValue, window: Window, counts_padding: bool) -> SSAValue:
    if (any(window.pads) and not counts_padding) or node.attribute("ceil_mode", 0):
        raise NodeError(
            "dilations together with ceil_mode or uncounted padding are not supported; "
            "pad the input explicitly"
        )
    channels = shape_of(image)[1]
    taps = node.constant(np.ones((channels, 1, *window.kernel), np.float32))
    total = node.emit(
        graph.Conv2dOp(
            image,
            taps,
            strides=window.strides,
            pads=window.pads,
            dilations=window.dilations,
            groups=channels,
        )
    )
    return node.emit(graph.DivOp(total, node.scalar(float(np.prod(window.kernel)))))


def _convert_global_average_pool(node: Node) -> SSAValue:
    x = node.real(0)
    image = _as_image(node, x)
    y = node.emit(graph.AvgPoolOp(image, shape_of(image)[2:]))
    return _restored(node, y, x)


def _convert_global_max_pool(node: Node) -> SSAValue:
    x = node.real(0)
    image = _as_image(node, x)
    y = node.emit(graph.MaxPoolOp(image, shape_of(image)[2:]))
    return _restored(node, y, x)


CONVERTERS: dict[str, Converter] = {
    "MaxPool": _convert_max_pool,
    "AveragePool": _convert_average_pool,
    "GlobalAveragePool": _convert_global_average_pool,
    "GlobalMaxPool": _convert_global_max_pool,
}
