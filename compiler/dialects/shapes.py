"""Shape functions of the graph dialect, shared by op constructors, verifiers and frontends."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

Shape = tuple[int, ...]


def channel_axis(layout: str) -> int:
    return 1 if layout == "nchw" else 3


def spatial_axes(layout: str) -> tuple[int, int]:
    return (2, 3) if layout == "nchw" else (1, 2)


def window_extent(
    size: int, kernel: int, stride: int, dilation: int, before: int, after: int
) -> int:
    """Number of window positions along one axis (floor mode); ≤ 0 when the window does not fit."""
    return (size + before + after - (dilation * (kernel - 1) + 1)) // stride + 1


def window_shape(
    x: Shape,
    channels: int,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    layout: str,
) -> Shape:
    """Result shape of a convolution or pool over rank-4 `x`; pads = (top, left, bottom, right)."""
    h, w = spatial_axes(layout)
    rows = window_extent(x[h], kernel[0], strides[0], dilations[0], pads[0], pads[2])
    cols = window_extent(x[w], kernel[1], strides[1], dilations[1], pads[1], pads[3])
    if rows < 1 or cols < 1:
        raise ValueError(f"window {tuple(kernel)} does not fit into the padded input {x}")
    return (x[0], channels, rows, cols) if layout == "nchw" else (x[0], rows, cols, channels)


def broadcast(*shapes: Shape) -> Shape:
    """numpy broadcasting; ValueError when the shapes do not agree."""
    rank = max(len(s) for s in shapes)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    result = []
    for dims in zip(*padded, strict=True):
        wide = {d for d in dims if d != 1}
        if len(wide) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def matmul(a: Shape, b: Shape) -> Shape:
    """numpy matmul for operands of rank ≥ 2."""
    if a[-1] != b[-2]:
        raise ValueError(f"inner dimensions of {a} and {b} differ")
    return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])


def concat(shapes: Sequence[Shape], axis: int) -> Shape:
    first = shapes[0]
    for other in shapes[1:]:
        if len(other) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(first, other, strict=True)) if i != axis
        ):
            raise ValueError(f"shapes {first} and {other} differ outside axis {axis}")
    return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


def reduce(x: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    kept = [1 if i in axes else d for i, d in enumerate(x)]
    return tuple(d for i, d in enumerate(kept) if keepdims or i not in axes)


def slice_(x: Shape, starts: Sequence[int], limits: Sequence[int], steps: Sequence[int]) -> Shape:
    """Positive steps; `starts` and `limits` already clamped into [0, dim]."""
    return tuple(
        max(0, -(-(hi - lo) // st)) for lo, hi, st in zip(starts, limits, steps, strict=True)
    )


def pad(x: Shape, low: Sequence[int], high: Sequence[int]) -> Shape:
    return tuple(d + lo + hi for d, lo, hi in zip(x, low, high, strict=True))


def reshape(x: Shape, target: Shape) -> Shape:
    if prod(x) != prod(target):
        raise ValueError(f"cannot reshape {x} into {target}")
    return tuple(target)


def gather(x: Shape, indices: Shape, axis: int) -> Shape:
    return (*x[:axis], *indices, *x[axis + 1 :])


def resize(x: Shape, factors: Sequence[int], layout: str) -> Shape:
    shape = list(x)
    for axis, factor in zip(spatial_axes(layout), factors, strict=True):
        shape[axis] *= factor
    return tuple(shape)
