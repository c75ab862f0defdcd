"""merge-affine: products and sums with one constant per channel, between two 8-bit tensors, become
one product and one sum.

    quantize([relu] ((dequantize(q; s, z) · w) + b); t, y)
        ⇒  quantize(dequantize(q; a, 0) + c; 1, 0)        a = s·w / t,    c = (b − z·s·w) / t + y

such as a batch normalization that no convolution can take (its input is a concatenation), or the
bias of a matrix product whose result was quantized before. Any order and number of products,
quotients, sums and differences; a relu raises qmin to y. Four to eight instructions become two.
The codes of a requantize keep its zero point, which the epilogue then need not add.

In floats the two sides are different expressions, so it is decided by trying them: there are 256
codes for each channel. Where one comes out differently, its channel's constants are moved by a few
units in the last place until none does; if a channel has no such constants, the ops stay. So the
rewrite is exact (numeric contract 5), whatever rounding does.

Side conditions: the quantize is per tensor; constants vary along one axis at most, and finite.
A function that is the same for all channels has become a table before (tabulate-unary).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from .. import numerics
from ..dialects import graph
from ..dialects.tensors import Array, all_codes, is_code, shape_of, type_of, value_dtype
from .grids import Grid, before_relu, least_code
from .rewriting import constant_of, defining, inherit_layer, replace, rewrite

#: Units in the last place by which the two constants are moved, the smallest moves first.
_MOVES = sorted(product(range(-4, 5), repeat=2), key=lambda moves: sum(map(abs, moves)))

_OPERATIONS = {
    graph.AddOp: np.add,
    graph.SubOp: np.subtract,
    graph.MulOp: np.multiply,
    graph.DivOp: np.divide,
}


@dataclass
class Affine:
    """quantize([relu] (… dequantize(q) …)). `steps`: from the codes on, each op with its constant,
    and whether that is the left operand."""

    root: graph.QuantizeOp
    relu: bool
    leaf: graph.DequantizeOp
    axis: int
    steps: list[tuple[graph.BinaryOp, Array, bool]] = field(default_factory=list)

    @staticmethod
    def of(root: graph.QuantizeOp) -> Affine | None:
        if not Grid.of(root).is_per_tensor:
            return None
        (value, relu), steps = before_relu(root.input), list[tuple[graph.BinaryOp, Array, bool]]()
        while (found := _with_constant(value)) is not None:
            value, op, constant, is_left = found
            steps.insert(0, (op, constant, is_left))
        leaf, axis = defining(value, graph.DequantizeOp), _axis([c for _, c, _ in steps], value)
        if leaf is None or not is_code(leaf.input) or axis is None:
            return None
        grid = Grid.of(leaf)
        if not grid.is_per_tensor and grid.axis != axis:
            return None
        return Affine(root, relu, leaf, axis, steps)

    @property
    def is_merged(self) -> bool:
        """Whether it is what this pass makes."""
        nothing_else = self.zero_point == 0 and self.root.scales[0] == 1 and not self.relu
        is_sum = [type(op) for op, _, _ in self.steps] == [graph.AddOp]
        return bool(nothing_else and is_sum and np.all(self.leaf.zero_points == self.kept))

    @property
    def kept(self) -> int:
        """The zero point that codes keep."""
        source = defining(self.leaf.input, graph.RequantizeOp)
        return 0 if source is None else source.zero_point.value.data

    @property
    def zero_point(self) -> int:
        return Grid.of(self.root).zero_point

    @property
    def channels(self) -> int:
        return shape_of(self.root.result)[self.axis]

    @property
    def codes(self) -> Array:
        return all_codes(value_dtype(self.leaf.input))

    def expected(self) -> Array:
        """What the model makes of every code in every channel: [256, channels]."""
        shape = (256, self.channels)
        codes = np.broadcast_to(self.codes[:, None], shape)
        value = numerics.dequantize(codes, self.leaf.scales, self.leaf.zero_points, 1)
        for op, constant, is_left in self.steps:
            operands = (self._row(constant), value) if is_left else (value, self._row(constant))
            value = _OPERATIONS[type(op)](*operands)
        value = np.maximum(value, np.float32(0)) if self.relu else value
        return self._quantized(value / self.root.scales[0], self.zero_point)

    def constants(self) -> tuple[Array, Array]:
        """What codes are multiplied by, and what is added, f64 [channels]."""
        grid = Grid.of(self.leaf)
        slope = np.broadcast_to(grid.scales.astype(np.float64), self.channels)
        offset = -slope * grid.zero_points
        for op, constant, is_left in self.steps:
            c = self._row(constant).astype(np.float64)
            if isinstance(op, graph.MulOp | graph.DivOp):
                factor = c if isinstance(op, graph.MulOp) else 1 / c
                slope, offset = slope * factor, offset * factor
                continue
            if isinstance(op, graph.SubOp) and is_left:
                slope, offset = -slope, -offset
            offset = offset - c if isinstance(op, graph.SubOp) and not is_left else offset + c
        scale = np.float64(self.root.scales[0])
        return slope / scale, (offset + self.kept * slope) / scale + self.zero_point

    def found(self, slopes: Array, offsets: Array) -> Array:
        """What the new ops make of every code: [256, channels]."""
        t = self.codes.astype(np.int32) - self.kept
        reals = t.astype(np.float32)[:, None] * slopes + offsets
        return self._quantized(reals, 0)

    def _row(self, constant: Array) -> Array:
        return np.broadcast_to(constant.reshape(-1), self.channels)

    def _quantized(self, reals: Array, zero_point: int) -> Array:
        one, z = np.ones(1, np.float32), np.asarray([zero_point])
        qmax, dtype = self.root.qmax.value.data, value_dtype(self.root.result)
        return numerics.quantize(reals, one, z, 0, least_code(self.root, self.relu), qmax, dtype)


def _with_constant(value: SSAValue) -> tuple[SSAValue, graph.BinaryOp, Array, bool] | None:
    """The other operand of an op with a constant one, the op, the constant, and whether it is the
    left operand."""
    op = value.owner
    if not isinstance(op, graph.BinaryOp) or type(op) not in _OPERATIONS:
        return None
    for other, operand, is_left in ((op.rhs, op.lhs, True), (op.lhs, op.rhs, False)):
        constant = _reals_of(operand)
        is_divisor = isinstance(op, graph.DivOp) and is_left
        if constant is not None and other.type == op.result.type and not is_divisor:
            return other, op, constant, is_left
    return None


def _reals_of(value: SSAValue) -> Array | None:
    """Of a constant, perhaps one that is stored as codes."""
    op = defining(value, graph.DequantizeOp)
    if op is None:
        return constant_of(value)
    if (codes := constant_of(op.input)) is None:
        return None
    return numerics.dequantize(codes, op.scales, op.zero_points, op.axis_index)


def _axis(constants: list[Array], value: SSAValue) -> int | None:
    """The one axis of `value` along which constants vary."""
    rank = len(shape_of(value))
    axes = {
        rank - constant.ndim + axis
        for constant in constants
        for axis, size in enumerate(constant.shape)
        if size > 1
    }
    return axes.pop() if len(axes) == 1 else None


def exact_constants(affine: Affine) -> tuple[Array, Array] | None:
    """Factors and summands, f32 [channels], with which all codes come out as the model says."""
    with np.errstate(all="ignore"):
        expected = affine.expected()
        start = [values.astype(np.float32) for values in affine.constants()]
    if not all(np.all(np.isfinite(values)) for values in start) or np.any(start[0] == 0):
        return None
    slopes, offsets = (values.copy() for values in start)
    missing = np.arange(affine.channels)
    for moves in _MOVES:
        for values, first, units in zip((slopes, offsets), start, moves, strict=True):
            values[missing] = first[missing] + units * np.spacing(first[missing])
        different = affine.found(slopes[missing], offsets[missing]) != expected[:, missing]
        missing = missing[different.any(0)]
        if not len(missing):
            return slopes, offsets
    return None


class Merge(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.QuantizeOp, rewriter: PatternRewriter) -> None:
        affine = Affine.of(op)
        if affine is None or affine.is_merged or (constants := exact_constants(affine)) is None:
            return
        slopes, offsets = constants
        product = graph.DequantizeOp(affine.leaf.input, slopes, affine.kept, affine.axis)
        inherit_layer(product, affine.leaf)
        shape = [1] * len(shape_of(op.result))
        shape[affine.axis] = affine.channels
        summand = graph.ConstantOp(offsets.reshape(shape))
        total = graph.AddOp(product.result, summand.result)
        inherit_layer(total, affine.steps[-1][0])
        quantized = graph.QuantizeOp(
            total.result,
            1.0,
            0,
            type_of(op.result).element_type,
            op.axis_index,
            least_code(affine.root, affine.relu),
            op.qmax.value.data,
        )
        replace(rewriter, op, [product, summand, total, quantized])


@dataclass(frozen=True)
class MergeAffine(ModulePass):
    name = "merge-affine"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [Merge()])
