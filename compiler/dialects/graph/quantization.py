"""Ops between reals, quantization codes and exact accumulators."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, DenseIntOrFPElementsAttr, IntegerAttr, f32, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def

from .. import shapes
from ..tensors import (
    Array,
    array_to_numpy,
    dense,
    dense_to_numpy,
    f32_array,
    i32_array,
    is_code,
    shape_of,
    si8,
    type_of,
    ui8,
    value_dtype,
)
from .base import GraphOp, Tensor, like

_CODES = (ui8, si8)


@irdl_op_definition
class FakeQuantizeOp(GraphOp):
    """FakeQuantize-1 (spec §1.1): clamp, round to `levels` steps, map to the output limits.

    The limits are f32 tensors that broadcast to the input."""

    name = "graph.fake_quantize"
    input = operand_def(Tensor)
    levels = prop_def(IntegerAttr)
    input_low = prop_def(DenseIntOrFPElementsAttr)
    input_high = prop_def(DenseIntOrFPElementsAttr)
    output_low = prop_def(DenseIntOrFPElementsAttr)
    output_high = prop_def(DenseIntOrFPElementsAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, levels: int, il: Array, ih: Array, ol: Array, oh: Array):
        limits = {"input_low": il, "input_high": ih, "output_low": ol, "output_high": oh}
        super().__init__(
            operands=[x],
            properties={
                "levels": IntegerAttr(levels, i64),
                **{k: dense(np.asarray(v, np.float32)) for k, v in limits.items()},
            },
            result_types=[like(x, f32)],
        )

    @property
    def limits(self) -> dict[str, Array]:
        """Lower and upper ones of the input and of the output, f32, of the input's rank."""
        rank = len(shape_of(self.input))
        names = ("input_low", "input_high", "output_low", "output_high")
        arrays = {name: dense_to_numpy(getattr(self, name)) for name in names}
        return {n: a.reshape((1,) * (rank - a.ndim) + a.shape) for n, a in arrays.items()}

    @property
    def limit_axes(self) -> list[int]:
        """The axes along which limits vary."""
        joined = np.broadcast_shapes(*(array.shape for array in self.limits.values()))
        return [axis for axis, extent in enumerate(joined) if extent != 1]

    def transposed_limits(self, order: Sequence[int]) -> dict[str, Attribute]:
        """The properties of the same op on a transposed input."""
        return {name: dense(array.transpose(order)) for name, array in self.limits.items()}

    def infer_shape(self) -> shapes.Shape:
        limits = (self.input_low, self.input_high, self.output_low, self.output_high)
        joined = shapes.broadcast(shape_of(self.input), *(limit.get_shape() for limit in limits))
        if joined != shape_of(self.input):
            raise ValueError("limits do not broadcast to the input")
        if self.levels.value.data < 2:
            raise ValueError(f"levels must be at least 2, not {self.levels.value.data}")
        return joined


class QuantizingOp(GraphOp, ABC):
    """Scale and zero point, one each or one per channel along `axis`."""

    input = operand_def(Tensor)
    scale = prop_def(DenseArrayBase)
    zero_point = prop_def(DenseArrayBase)
    axis = prop_def(IntegerAttr)
    result = result_def(Tensor)

    @property
    def scales(self) -> Array:
        """float32, shape [1] or [channels]"""
        return array_to_numpy(self.scale)

    @property
    def zero_points(self) -> Array:
        """int32, shape [1] or [channels]"""
        return array_to_numpy(self.zero_point)

    @property
    def axis_index(self) -> int:
        return self.axis.value.data

    def infer_shape(self) -> shapes.Shape:
        shape = shape_of(self.input)
        for what, values in (("scale", self.scales), ("zero_point", self.zero_points)):
            if len(values) != 1 and not (
                0 <= self.axis_index < len(shape) and len(values) == shape[self.axis_index]
            ):
                raise ValueError(
                    f"{what} has {len(values)} values for axis {self.axis_index} of {shape}"
                )
        if not np.all(np.isfinite(self.scales)) or np.any(self.scales == 0):
            raise ValueError("scale must be finite and not zero")
        return shape


@irdl_op_definition
class QuantizeOp(QuantizingOp):
    """clamp(rint(x / s) + z, qmin, qmax), rint half to even, float32 division (contract 1)."""

    name = "graph.quantize"
    qmin = prop_def(IntegerAttr)
    qmax = prop_def(IntegerAttr)

    def __init__(
        self,
        x: SSAValue,
        scale: Any,
        zero_point: Any,
        element_type: Attribute,
        axis: int = 1,
        qmin: int | None = None,
        qmax: int | None = None,
    ):
        low, high = code_range(element_type)
        super().__init__(
            operands=[x],
            properties={
                "scale": f32_array(scale),
                "zero_point": i32_array(zero_point),
                "axis": IntegerAttr(axis, i64),
                "qmin": IntegerAttr(low if qmin is None else qmin, i64),
                "qmax": IntegerAttr(high if qmax is None else qmax, i64),
            },
            result_types=[like(x, element_type)],
        )


@irdl_op_definition
class DequantizeOp(QuantizingOp):
    """(q − z)·s in float32 (numeric contract 2); q is ui8, si8 or an i32 accumulator."""

    name = "graph.dequantize"

    def __init__(self, q: SSAValue, scale: Any, zero_point: Any = 0, axis: int = 1):
        super().__init__(
            operands=[q],
            properties={
                "scale": f32_array(scale),
                "zero_point": i32_array(zero_point),
                "axis": IntegerAttr(axis, i64),
            },
            result_types=[like(q, f32)],
        )


@irdl_op_definition
class RequantizeOp(GraphOp):
    """clamp(rint(float32(acc)·m) + z, qmin, qmax) from an i32 accumulator (numeric contract 4)."""

    name = "graph.requantize"
    input = operand_def(Tensor)
    multiplier = prop_def(DenseArrayBase)
    axis = prop_def(IntegerAttr)
    zero_point = prop_def(IntegerAttr)
    qmin = prop_def(IntegerAttr)
    qmax = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(
        self,
        acc: SSAValue,
        multiplier: Any,
        zero_point: int,
        element_type: Attribute,
        axis: int,
        qmin: int | None = None,
        qmax: int | None = None,
    ):
        low, high = code_range(element_type)
        super().__init__(
            operands=[acc],
            properties={
                "multiplier": f32_array(multiplier),
                "axis": IntegerAttr(axis, i64),
                "zero_point": IntegerAttr(zero_point, i64),
                "qmin": IntegerAttr(low if qmin is None else qmin, i64),
                "qmax": IntegerAttr(high if qmax is None else qmax, i64),
            },
            result_types=[like(acc, element_type)],
        )

    @property
    def multipliers(self) -> Array:
        return array_to_numpy(self.multiplier)

    def infer_shape(self) -> shapes.Shape:
        shape, count = shape_of(self.input), len(self.multipliers)
        if count != 1 and count != shape[self.axis.value.data]:
            raise ValueError(f"{count} multipliers for axis {self.axis.value.data} of {shape}")
        return shape


@irdl_op_definition
class LutOp(GraphOp):
    """table[code] for 8-bit codes; 256 entries, indexed by the bit pattern (si8 −1 → 255)."""

    name = "graph.lut"
    input = operand_def(Tensor)
    table = prop_def(DenseIntOrFPElementsAttr)
    result = result_def(Tensor)

    def __init__(self, q: SSAValue, table: Array):
        attribute = dense(table)
        super().__init__(
            operands=[q],
            properties={"table": attribute},
            result_types=[like(q, attribute.get_element_type())],
        )

    def infer_shape(self) -> shapes.Shape:
        if not is_code(self.input) or self.table.get_shape() != (256,):
            raise ValueError("lut needs 8-bit codes and a table of 256 entries")
        return shape_of(self.input)


@irdl_op_definition
class RecodeOp(GraphOp):
    """The same real values as the other type (si8 ↔ ui8): code ± 128, a flip of the top bit."""

    name = "graph.recode"
    input = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, q: SSAValue):
        other = si8 if type_of(q).element_type == ui8 else ui8
        super().__init__(operands=[q], result_types=[like(q, other)])

    def infer_shape(self) -> shapes.Shape:
        if not is_code(self.input) or value_dtype(self.input) == value_dtype(self.result):
            raise ValueError("recode maps ui8 to si8 or back")
        return shape_of(self.input)


def code_range(element_type: Attribute) -> tuple[int, int]:
    """Smallest and largest code of ui8 or si8."""
    if element_type not in _CODES:
        raise ValueError(f"{element_type} does not hold 8-bit codes")
    return (0, 255) if element_type == ui8 else (-128, 127)
