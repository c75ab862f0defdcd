"""Windows of ONNX convolutions and pools: attributes → strides, dilations and explicit pads.

A 1-D window becomes a 2-D window of height 1. `auto_pad` and `ceil_mode` are resolved here:
    SAME:       out = ceil(in / stride); the odd pad element goes after (UPPER) or before (LOWER)
    ceil_mode:  out = ceil((in + pads − extent) / stride) + 1,
                less one if the last window would start in the end padding
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .context import Node, NodeError


@dataclass(frozen=True)
class Window:
    """`before` and `after` pad each spatial axis; all fields have the same length."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def pads(self) -> tuple[int, ...]:
        """(top, left, bottom, right)"""
        return (*self.before, *self.after)

    def extents(self) -> tuple[int, ...]:
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def read_window(node: Node, kernel: Sequence[int], spatial: Sequence[int]) -> Window:
    """The window over an input with these one or two `spatial` sizes; `auto_pad` resolved."""
    rank = len(spatial)
    if rank not in (1, 2):
        raise NodeError(f"{rank} spatial axes are not supported; only 1-D and 2-D windows are")
    if len(kernel) != rank or min(kernel) < 1:
        raise NodeError(f"kernel {list(kernel)} for {rank} spatial axes; export the model again")
    pads = _ints(node, "pads", [0] * (2 * rank), 2 * rank, 0)
    window = Window(
        tuple(kernel),
        _ints(node, "strides", [1] * rank, rank, 1),
        _ints(node, "dilations", [1] * rank, rank, 1),
        pads[:rank],
        pads[rank:],
    )
    return _auto_padded(window, node.attribute("auto_pad", "NOTSET"), spatial)


def _ints(node: Node, name: str, default: list[int], length: int, least: int) -> tuple[int, ...]:
    values = tuple(int(v) for v in node.attribute(name, default))
    if len(values) != length or min(values) < least:
        raise NodeError(f"{name} {list(values)} should be {length} values ≥ {least}; correct them")
    return values


def _auto_padded(window: Window, mode: str, spatial: Sequence[int]) -> Window:
    if mode in ("NOTSET", ""):
        return window
    zeros = (0,) * len(spatial)
    if mode == "VALID":
        return replace(window, before=zeros, after=zeros)
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise NodeError(f"auto_pad {mode} is unknown; use explicit pads")
    totals = [
        max(0, (-(-size // stride) - 1) * stride + extent - size)
        for size, stride, extent in zip(spatial, window.strides, window.extents(), strict=True)
    ]
    small = tuple(t // 2 for t in totals)
    large = tuple(t - s for t, s in zip(totals, small, strict=True))
    if mode == "SAME_UPPER":
        return replace(window, before=small, after=large)
    return replace(window, before=large, after=small)


def ceiled(window: Window, spatial: Sequence[int]) -> Window:
    """The positions of ceil_mode in floor mode: `after` is what the last window needs."""
    after = []
    for axis, size in enumerate(spatial):
        stride, extent = window.strides[axis], window.extents()[axis]
        reach = size + window.before[axis]
        steps = -(-(reach + window.after[axis] - extent) // stride)
        if steps * stride >= reach:
            steps -= 1
        after.append(max(0, steps * stride + extent - reach))
    return replace(window, after=tuple(after))


def in_two_dimensions(window: Window) -> Window:
    """A 1-D window as 2-D window of height 1."""
    if len(window.kernel) == 2:
        return window
    return Window(
        (1, *window.kernel),
        (1, *window.strides),
        (1, *window.dilations),
        (0, *window.before),
        (0, *window.after),
    )
