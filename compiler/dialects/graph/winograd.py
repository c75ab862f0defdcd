"""3×3 convolution as two kernels: inputs transformed, and multiplied (contractions/winograd.py).

  %a = graph.qconv2d %x, %w, %b
⇒
  %v = graph.winograd_input %x               : tensor<1x14x14x64xui8> -> tensor<36x16x64xsi16>
  %a = graph.winograd_qconv2d %v, %w, %b     : … -> tensor<1x14x14x64xi32>
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, TensorType, i32, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, prop_def, result_def

from .. import shapes
from ..tensors import i64_array, shape_of, si16
from .base import GraphOp, Tensor, ints

#: Output pixels of a tile per side, and the products of one: F(4×4, 3×3).
TILE, POINTS = 4, 36


def tiles_of(images: int, rows: int, columns: int) -> int:
    """How many tiles cover the outputs of all images."""
    return images * -(-rows // TILE) * -(-columns // TILE)


@irdl_op_definition
class WinogradInputOp(GraphOp):
    """Bᵀ d B of the 6×6 codes d of every tile of outputs: u8 [N, H, W, C] to s16 [36, tiles, C].

    Padding holds the input's zero point. Tiles are numbered row by row, image by image; past the
    last row or column of the padded image its edge repeats."""

    name = "graph.winograd_input"
    input = operand_def(Tensor)
    pads = prop_def(DenseArrayBase)
    input_zero_point = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, pads: Sequence[int], input_zero_point: int):
        super().__init__(
            operands=[x],
            properties={
                "pads": i64_array(pads),
                "input_zero_point": IntegerAttr(input_zero_point, i64),
            },
            result_types=[TensorType(si16, _transformed(shape_of(x), pads))],
        )

    def infer_shape(self) -> shapes.Shape:
        return _transformed(shape_of(self.input), ints(self.pads))

    @property
    def output_size(self) -> tuple[int, int]:
        """Rows and columns of the convolution's result."""
        return _output_size(shape_of(self.input), ints(self.pads))


def _output_size(shape: shapes.Shape, pads: Sequence[int]) -> tuple[int, int]:
    if len(shape) != 4 or len(pads) != 4:
        raise ValueError(f"images of rank 4 and four pads, not {shape} with pads {tuple(pads)}")
    top, left, bottom, right = pads
    rows, columns = shape[1] + top + bottom - 2, shape[2] + left + right - 2
    if min(rows, columns) < 1:
        raise ValueError(f"no 3x3 window fits into {shape} with pads {tuple(pads)}")
    return rows, columns


def _transformed(shape: shapes.Shape, pads: Sequence[int]) -> shapes.Shape:
    rows, columns = _output_size(shape, pads)
    return POINTS, tiles_of(shape[0], rows, columns), shape[3]


@irdl_op_definition
class WinogradQConv2dOp(GraphOp):
    """Exact integer 3×3 convolution Σ (x − zx)·w + bias in i32, from transformed inputs.

    `weight` is s8 [O, C, 3, 3], its zero point subtracted; the result is NHWC."""

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
        if points[:2] != (POINTS, tiles_of(images, rows, columns)):
            raise ValueError(f"{points} are not the tiles of {shape_of(self.result)}")
        if weight != (outputs, points[2], 3, 3):
            raise ValueError(f"weight {weight} for {points[2]} to {outputs} channels")
        if self.bias is not None and prod(shape_of(self.bias)) != outputs:
            raise ValueError(f"bias {shape_of(self.bias)} for {outputs} output channels")
