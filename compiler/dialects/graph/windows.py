"""What convolutions and pools share: a window that slides over an image."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

from xdsl.dialects.builtin import DenseArrayBase, StringAttr
from xdsl.ir import Attribute
from xdsl.irdl import operand_def, prop_def, result_def

from .. import shapes
from ..tensors import i64_array, shape_of
from .base import GraphOp, Tensor, ints


class WindowedOp(GraphOp, ABC):
    """A window that slides over rank-4 `input`; pads = (top, left, bottom, right)."""

    input = operand_def(Tensor)
    strides = prop_def(DenseArrayBase)
    pads = prop_def(DenseArrayBase)
    dilations = prop_def(DenseArrayBase)
    layout = prop_def(StringAttr)
    result = result_def(Tensor)

    @property
    def window(self) -> tuple[int, int]:
        raise AssertionError(f"{self.name} defines no window")

    def channels(self) -> int:
        return shape_of(self.input)[shapes.channel_axis(self.layout.data)]

    def infer_shape(self) -> shapes.Shape:
        shape = shape_of(self.input)
        if len(shape) != 4:
            raise ValueError(f"input must have rank 4, not {shape}")
        return shapes.window_shape(
            shape,
            self.channels(),
            self.window,
            ints(self.strides),
            ints(self.dilations),
            ints(self.pads),
            self.layout.data,
        )


def window_properties(
    strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int], layout: str
) -> dict[str, Attribute]:
    return {
        "strides": i64_array(strides),
        "pads": i64_array(pads),
        "dilations": i64_array(dilations),
        "layout": StringAttr(layout),
    }
