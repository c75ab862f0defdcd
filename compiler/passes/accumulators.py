"""The i32 result of an integer contraction: scales, bias, and the proof that it cannot overflow.

A bias rides in the accumulator as codes b with real value b·scales when it lies on that grid, as
the i32 bias of a quantized model does, or when rounding it there is too small to matter: a shift by
δ steps of the next quantize moves a fraction δ of its codes, and contract 7 allows 1 in 1000.
Any other bias is added to the dequantized accumulator as a real number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.ir import Operation, SSAValue

from ..dialects import graph
from ..dialects.tensors import Array, shape_of
from .clamps import clamp_of
from .rewriting import constant_of, defining

LIMIT = 2**31
_TOLERATED_SHIFT = 2.0**-11
_EPSILON = float(np.finfo(np.float32).eps)
_PASSING = (
    graph.AddOp,
    graph.SubOp,
    graph.ReshapeOp,
    graph.TransposeOp,
    graph.SliceOp,
    graph.ConcatOp,
    graph.PadOp,
    graph.MaxPoolOp,
    graph.ResizeNearestOp,
)


def is_usable_scale(scales: Array) -> bool:
    """Whether a product of scales neither overflowed nor lost bits by underflow."""
    return bool(np.all(np.isfinite(scales)) and np.all(np.abs(scales) >= np.finfo(np.float32).tiny))


def finest_step(value: SSAValue) -> float:
    """The smallest scale that `value` is quantized with, behind ops that pass an error on as it is.

    0.0 if there is another use, whose accuracy is not known."""
    steps = []
    for use in value.uses:
        user = use.operation
        if isinstance(user, graph.QuantizeOp):
            steps.append(float(np.abs(user.scales).min()))
        elif isinstance(user, _PASSING) or clamp_of(user) is not None:
            steps.append(finest_step(user.results[0]))
        else:
            return 0.0
    return min(steps, default=0.0)


def bias_codes(bias: SSAValue, scales: Array, step: float) -> Array | None:
    """int64 codes of a constant bias on the grid of `scales`, or None.

    step: the scale of the quantize that follows; a rounding may be a small part of it."""
    dequantize = defining(bias, graph.DequantizeOp)
    constant = constant_of(bias if dequantize is None else dequantize.input)
    if constant is None:
        return None
    reals = constant.astype(np.float64)
    if dequantize is not None:
        codes: Array = constant.astype(np.int64) - dequantize.zero_points
        if np.all(np.abs(dequantize.scales - scales) <= 4 * _EPSILON * np.abs(scales)):
            return codes
        reals = codes.astype(np.float64) * dequantize.scales
    exact = reals / scales.astype(np.float64)
    rounded = np.rint(exact)
    tolerated = _TOLERATED_SHIFT * step / np.abs(scales) + 4 * _EPSILON * np.abs(exact)
    fits = (np.abs(rounded) < LIMIT) & (np.abs(rounded - exact) <= tolerated)  # false for NaN
    return rounded.astype(np.int64) if np.all(fits) else None


@dataclass(frozen=True)
class Accumulator:
    """codes: the bias that rides in the accumulator; real: the one added after dequantizing it."""

    scales: Array
    codes: graph.ConstantOp | None
    real: SSAValue | None

    @staticmethod
    def of(
        scales: Array, magnitudes: Array, bias: SSAValue | None, result: SSAValue
    ) -> Accumulator | None:
        """For the sum that float `result` is; None if a partial sum might not fit.

        magnitudes: int64, per channel the largest sum of absolute products."""
        if not is_usable_scale(scales) or np.any(magnitudes >= LIMIT):
            return None
        if bias is None:
            return Accumulator(scales, None, None)
        codes = bias_codes(bias, scales, finest_step(result))
        if codes is None or np.any(magnitudes + np.abs(codes) >= LIMIT):
            return Accumulator(scales, None, bias)
        return Accumulator(scales, graph.ConstantOp(codes.astype(np.int32)), None)

    @property
    def bias_operand(self) -> SSAValue | None:
        return None if self.codes is None else self.codes.result

    def constants(self) -> list[Operation]:
        return [] if self.codes is None else [self.codes]

    def to_real(self, sums: Operation, axis: int) -> list[Operation]:
        """The ops that make the float result of the i32 `sums` with channels along `axis`."""
        result = sums.results[0]
        real = graph.DequantizeOp(result, self.scales, axis=axis)
        if self.real is None:
            return [real]
        shape = [1] * len(shape_of(result))
        shape[axis] = shape_of(result)[axis]
        constant = constant_of(self.real)
        bias: Operation = (
            graph.ReshapeOp(self.real, shape)
            if constant is None
            else graph.ConstantOp(constant.reshape(shape))
        )
        return [real, bias, graph.AddOp(real.result, bias.results[0])]
