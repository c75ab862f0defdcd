"""The graph dialect: value semantics on tensors, from the imported model down to fused kernels.

Element types are f32 for real values, ui8/si8 for quantization codes, i32 for exact accumulators, and i64/i1 for
indices and masks. Quantization parameters are attributes of the op that uses them (`scale`, `zero_point`: one value, or
one per channel along `axis`), never a side table. Rank-4 tensors are `nchw` or `nhwc` as the op's `layout` says;
convolution weights are always [O, I/groups, kh, kw]. Every op may carry `layer`, the name of its source layer.

    %q = graph.quantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64} : (tensor<4xf32>) -> tensor<4xui8>
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    f32,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Dialect, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import (
    IsolatedFromAbove,
    IsTerminator,
    NoTerminator,
    Pure,
    SingleBlockImplicitTerminator,
)
from xdsl.utils.exceptions import VerifyException

from . import shapes
from .layout import LayoutAttr
from .tensors import (
    Array,
    array_to_numpy,
    dense,
    dense_to_numpy,
    f32_array,
    i32_array,
    i64_array,
    is_code,
    shape_of,
    si8,
    tensor_type,
    type_of,
    ui8,
    value_dtype,
)

Tensor = TensorType[Attribute]
_FORMAT = "operands attr-dict `:` functional-type(operands, results)"
_CODES = (ui8, si8)


def _like(x: SSAValue, element_type: Attribute) -> Tensor:
    return TensorType(cast(Any, element_type), shape_of(x))


class GraphOp(IRDLOperation, ABC):
    """A pure op on tensors, printed as `operands {properties} : functional type`."""

    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = _FORMAT
    irdl_options = (ParsePropInAttrDict(),)

    def infer_shape(self) -> shapes.Shape | None:
        """The result shape that the operands imply; None when any shape is allowed. ValueError if there is none."""
        return None

    def verify_(self) -> None:
        try:
            expected = self.infer_shape()
        except ValueError as error:
            raise VerifyException(str(error)) from error
        if expected is not None and shape_of(self.results[0]) != expected:
            raise VerifyException(f"result shape {shape_of(self.results[0])} should be {expected}")


# --- constants ------------------------------------------------------------------------------------------------------


@irdl_op_definition
class ConstantOp(GraphOp):
    """A tensor known at compile time: `graph.constant {value = dense<…> : tensor<…>} : tensor<…>`."""

    name = "graph.constant"
    assembly_format = "attr-dict `:` type($result)"
    value = prop_def(DenseIntOrFPElementsAttr)
    result = result_def(Tensor)

    def __init__(self, value: DenseIntOrFPElementsAttr[Any] | Array):
        attribute = (
            value if isinstance(value, DenseIntOrFPElementsAttr) else dense(np.asarray(value))
        )
        super().__init__(properties={"value": attribute}, result_types=[attribute.type])

    @property
    def array(self) -> Array:
        return dense_to_numpy(self.value)

    def verify_(self) -> None:
        if self.value.type != self.result.type:
            raise VerifyException(f"value of type {self.value.type} does not match the result")


# --- quantization ---------------------------------------------------------------------------------------------------


@irdl_op_definition
class FakeQuantizeOp(GraphOp):
    """FakeQuantize-1 (specification §1.1): clamp to the input limits, round to `levels` steps, map to the output limits.

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
            result_types=[_like(x, f32)],
        )

    def infer_shape(self) -> shapes.Shape:
        limits = (self.input_low, self.input_high, self.output_low, self.output_high)
        joined = shapes.broadcast(shape_of(self.input), *(limit.get_shape() for limit in limits))
        if joined != shape_of(self.input):
            raise ValueError("limits do not broadcast to the input")
        if self.levels.value.data < 2:
            raise ValueError(f"levels must be at least 2, not {self.levels.value.data}")
        return joined


class _Quantizing(GraphOp, ABC):
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
class QuantizeOp(_Quantizing):
    """clamp(rint(x / s) + z, qmin, qmax); rint is half to even, the division float32 (numeric contract 1)."""

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
            result_types=[_like(x, element_type)],
        )


@irdl_op_definition
class DequantizeOp(_Quantizing):
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
            result_types=[_like(q, f32)],
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
            result_types=[_like(acc, element_type)],
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
    """table[code] for 8-bit codes; table has 256 entries, indexed by the code's bit pattern (si8 −1 → 255)."""

    name = "graph.lut"
    input = operand_def(Tensor)
    table = prop_def(DenseIntOrFPElementsAttr)
    result = result_def(Tensor)

    def __init__(self, q: SSAValue, table: Array):
        attribute = dense(table)
        super().__init__(
            operands=[q],
            properties={"table": attribute},
            result_types=[_like(q, attribute.get_element_type())],
        )

    def infer_shape(self) -> shapes.Shape:
        if not is_code(self.input) or self.table.get_shape() != (256,):
            raise ValueError("lut needs 8-bit codes and a table of 256 entries")
        return shape_of(self.input)


def code_range(element_type: Attribute) -> tuple[int, int]:
    """Smallest and largest code of ui8 or si8."""
    if element_type not in _CODES:
        raise ValueError(f"{element_type} does not hold 8-bit codes")
    return (0, 255) if element_type == ui8 else (-128, 127)


# --- contractions ---------------------------------------------------------------------------------------------------


class _Windowed(GraphOp, ABC):
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


def _window_properties(
    strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int], layout: str
) -> dict[str, Attribute]:
    return {
        "strides": i64_array(strides),
        "pads": i64_array(pads),
        "dilations": i64_array(dilations),
        "layout": StringAttr(layout),
    }


def ints(attribute: DenseArrayBase[Any]) -> tuple[int, ...]:
    return tuple(int(v) for v in array_to_numpy(attribute))


class _Convolution(_Windowed, ABC):
    input = operand_def(Tensor)  # again: xDSL orders operands from the most derived class up
    weight = operand_def(Tensor)
    bias = opt_operand_def(Tensor)
    groups = prop_def(IntegerAttr)

    @property
    def window(self) -> tuple[int, int]:
        _, _, kh, kw = shape_of(self.weight)
        return kh, kw

    @property
    def group_count(self) -> int:
        return self.groups.value.data

    @property
    def is_depthwise(self) -> bool:
        o, i, _, _ = shape_of(self.weight)
        return i == 1 and self.group_count == o and self.group_count > 1

    def channels(self) -> int:
        o, i, _, _ = shape_of(self.weight)
        c = shape_of(self.input)[shapes.channel_axis(self.layout.data)]
        if i * self.group_count != c or o % self.group_count:
            raise ValueError(
                f"weight {shape_of(self.weight)} in {self.group_count} groups for {c} channels"
            )
        if self.bias is not None and shape_of(self.bias) != (o,):
            raise ValueError(f"bias {shape_of(self.bias)} for {o} output channels")
        return o


def _convolution_type(
    x: SSAValue, weight: SSAValue, window: dict[str, Attribute], element_type: Attribute
) -> Tensor:
    layout = cast(StringAttr, window["layout"]).data
    o, _, kh, kw = shape_of(weight)
    strides, dilations, pads = (
        ints(cast(DenseArrayBase[Any], window[k])) for k in ("strides", "dilations", "pads")
    )
    shape = shapes.window_shape(shape_of(x), o, (kh, kw), strides, dilations, pads, layout)
    return TensorType(cast(Any, element_type), shape)


@irdl_op_definition
class Conv2dOp(_Convolution):
    """fp32 convolution with zero padding; bias [O] optional."""

    name = "graph.conv2d"

    def __init__(
        self,
        x: SSAValue,
        weight: SSAValue,
        bias: SSAValue | None = None,
        *,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilations: Sequence[int] = (1, 1),
        groups: int = 1,
        layout: str = "nchw",
    ):
        window = _window_properties(strides, pads, dilations, layout)
        super().__init__(
            operands=[x, weight, bias],
            properties={**window, "groups": IntegerAttr(groups, i64)},
            result_types=[_convolution_type(x, weight, window, f32)],
        )


@irdl_op_definition
class QConv2dOp(_Convolution):
    """Exact integer convolution Σ (x − zx)(w − zw) + bias in i32; padding contributes real zero (contract 3).

    `weight_zero_point` has one value or one per output channel; bias is i32 [O]."""

    name = "graph.qconv2d"
    input_zero_point = prop_def(IntegerAttr)
    weight_zero_point = prop_def(DenseArrayBase)

    def __init__(
        self,
        x: SSAValue,
        weight: SSAValue,
        bias: SSAValue | None = None,
        *,
        input_zero_point: int = 0,
        weight_zero_point: Any = 0,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilations: Sequence[int] = (1, 1),
        groups: int = 1,
        layout: str = "nchw",
    ):
        window = _window_properties(strides, pads, dilations, layout)
        super().__init__(
            operands=[x, weight, bias],
            properties={
                **window,
                "groups": IntegerAttr(groups, i64),
                "input_zero_point": IntegerAttr(input_zero_point, i64),
                "weight_zero_point": i32_array(weight_zero_point),
            },
            result_types=[_convolution_type(x, weight, window, i32)],
        )


class _MatMul(GraphOp, ABC):
    a = operand_def(Tensor)
    b = operand_def(Tensor)
    bias = opt_operand_def(Tensor)
    result = result_def(Tensor)

    def infer_shape(self) -> shapes.Shape:
        shape = shapes.matmul(shape_of(self.a), shape_of(self.b))
        if self.bias is not None and shape_of(self.bias) != (shape[-1],):
            raise ValueError(f"bias {shape_of(self.bias)} for {shape[-1]} columns")
        return shape


@irdl_op_definition
class MatMulOp(_MatMul):
    """fp32 numpy matmul (rank ≥ 2, leading axes broadcast) plus optional bias [N]."""

    name = "graph.matmul"

    def __init__(self, a: SSAValue, b: SSAValue, bias: SSAValue | None = None):
        shape = shapes.matmul(shape_of(a), shape_of(b))
        super().__init__(operands=[a, b, bias], result_types=[TensorType(f32, shape)])


@irdl_op_definition
class QMatMulOp(_MatMul):
    """Exact integer matmul Σ (a − za)(b − zb) + bias in i32; `b_zero_point` has one value or one per column."""

    name = "graph.qmatmul"
    a_zero_point = prop_def(IntegerAttr)
    b_zero_point = prop_def(DenseArrayBase)

    def __init__(
        self,
        a: SSAValue,
        b: SSAValue,
        bias: SSAValue | None = None,
        *,
        a_zero_point: int = 0,
        b_zero_point: Any = 0,
    ):
        shape = shapes.matmul(shape_of(a), shape_of(b))
        super().__init__(
            operands=[a, b, bias],
            properties={
                "a_zero_point": IntegerAttr(a_zero_point, i64),
                "b_zero_point": i32_array(b_zero_point),
            },
            result_types=[TensorType(i32, shape)],
        )


# --- pools ----------------------------------------------------------------------------------------------------------


class _Pool(_Windowed, ABC):
    kernel = prop_def(DenseArrayBase)

    @property
    def window(self) -> tuple[int, int]:
        kh, kw = ints(self.kernel)
        return kh, kw


def _pool_parts(
    x: SSAValue,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    layout: str,
    element_type: Attribute,
) -> tuple[dict[str, Attribute], Tensor]:
    channels = shape_of(x)[shapes.channel_axis(layout)]
    shape = shapes.window_shape(shape_of(x), channels, kernel, strides, dilations, pads, layout)
    properties = {
        "kernel": i64_array(kernel),
        **_window_properties(strides, pads, dilations, layout),
    }
    return properties, TensorType(cast(Any, element_type), shape)


@irdl_op_definition
class MaxPoolOp(_Pool):
    """Maximum over the window, on f32 or on codes; padding never wins."""

    name = "graph.max_pool"

    def __init__(
        self,
        x: SSAValue,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilations: Sequence[int] = (1, 1),
        layout: str = "nchw",
    ):
        element_type = type_of(x).element_type
        properties, result = _pool_parts(x, kernel, strides, pads, dilations, layout, element_type)
        super().__init__(operands=[x], properties=properties, result_types=[result])


@irdl_op_definition
class AvgPoolOp(_Pool):
    """f32 mean over the window; padding counts as zeros if `count_include_pad`, else it does not count."""

    name = "graph.avg_pool"
    count_include_pad = prop_def(BoolAttr)

    def __init__(
        self,
        x: SSAValue,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        count_include_pad: bool = False,
        layout: str = "nchw",
    ):
        properties, result = _pool_parts(x, kernel, strides, pads, (1, 1), layout, f32)
        properties["count_include_pad"] = BoolAttr.from_bool(count_include_pad)
        super().__init__(operands=[x], properties=properties, result_types=[result])


@irdl_op_definition
class QSumPoolOp(_Pool):
    """Exact integer window sum Σ (x − zx) in i32; padding contributes nothing."""

    name = "graph.qsum_pool"
    input_zero_point = prop_def(IntegerAttr)

    def __init__(
        self,
        x: SSAValue,
        kernel: Sequence[int],
        *,
        input_zero_point: int = 0,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        layout: str = "nchw",
    ):
        properties, result = _pool_parts(x, kernel, strides, pads, (1, 1), layout, i32)
        properties["input_zero_point"] = IntegerAttr(input_zero_point, i64)
        super().__init__(operands=[x], properties=properties, result_types=[result])


# --- elementwise ----------------------------------------------------------------------------------------------------


class BinaryOp(GraphOp, ABC):
    """Elementwise f32 with numpy broadcasting."""

    lhs = operand_def(Tensor)
    rhs = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, lhs: SSAValue, rhs: SSAValue):
        shape = shapes.broadcast(shape_of(lhs), shape_of(rhs))
        result = TensorType(cast(Any, type_of(lhs).element_type), shape)
        super().__init__(operands=[lhs, rhs], result_types=[result])

    def infer_shape(self) -> shapes.Shape:
        return shapes.broadcast(shape_of(self.lhs), shape_of(self.rhs))


@irdl_op_definition
class AddOp(BinaryOp):
    name = "graph.add"


@irdl_op_definition
class SubOp(BinaryOp):
    name = "graph.sub"


@irdl_op_definition
class MulOp(BinaryOp):
    name = "graph.mul"


@irdl_op_definition
class DivOp(BinaryOp):
    name = "graph.div"


@irdl_op_definition
class MaximumOp(BinaryOp):
    name = "graph.maximum"


@irdl_op_definition
class MinimumOp(BinaryOp):
    name = "graph.minimum"


@irdl_op_definition
class PowOp(BinaryOp):
    """lhs ** rhs; compiled where rhs is a constant small integer, 0.5 or −0.5."""

    name = "graph.pow"


@irdl_op_definition
class PReluOp(BinaryOp):
    """lhs where lhs ≥ 0, else lhs·rhs (the slope)."""

    name = "graph.prelu"


UNARY_KINDS = (
    "abs", "neg", "sqrt", "reciprocal", "exp", "log", "erf", "tanh", "sigmoid", "relu", "silu", "gelu", "gelu_tanh",
    "hard_swish", "softplus", "softsign", "mish", "floor", "ceil", "round", "sign",
    "leaky_relu", "elu", "selu", "hard_sigmoid", "clip",
)  # fmt: skip


@irdl_op_definition
class UnaryOp(GraphOp):
    """An elementwise f32 function, `kind` ∈ UNARY_KINDS; monotone, cheap or transcendental alike.

    Parameters: leaky_relu, elu: alpha; selu: alpha, beta (=gamma); hard_sigmoid: alpha, beta; clip: alpha (low),
    beta (high). Formulas: `compiler/functions.py`."""

    name = "graph.unary"
    input = operand_def(Tensor)
    kind = prop_def(StringAttr)
    alpha = opt_prop_def(FloatAttr)
    beta = opt_prop_def(FloatAttr)
    result = result_def(Tensor)

    def __init__(
        self, kind: str, x: SSAValue, alpha: float | None = None, beta: float | None = None
    ):
        super().__init__(
            operands=[x],
            properties={
                "kind": StringAttr(kind),
                "alpha": None if alpha is None else FloatAttr(alpha, f32),
                "beta": None if beta is None else FloatAttr(beta, f32),
            },
            result_types=[_like(x, f32)],
        )

    @property
    def parameters(self) -> tuple[float | None, float | None]:
        return (
            None if self.alpha is None else float(self.alpha.value.data),
            None if self.beta is None else float(self.beta.value.data),
        )

    def infer_shape(self) -> shapes.Shape:
        if self.kind.data not in UNARY_KINDS:
            raise ValueError(f"unknown function '{self.kind.data}'")
        return shape_of(self.input)


@irdl_op_definition
class CastOp(GraphOp):
    """Numeric conversion between element types (float → integer truncates, as ONNX Cast does)."""

    name = "graph.cast"
    input = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, element_type: Attribute):
        super().__init__(operands=[x], result_types=[_like(x, element_type)])

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)


@irdl_op_definition
class RecodeOp(GraphOp):
    """The same real values in the other signedness: code ± 128, a flip of the top bit (si8 ↔ ui8)."""

    name = "graph.recode"
    input = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, q: SSAValue):
        other = si8 if type_of(q).element_type == ui8 else ui8
        super().__init__(operands=[q], result_types=[_like(q, other)])

    def infer_shape(self) -> shapes.Shape:
        if not is_code(self.input) or value_dtype(self.input) == value_dtype(self.result):
            raise ValueError("recode maps ui8 to si8 or back")
        return shape_of(self.input)


# --- reductions and normalizations ----------------------------------------------------------------------------------


@irdl_op_definition
class ReduceOp(GraphOp):
    """`kind` ∈ {mean, sum, max, min} over `axes` of an f32 tensor."""

    name = "graph.reduce"
    input = operand_def(Tensor)
    kind = prop_def(StringAttr)
    axes = prop_def(DenseArrayBase)
    keepdims = prop_def(BoolAttr)
    result = result_def(Tensor)

    def __init__(self, kind: str, x: SSAValue, axes: Sequence[int], keepdims: bool):
        shape = shapes.reduce(shape_of(x), axes, keepdims)
        super().__init__(
            operands=[x],
            properties={
                "kind": StringAttr(kind),
                "axes": i64_array(axes),
                "keepdims": BoolAttr.from_bool(keepdims),
            },
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.reduce(shape_of(self.input), ints(self.axes), bool(self.keepdims))


@irdl_op_definition
class SoftmaxOp(GraphOp):
    """exp(x − max) / Σ exp(x − max) along `axis`."""

    name = "graph.softmax"
    input = operand_def(Tensor)
    axis = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, axis: int):
        super().__init__(
            operands=[x],
            properties={"axis": IntegerAttr(axis % len(shape_of(x)), i64)},
            result_types=[_like(x, f32)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)


@irdl_op_definition
class LayerNormOp(GraphOp):
    """(x − mean) / sqrt(variance + epsilon) · weight + bias over the last axis."""

    name = "graph.layer_norm"
    input = operand_def(Tensor)
    weight = operand_def(Tensor)
    bias = operand_def(Tensor)
    epsilon = prop_def(FloatAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, weight: SSAValue, bias: SSAValue, epsilon: float):
        super().__init__(
            operands=[x, weight, bias],
            properties={"epsilon": FloatAttr(epsilon, f32)},
            result_types=[_like(x, f32)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)


@irdl_op_definition
class BatchNormOp(GraphOp):
    """Inference batch normalization along axis 1: (x − mean) / sqrt(variance + epsilon) · weight + bias."""

    name = "graph.batch_norm"
    input = operand_def(Tensor)
    weight = operand_def(Tensor)
    bias = operand_def(Tensor)
    mean = operand_def(Tensor)
    variance = operand_def(Tensor)
    epsilon = prop_def(FloatAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, parameters: Sequence[SSAValue], epsilon: float):
        super().__init__(
            operands=[x, *parameters],
            properties={"epsilon": FloatAttr(epsilon, f32)},
            result_types=[_like(x, f32)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)


# --- movement -------------------------------------------------------------------------------------------------------


@irdl_op_definition
class ReshapeOp(GraphOp):
    name = "graph.reshape"
    input = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, shape: Sequence[int]):
        target = shapes.reshape(shape_of(x), tuple(shape))
        result = TensorType(cast(Any, type_of(x).element_type), target)
        super().__init__(operands=[x], result_types=[result])

    def infer_shape(self) -> shapes.Shape:
        return shapes.reshape(shape_of(self.input), shape_of(self.result))


@irdl_op_definition
class TransposeOp(GraphOp):
    """result axis i is input axis permutation[i]."""

    name = "graph.transpose"
    input = operand_def(Tensor)
    permutation = prop_def(DenseArrayBase)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, permutation: Sequence[int]):
        shape = [shape_of(x)[p] for p in permutation]
        super().__init__(
            operands=[x],
            properties={"permutation": i64_array(permutation)},
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        shape, permutation = shape_of(self.input), ints(self.permutation)
        if sorted(permutation) != list(range(len(shape))):
            raise ValueError(f"{permutation} is not a permutation of the axes of {shape}")
        return tuple(shape[p] for p in permutation)


@irdl_op_definition
class ConcatOp(GraphOp):
    name = "graph.concat"
    inputs = var_operand_def(Tensor)
    axis = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(self, inputs: Sequence[SSAValue], axis: int):
        shape = shapes.concat([shape_of(x) for x in inputs], axis)
        super().__init__(
            operands=[list(inputs)],
            properties={"axis": IntegerAttr(axis, i64)},
            result_types=[TensorType(cast(Any, type_of(inputs[0]).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.concat([shape_of(x) for x in self.inputs], self.axis.value.data)


@irdl_op_definition
class SliceOp(GraphOp):
    """input[starts[i] : limits[i] : steps[i]] per axis; steps are positive."""

    name = "graph.slice"
    input = operand_def(Tensor)
    starts = prop_def(DenseArrayBase)
    limits = prop_def(DenseArrayBase)
    steps = prop_def(DenseArrayBase)
    result = result_def(Tensor)

    def __init__(
        self, x: SSAValue, starts: Sequence[int], limits: Sequence[int], steps: Sequence[int]
    ):
        shape = shapes.slice_(shape_of(x), starts, limits, steps)
        super().__init__(
            operands=[x],
            properties={
                "starts": i64_array(starts),
                "limits": i64_array(limits),
                "steps": i64_array(steps),
            },
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.slice_(
            shape_of(self.input), ints(self.starts), ints(self.limits), ints(self.steps)
        )


@irdl_op_definition
class PadOp(GraphOp):
    """Constant padding; `value` is a real for f32 tensors and a code for ui8/si8."""

    name = "graph.pad"
    input = operand_def(Tensor)
    low = prop_def(DenseArrayBase)
    high = prop_def(DenseArrayBase)
    value = prop_def(FloatAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, low: Sequence[int], high: Sequence[int], value: float):
        shape = shapes.pad(shape_of(x), low, high)
        super().__init__(
            operands=[x],
            properties={
                "low": i64_array(low),
                "high": i64_array(high),
                "value": FloatAttr(value, f32),
            },
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )

    def infer_shape(self) -> shapes.Shape:
        return shapes.pad(shape_of(self.input), ints(self.low), ints(self.high))


@irdl_op_definition
class BroadcastOp(GraphOp):
    """numpy broadcast_to the result shape (ONNX Expand)."""

    name = "graph.broadcast"
    input = operand_def(Tensor)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, shape: Sequence[int]):
        result = TensorType(cast(Any, type_of(x).element_type), list(shape))
        super().__init__(operands=[x], result_types=[result])

    def infer_shape(self) -> shapes.Shape:
        return shapes.broadcast(shape_of(self.input), shape_of(self.result))


@irdl_op_definition
class GatherOp(GraphOp):
    """numpy take(input, indices, axis); indices i64."""

    name = "graph.gather"
    input = operand_def(Tensor)
    indices = operand_def(Tensor)
    axis = prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, indices: SSAValue, axis: int):
        before, after = shape_of(x)[:axis], shape_of(x)[axis + 1 :]
        super().__init__(
            operands=[x, indices],
            properties={"axis": IntegerAttr(axis, i64)},
            result_types=[
                TensorType(
                    cast(Any, type_of(x).element_type), [*before, *shape_of(indices), *after]
                )
            ],
        )


@irdl_op_definition
class ResizeNearestOp(GraphOp):
    """Nearest-neighbour up-sampling of an `nchw`/`nhwc` tensor by whole factors: out[i] = in[i // factor]."""

    name = "graph.resize_nearest"
    input = operand_def(Tensor)
    factors = prop_def(DenseArrayBase)
    layout = prop_def(StringAttr)
    result = result_def(Tensor)

    def __init__(self, x: SSAValue, factors: Sequence[int], layout: str = "nchw"):
        shape = list(shape_of(x))
        for axis, factor in zip(shapes.spatial_axes(layout), factors, strict=True):
            shape[axis] *= factor
        super().__init__(
            operands=[x],
            properties={"factors": i64_array(factors), "layout": StringAttr(layout)},
            result_types=[TensorType(cast(Any, type_of(x).element_type), shape)],
        )


# --- fused kernels --------------------------------------------------------------------------------------------------


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends the body of a `graph.kernel`."""

    name = "graph.yield"
    values = var_operand_def(Tensor)
    traits = traits_def(IsTerminator())
    assembly_format = "$values attr-dict `:` type($values)"

    def __init__(self, *values: SSAValue):
        super().__init__(operands=[list(values)])


@irdl_op_definition
class KernelOp(IRDLOperation):
    """Ops that become one native kernel: an anchor (contraction, pool, reduction, …) and its elementwise epilogue.

    The body has the tensor semantics of the ops in it, so fusing cannot change a result: the interpreter runs the body,
    the code generator keeps its values in registers. Operands are tensors in memory; constants live inside the body.
    `layer` names the source layer that the counters table reports as EXECUTED."""

    name = "graph.kernel"
    inputs = var_operand_def(Tensor)
    outputs = var_result_def(Tensor)
    body = region_def("single_block")
    traits = traits_def(Pure(), IsolatedFromAbove())

    def __init__(self, inputs: Sequence[SSAValue], result_types: Sequence[Attribute], body: Region):
        super().__init__(operands=[list(inputs)], result_types=[list(result_types)], regions=[body])

    @property
    def block(self) -> Block:
        return self.body.block

    @property
    def yielded(self) -> SSAValue:
        terminator = self.block.last_op
        assert isinstance(terminator, YieldOp)
        return terminator.values[0]

    def verify_(self) -> None:
        terminator = self.block.last_op
        if not isinstance(terminator, YieldOp):
            raise VerifyException("body must end with graph.yield")
        for inner, outer in zip(self.block.args, self.inputs, strict=True):
            if shape_of(inner) != shape_of(outer):
                raise VerifyException(f"argument {inner.type} for operand {outer.type}")
        for value, result in zip(terminator.values, self.outputs, strict=True):
            if shape_of(value) != shape_of(result):
                raise VerifyException(f"yields {value.type} for result {result.type}")


Graph = Dialect(
    "graph",
    [
        ConstantOp,
        # quantization
        FakeQuantizeOp, QuantizeOp, DequantizeOp, RequantizeOp, LutOp, RecodeOp,
        # contractions
        Conv2dOp, QConv2dOp, MatMulOp, QMatMulOp,
        # pools
        MaxPoolOp, AvgPoolOp, QSumPoolOp,
        # elementwise
        AddOp, SubOp, MulOp, DivOp, MaximumOp, MinimumOp, PowOp, PReluOp, UnaryOp, CastOp,
        # reductions and normalizations
        ReduceOp, SoftmaxOp, LayerNormOp, BatchNormOp,
        # movement
        ReshapeOp, TransposeOp, ConcatOp, SliceOp, PadOp, BroadcastOp, GatherOp, ResizeNearestOp,
        # fused kernels
        KernelOp, YieldOp,
    ],
    [LayoutAttr],
)  # fmt: skip
