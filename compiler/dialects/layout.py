"""Where a tensor's elements lie in memory: the encoding of tensor types from `packed` on."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from xdsl.dialects.builtin import DenseArrayBase, IntegerType, TensorType, i64
from xdsl.ir import ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition, param_def
from xdsl.utils.exceptions import VerifyException

from .shapes import Shape

#: Channels per vector of everything but dot products; wider tensors are padded to whole vectors.
LANES = 16
#: Bytes a kernel may read past a tensor's last element (never write): the planner reserves them.
SLACK = 64

Halo: TypeAlias = tuple[int, int, int, int]
NO_HALO: Halo = (0, 0, 0, 0)


@irdl_attr_definition
class LayoutAttr(ParametrizedAttribute):
    """`#graph.layout<array<i64: channel_stride, top, left, bottom, right>>`

    The tensor is seen as [N, H, W, C] (`as_nhwc`), channels innermost, with `channel_stride` ≥ C
    elements from one pixel to the next and a halo of so many pixels around each image, filled with
    the zero point, so that the windows of a consumer never branch. A type without encoding is
    dense: channel_stride = C, no halo. Where channel_stride is a multiple of 16, kernels may write
    up to the next multiple of 16 behind C, and no further: there may be channels of other tensors
    (concat-in-place)."""

    name = "graph.layout"
    values: DenseArrayBase[IntegerType] = param_def()

    def verify(self) -> None:
        values = self.values.get_values()
        if len(values) != 5 or min(values) < 0:
            raise VerifyException("a layout has five numbers, none negative")

    @staticmethod
    def of(layout: Layout) -> LayoutAttr:
        return LayoutAttr(DenseArrayBase.from_list(i64, [layout.channel_stride, *layout.halo]))


def as_nhwc(shape: Shape) -> tuple[int, int, int, int]:
    """Every tensor as [N, H, W, C]: missing axes are 1, surplus leading ones fold into N."""
    n = prod(shape[:-3])
    h, w, c = (1, 1, 1, *shape)[-3:]
    return n, h, w, c


@dataclass(frozen=True)
class Layout:
    """Memory layout of one tensor; all strides in elements."""

    n: int
    h: int
    w: int
    c: int
    channel_stride: int
    halo: Halo = NO_HALO  # top, left, bottom, right (pixels)

    @staticmethod
    def dense(shape: Shape) -> Layout:
        n, h, w, c = as_nhwc(shape)
        return Layout(n, h, w, c, c)

    @staticmethod
    def of_type(tensor: TensorType) -> Layout:
        if not isinstance(tensor.encoding, LayoutAttr):
            return Layout.dense(tensor.get_shape())
        stride, top, left, bottom, right = map(int, tensor.encoding.values.get_values())
        return Layout(*as_nhwc(tensor.get_shape()), stride, (top, left, bottom, right))

    @property
    def row_stride(self) -> int:
        return (self.halo[1] + self.w + self.halo[3]) * self.channel_stride

    @property
    def image_stride(self) -> int:
        return (self.halo[0] + self.h + self.halo[2]) * self.row_stride

    @property
    def origin(self) -> int:
        """Offset of pixel (0, 0, 0) past the halo."""
        return self.halo[0] * self.row_stride + self.halo[1] * self.channel_stride

    @property
    def size(self) -> int:
        """Elements of the whole buffer, halo included."""
        return self.n * self.image_stride

    def offset(self, n: int, y: int, x: int) -> int:
        """Offset of pixel (n, y, x); y and x may lie in the halo (negative or past the end)."""
        return n * self.image_stride + self.origin + y * self.row_stride + x * self.channel_stride

    @property
    def is_part(self) -> bool:
        """Whether channels of other tensors lie in its pixels (and halo), and not padding alone."""
        return self.channel_stride >= self.c + LANES

    @property
    def is_dense(self) -> bool:
        return self.channel_stride == self.c and self.halo == NO_HALO
