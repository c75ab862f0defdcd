"""Turn float contractions of dequantized codes into exact integer ones.

    conv2d(dequantize(x; sx, zx), dequantize(w; sw, zw), bias)
      = dequantize(qconv2d(x, w; zx, zw); sx·sw, 0) + bias
    matmul(dequantize(a; sa, za), dequantize(b; sb, zb), bias)
      = dequantize(qmatmul(a, b; za, zb); sa·sb, 0) + bias
    avg_pool(dequantize(x; sx, zx)) = dequantize(qsum_pool(x; zx); sx·float32(1/n), 0)
    reduce mean over spatial axes   = reshape(avg_pool over the whole extent)

Equal in real numbers: Σ (x − zx)·sx·(w − zw)·sw has a common factor. Scales multiply in float32.
This pass and `fuse-requantize` are the only ones that may change a result, and only by the
roundings of float sums (contract 7). A bias on the grid sx·sw becomes codes in the accumulator
(`accumulators.py`).

Side conditions, else the op stays float:
  - weights are constant codes, per tensor or per output channel (conv: axis 0, matmul: columns);
    the second operand of matmul may also be an activation with a per-tensor grid;
  - activations have one scale and one zero point, inside their type (it is what padding holds); a
    grouped convolution may have one of each per group: scales move to the group's output channels;
  - Σ|w − zw|·max|x − zx| + |b| < 2³¹ for every output channel: no partial sum can overflow;
  - every window of the average holds n elements: no padding, or padding that counts (real zeros).
Weights with a zero point become plain si8 codes where w − zw fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from ..dialects import graph, shapes
from ..dialects.tensors import Array, shape_of, type_of
from .accumulators import LIMIT, Accumulator, is_usable_scale
from .constant_codes import Weights, constant_weights
from .grids import Grid, dequantized
from .rewriting import replace, rewrite


@dataclass(frozen=True)
class Activation:
    """Codes with zero points inside their type."""

    codes: SSAValue
    grid: Grid

    @property
    def zero_point(self) -> int:
        return self.grid.zero_point

    @property
    def reach(self) -> int:
        """The largest |q − z| of any code of the type."""
        low, high = graph.code_range(type_of(self.codes).element_type)
        zero_points = self.grid.zero_points
        return max(int(zero_points.max()) - low, high - int(zero_points.min()))


def quantized(value: SSAValue) -> Activation | None:
    dequantize = dequantized(value)
    if dequantize is None:
        return None
    grid = Grid.of(dequantize)
    low, high = graph.code_range(type_of(dequantize.input).element_type)
    if grid.zero_points.min() < low or grid.zero_points.max() > high:
        return None
    return Activation(dequantize.input, grid)


def activation_of(value: SSAValue) -> Activation | None:
    """Codes with one zero point."""
    found = quantized(value)
    return found if found is not None and found.grid.has_one_zero_point else None


@dataclass(frozen=True)
class Contraction:
    activation: Activation
    weights: Weights
    accumulator: Accumulator

    @staticmethod
    def of(
        op: graph.Conv2dOp | graph.MatMulOp,
        activation: Activation,
        weights: Weights,
        activation_scales: Array,
    ) -> Contraction | None:
        scales = activation_scales * weights.scales
        magnitudes = weights.magnitudes * activation.reach
        accumulator = Accumulator.of(scales, magnitudes, op.bias, op.result)
        return None if accumulator is None else Contraction(activation, weights, accumulator)

    def constants(self) -> list[Operation]:
        """The constants that are not in the graph yet."""
        weight = self.weights.constant
        new: list[Operation] = [] if weight.parent is not None else [weight]
        return [*new, *self.accumulator.constants()]


def _is_one_per_group(op: graph.Conv2dOp, grid: Grid) -> bool:
    """Whether all channels that an output sees are on one grid."""
    if grid.is_per_tensor:
        return True
    if grid.axis != shapes.channel_axis(op.layout.data):
        return False
    several = [values for values in (grid.scales, grid.zero_points) if len(values) > 1]
    per_group = [values.reshape(op.group_count, -1) for values in several]
    return all(bool((values == values[:, :1]).all()) for values in per_group)


def _scales_per_output(op: graph.Conv2dOp, grid: Grid) -> Array:
    """The activation's scale for each output channel, [1] or [O]."""
    if len(grid.scales) == 1:
        return grid.scales
    groups = op.group_count
    return np.repeat(grid.scales.reshape(groups, -1)[:, 0], shape_of(op.weight)[0] // groups)


def match_convolution(op: graph.Conv2dOp) -> Contraction | None:
    activation = quantized(op.input)
    weights = constant_weights(op.weight, 0, (1, 2, 3))
    if activation is None or weights is None or not _is_one_per_group(op, activation.grid):
        return None
    scales = _scales_per_output(op, activation.grid)
    return Contraction.of(op, activation, weights, scales)


class IntegerConvolution(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.Conv2dOp, rewriter: PatternRewriter) -> None:
        match = match_convolution(op)
        if match is None:
            return
        sums = graph.QConv2dOp(
            match.activation.codes,
            match.weights.constant.result,
            match.accumulator.bias_operand,
            input_zero_point=match.activation.grid.zero_points,
            weight_zero_point=match.weights.zero_points,
            strides=graph.ints(op.strides),
            pads=graph.ints(op.pads),
            dilations=graph.ints(op.dilations),
            groups=op.group_count,
            layout=op.layout.data,
        )
        axis = shapes.channel_axis(op.layout.data)
        replace(rewriter, op, [*match.constants(), sums, *match.accumulator.to_real(sums, axis)])


def match_matmul_by_weights(op: graph.MatMulOp) -> Contraction | None:
    activation = activation_of(op.a)
    rank = len(shape_of(op.b))
    weights = constant_weights(op.b, rank - 1, (rank - 2,))
    if activation is None or weights is None or not activation.grid.is_per_tensor:
        return None
    return Contraction.of(op, activation, weights, activation.grid.scales)


class IntegerMatMul(RewritePattern):
    """matmul by constant weights."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.MatMulOp, rewriter: PatternRewriter) -> None:
        match = match_matmul_by_weights(op)
        if match is None:
            return
        sums = graph.QMatMulOp(
            match.activation.codes,
            match.weights.constant.result,
            match.accumulator.bias_operand,
            a_zero_point=match.activation.zero_point,
            b_zero_point=match.weights.zero_points,
        )
        axis = len(shape_of(op.result)) - 1
        replace(rewriter, op, [*match.constants(), sums, *match.accumulator.to_real(sums, axis)])


class IntegerActivationMatMul(RewritePattern):
    """matmul of two activations, each with a per-tensor grid."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.MatMulOp, rewriter: PatternRewriter) -> None:
        a, b = activation_of(op.a), activation_of(op.b)
        if a is None or b is None or not (a.grid.is_per_tensor and b.grid.is_per_tensor):
            return
        magnitude = np.asarray(shape_of(op.b)[-2] * a.reach * b.reach)
        accumulator = Accumulator.of(a.grid.scales * b.grid.scales, magnitude, op.bias, op.result)
        if accumulator is None:
            return
        sums = graph.QMatMulOp(
            a.codes,
            b.codes,
            accumulator.bias_operand,
            a_zero_point=a.zero_point,
            b_zero_point=b.zero_point,
        )
        axis = len(shape_of(op.result)) - 1
        new = [*accumulator.constants(), sums, *accumulator.to_real(sums, axis)]
        replace(rewriter, op, new)


def _summable(value: SSAValue, count: int, axis: int) -> Activation | None:
    """`value` as codes of which `count` can be added up, with scales per tensor or along `axis`."""
    activation = activation_of(value)
    if activation is None or activation.reach * count >= LIMIT:
        return None
    grid = activation.grid
    return activation if grid.is_per_tensor or grid.axis == axis else None


class IntegerAveragePool(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.AvgPoolOp, rewriter: PatternRewriter) -> None:
        if any(graph.ints(op.pads)) and not bool(op.count_include_pad):
            return
        kernel = graph.ints(op.kernel)
        count, axis = kernel[0] * kernel[1], shapes.channel_axis(op.layout.data)
        activation = _summable(op.input, count, axis)
        if activation is None:
            return
        sums = graph.QSumPoolOp(
            activation.codes,
            kernel,
            input_zero_point=activation.zero_point,
            strides=graph.ints(op.strides),
            pads=graph.ints(op.pads),
            layout=op.layout.data,
        )
        scales = activation.grid.scales * np.float32(1 / count)
        if is_usable_scale(scales):
            replace(rewriter, op, [sums, graph.DequantizeOp(sums.result, scales, axis=axis)])


class MeanAsPool(RewritePattern):
    """mean over spatial axes of [N, C, L] or [N, C, H, W] codes → reshape ∘ avg_pool ∘ reshape."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.ReduceOp, rewriter: PatternRewriter) -> None:
        shape, axes = shape_of(op.input), graph.ints(op.axes)
        if op.kind.data != "mean" or len(shape) not in (3, 4) or not set(axes) <= {2, 3}:
            return
        *outer, height, width = shape if len(shape) == 4 else (*shape, 1)
        kernel = (height if 2 in axes else 1, width if 3 in axes else 1)
        if _summable(op.input, kernel[0] * kernel[1], 1) is None:
            return
        new: list[Operation] = []
        image = op.input
        if len(shape) == 3:
            new += _as_image(op.input, (*outer, height, width))
            image = new[-1].results[0]
        new.append(graph.AvgPoolOp(image, kernel))
        if shape_of(new[-1].results[0]) != shape_of(op.result):
            new.append(graph.ReshapeOp(new[-1].results[0], shape_of(op.result)))
        replace(rewriter, op, new)


def _as_image(value: SSAValue, shape: tuple[int, ...]) -> list[Operation]:
    """A dequantized [N, C, L] as [N, C, L, 1], still a dequantize of codes."""
    dequantize = dequantized(value)
    assert dequantize is not None
    grid = Grid.of(dequantize)
    image = graph.ReshapeOp(dequantize.input, shape)
    return [image, graph.DequantizeOp(image.result, grid.scales, grid.zero_points, grid.axis)]


@dataclass(frozen=True)
class IntegerizeContractions(ModulePass):
    name = "integerize-contractions"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(
            op,
            [
                MeanAsPool(),
                IntegerAveragePool(),
                IntegerConvolution(),
                IntegerMatMul(),
                IntegerActivationMatMul(),
            ],
        )
