"""Split fake_quantize into quantize and dequantize, with the reference's choice of u8 or i8.

    fake_quantize(x; il, ih, ol, oh, L) = dequantize(quantize(x; s, z, qmin, qmax); s', z')
    fake_quantize(constant)             = dequantize(constant of codes; s', z')

    s = (ih − il) / (L − 1),  z = qmin − il / s,  qmax = qmin + L − 1;  s', z' from ol, oh

Choice of type (specification §2.2), from the output limits over all channels; r = −1 for odd L
(narrow range), else −L / (L − 2):
    every ol < 0 < oh and ol/oh within 0.2 % of r      si8, qmin = −⌊L/2⌋      symmetric: z = 0
    every ol = 0                                       ui8, qmin = 0
    else (zero point needed, or channels disagree)     ui8, qmin = 0
On constants (§6) the type is ui8 when no limit is negative, else si8 with qmin = −⌊L/2⌋.

Declined, so that fake_quantize stays a float op:
    L < 3 or L > 256                     binarization; codes wider than 8 bits
    il ≥ ih or ol ≥ oh                   reversed or empty intervals
    limits that vary along two axes      no single `axis`
    z or z' not an integer               no code is real zero, which padding and integer
                                         contractions need; within 10⁻³ of a step it counts
                                         as an integer: writers compute it in float32
    z or z' outside [qmin, qmax]         likewise

Both sides give the same level, except where x lies within float32 rounding of a tie: fake_quantize
counts its half-to-even from il, quantize from zero, so they may be one code apart there. Constants
are rounded as fake_quantize does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import IntegerType, ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from .. import numerics
from ..dialects import graph
from ..dialects.tensors import Array, dense_to_numpy, dtype_of, si8, ui8
from .rewriting import constant_of, replace, rewrite

_NEARLY_ZERO = 1e-6
_SYMMETRY_TOLERANCE = 0.002
_INTEGER_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SplitFakeQuantizePass(ModulePass):
    name = "split-fake-quantize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, (SplitFakeQuantize(),))


@dataclass(frozen=True)
class Limits:
    """The four limits in float64: one value each, or one per channel along `axis`."""

    levels: int
    axis: int
    input_low: Array
    input_high: Array
    output_low: Array
    output_high: Array

    @staticmethod
    def of(op: graph.FakeQuantizeOp) -> Limits | None:
        axes, levels = op.limit_axes, op.levels.value.data
        if len(axes) > 1 or not 3 <= levels <= 256:
            return None
        arrays = (array.astype(np.float64).reshape(-1) for array in op.limits.values())
        return Limits(levels, min(axes, default=0), *np.broadcast_arrays(*arrays))

    @property
    def are_ordered(self) -> bool:
        finite = np.all(np.isfinite(self.input_high - self.input_low))
        ordered = np.all(self.input_low < self.input_high)
        return bool(finite and ordered and np.all(self.output_low < self.output_high))


@dataclass(frozen=True)
class Codes:
    """The codes that hold the levels, and their grids before and after."""

    element_type: IntegerType
    qmin: int
    qmax: int
    input_grid: tuple[Array, Array]
    output_grid: tuple[Array, Array]


class SplitFakeQuantize(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: graph.FakeQuantizeOp, rewriter: PatternRewriter) -> None:
        limits = Limits.of(op)
        if limits is None or not limits.are_ordered:
            return
        constant = constant_of(op.input)
        codes = choose_codes(limits, is_weight=constant is not None)
        if codes is None:
            return
        quantized: graph.ConstantOp | graph.QuantizeOp
        if constant is not None:
            quantized = graph.ConstantOp(_constant_codes(op, constant, codes))
        else:
            quantized = graph.QuantizeOp(
                op.input,
                *codes.input_grid,
                codes.element_type,
                axis=limits.axis,
                qmin=codes.qmin,
                qmax=codes.qmax,
            )
        real = graph.DequantizeOp(quantized.result, *codes.output_grid, axis=limits.axis)
        replace(rewriter, op, [quantized, real])


def choose_codes(limits: Limits, is_weight: bool) -> Codes | None:
    """Type, range and grids of the codes; None when a grid has no code for zero."""
    low, high = limits.output_low, limits.output_high
    signed = bool(np.any(low < 0) or np.any(high < 0)) if is_weight else _is_symmetric(limits)
    element_type = si8 if signed else ui8
    qmin = -(limits.levels // 2) if signed else 0
    qmax = qmin + limits.levels - 1
    before = _grid(limits.input_low, limits.input_high, qmin, qmax)
    after = _grid(low, high, qmin, qmax)
    if before is None or after is None:
        return None
    return Codes(element_type, qmin, qmax, before, after)


def _is_symmetric(limits: Limits) -> bool:
    """Whether every channel (but those without extent) is signed and needs no zero point."""
    low, high = limits.output_low, limits.output_high
    counted = (np.abs(low) >= _NEARLY_ZERO) | (np.abs(high) >= _NEARLY_ZERO)
    if not counted.any():
        return bool((low < 0).any())
    low, high = low[counted], high[counted]
    signed = (np.sign(low) != np.sign(high)) & (np.abs(low) >= _NEARLY_ZERO) & (high != 0)
    if not signed.all():
        return False
    levels = limits.levels
    expected = -1.0 if levels % 2 else -levels / (levels - 2)
    ratio = low / high
    return bool(
        np.all(np.abs((ratio - expected) / np.minimum(ratio, expected)) <= _SYMMETRY_TOLERANCE)
    )


def _grid(low: Array, high: Array, qmin: int, qmax: int) -> tuple[Array, Array] | None:
    """(float32 scales, int32 zero points) of the interval; None unless zero is one of the codes."""
    scale = (high - low) / (qmax - qmin)
    exact = qmin - low / scale
    zero_point = np.rint(exact)
    if np.any(np.abs(exact - zero_point) > _INTEGER_TOLERANCE):
        return None
    if np.any(zero_point < qmin) or np.any(zero_point > qmax):
        return None
    return _shared(scale.astype(np.float32)), _shared(zero_point.astype(np.int32))


def _shared(values: Array) -> Array:
    return values[:1] if np.all(values == values[0]) else values


def _constant_codes(op: graph.FakeQuantizeOp, values: Array, codes: Codes) -> Array:
    low, high = dense_to_numpy(op.input_low), dense_to_numpy(op.input_high)
    levels = op.levels.value.data
    ends = np.float32(0), np.float32(levels - 1)
    level = numerics.fake_quantize(values, levels, low, high, *cast(tuple[Array, Array], ends))
    return (np.rint(level) + codes.qmin).astype(dtype_of(codes.element_type))
