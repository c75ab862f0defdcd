"""Convolution as two kernels: inputs transformed, and multiplied (contractions/winograd.py).

  %a = graph.qconv2d %x, %w, %b
⇒
  %v = graph.winograd_input %x               : tensor<1x14x14x64xui8> -> tensor<36x16x64xsi16>
  %a = graph.winograd_qconv2d %v, %w, %b     : … -> tensor<1x14x14x64xi32>

Windows have three or four taps per side. A convolution of stride two becomes one of stride one
whose channels are those of 2×2 pixels: `stride` 2 of the first, and weights to suit in the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, TensorType, i32, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)

from .. import shapes
from ..tensors import i64_array, shape_of, si16
from .base import GraphOp, Tensor, ints

#: Inputs of a whole tile per side, and its products. Of so many taps they give `side_of` outputs.
INPUTS, POINTS = 6, 36
#: Taps of a window per side.
TAPS = (3, 4)


def side_of(taps: int) -> int:
    """Output pixels of a whole tile per side: F(4×4, 3×3) or F(3×3, 4×4)."""
    return INPUTS + 1 - taps


def tiles_of(images: int, rows: int, columns: int, taps: int = 3) -> int:
    """How many tiles cover the outputs of all images."""
    side = side_of(taps)
    return images * -(-rows // side) * -(-columns // side)


@irdl_op_definition
class WinogradInputOp(GraphOp):
    """Bᵀ d B of the codes d of every tile of outputs: u8 [N, H, W, C] to s16 [36, tiles, C].

    d has six rows and columns, or five where a tile is short; then Bᵀ d B is 0 in the last row or
    column. contractions/winograd_tiling.py says how outputs are cut into tiles, and in which order
    these are numbered. Padding holds the input's zero point; past the last row or column of the
    padded image its edge repeats. With `stride` 2 (else 1) the padded image has even sides, and is
    read as [N, H/2, W/2, 4·C]: of 2×2 pixels row by row the channels. `taps`: of the windows per
    side (3)."""

    name = "graph.winograd_input"
    input = operand_def(Tensor)
    pads = prop_def(DenseArrayBase)
    input_zero_point = prop_def(IntegerAttr)
    taps = opt_prop_def(IntegerAttr)
    stride = opt_prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(
        self,
        x: SSAValue,
        pads: Sequence[int],
        input_zero_point: int,
        taps: int = 3,
        stride: int = 1,
    ):
        super().__init__(
            operands=[x],
            properties={
                "pads": i64_array(pads),
                "input_zero_point": IntegerAttr(input_zero_point, i64),
                "taps": None if taps == 3 else IntegerAttr(taps, i64),
                "stride": None if stride == 1 else IntegerAttr(stride, i64),
            },
            result_types=[TensorType(si16, _transformed(shape_of(x), pads, taps, stride))],
        )

    def infer_shape(self) -> shapes.Shape:
        return _transformed(
            shape_of(self.input), ints(self.pads), self.window_taps, self.pixel_stride
        )

    @property
    def window_taps(self) -> int:
        return 3 if self.taps is None else self.taps.value.data

    @property
    def pixel_stride(self) -> int:
        return 1 if self.stride is None else self.stride.value.data

    @property
    def output_size(self) -> tuple[int, int]:
        """Rows and columns of the convolution's result."""
        return _output_size(
            shape_of(self.input), ints(self.pads), self.window_taps, self.pixel_stride
        )


def _output_size(
    shape: shapes.Shape, pads: Sequence[int], taps: int, stride: int
) -> tuple[int, int]:
    if len(shape) != 4 or len(pads) != 4:
        raise ValueError(f"images of rank 4 and four pads, not {shape} with pads {tuple(pads)}")
    if taps not in TAPS or stride not in (1, 2):
        raise ValueError(f"3 or 4 taps and stride 1 or 2, not {taps} and {stride}")
    top, left, bottom, right = pads
    high, wide = shape[1] + top + bottom, shape[2] + left + right
    if high % stride or wide % stride:
        raise ValueError(f"{high}x{wide} padded pixels for stride {stride}")
    rows, columns = high // stride - taps + 1, wide // stride - taps + 1
    if min(rows, columns) < 1:
        raise ValueError(f"no {taps}x{taps} window fits into {shape} with pads {tuple(pads)}")
    return rows, columns


def _transformed(shape: shapes.Shape, pads: Sequence[int], taps: int, stride: int) -> shapes.Shape:
    rows, columns = _output_size(shape, pads, taps, stride)
    return POINTS, tiles_of(shape[0], rows, columns, taps), shape[3] * stride * stride


@irdl_op_definition
class WinogradQConv2dOp(GraphOp):
    """Exact integer convolution Σ (x − zx)·w + bias in i32, from transformed inputs.

    `weight` is s8 [O, C, taps, taps], its zero point subtracted; the result is NHWC."""

    name = "graph.winograd_qconv2d"
    input = operand_def(Tensor)
    weight = operand_def(Tensor)
    bias = opt_operand_def(Tensor)
    input_zero_point = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(
        self,
        points: SSAValue,
        weight: SSAValue,
        bias: SSAValue | None,
        shape: Sequence[int],
        input_zero_point: int,
    ):
        super().__init__(
            operands=[points, weight, bias],
            properties={"input_zero_point": IntegerAttr(input_zero_point, i64)},
            result_types=[TensorType(i32, list(shape))],
        )

    def infer_shape(self) -> None:
        points, weight = shape_of(self.input), shape_of(self.weight)
        if len(points) != 3 or len(shape_of(self.result)) != 4:
            raise ValueError(f"points {points} of rank 3 give images of rank 4")
        images, rows, columns, outputs = shape_of(self.result)
        taps = weight[-1]
        if taps not in TAPS or weight != (outputs, points[2], taps, taps):
            raise ValueError(f"weight {weight} for {points[2]} to {outputs} channels")
        if points[:2] != (POINTS, tiles_of(images, rows, columns, taps)):
            raise ValueError(f"{points} are not the tiles of {shape_of(self.result)}")
        if self.bias is not None and prod(shape_of(self.bias)) != outputs:
            raise ValueError(f"bias {shape_of(self.bias)} for {outputs} output channels")
