"""Where a tensor's elements lie in memory: the encoding of tensor types from `packed` on."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import DenseArrayBase, IntegerType, TensorType, i64
from xdsl.ir import ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition, param_def

from .shapes import Shape


@irdl_attr_definition
class LayoutAttr(ParametrizedAttribute):
    """`#graph.layout<array<i64: channel_stride, top, left, bottom, right>>`

    The tensor is seen as [N, H, W, C] (`as_nhwc`), channels innermost, with `channel_stride` ≥ C
    elements from one pixel to the next and a halo of so many pixels around each image, filled with
    the zero point, so that the windows of a consumer never branch. A type without encoding is
    dense: channel_stride = C, no halo."""

    name = "graph.layout"
    values: DenseArrayBase[IntegerType] = param_def()

    @staticmethod
    def of(layout: Layout) -> LayoutAttr:
        return LayoutAttr(DenseArrayBase.from_list(i64, [layout.channel_stride, *layout.halo]))


def as_nhwc(shape: Shape) -> tuple[int, int, int, int]:
    """Every tensor as [N, H, W, C]: missing axes are 1, surplus leading ones fold into N."""
    if len(shape) >= 4:
        n = 1
        for d in shape[:-3]:
            n *= d
        return (n, *shape[-3:])  # type: ignore[return-value]
    c = shape[-1] if shape else 1
    middle = shape[:-1]
    return (1, *(1,) * (2 - len(middle)), *middle, c)  # type: ignore[return-value]


@dataclass(frozen=True)
class Layout:
    """Memory layout of one tensor; all strides in elements."""

    n: int
    h: int
    w: int
    c: int
    channel_stride: int
    halo: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right (pixels)

    @staticmethod
    def dense(shape: Shape) -> Layout:
        n, h, w, c = as_nhwc(shape)
        return Layout(n, h, w, c, c)

    @staticmethod
    def of_type(tensor: TensorType) -> Layout:
        if not isinstance(tensor.encoding, LayoutAttr):
            return Layout.dense(tensor.get_shape())
        channel_stride, *halo = tensor.encoding.values.get_values()
        return Layout(*as_nhwc(tensor.get_shape()), int(channel_stride), tuple(map(int, halo)))  # type: ignore[arg-type]

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
    def is_dense(self) -> bool:
        return self.channel_stride == self.c and self.halo == (0, 0, 0, 0)
