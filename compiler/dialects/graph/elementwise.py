"""Elementwise ops: binary with numpy broadcasting, unary functions, casts."""

from __future__ import annotations

from abc import ABC
from typing import Any, cast

from xdsl.dialects.builtin import FloatAttr, StringAttr, TensorType, f32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, opt_prop_def, prop_def, result_def

from .. import shapes
from ..tensors import shape_of, type_of
from .base import GraphOp, Tensor, like


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
    "abs", "neg", "sqrt", "reciprocal", "exp", "log", "erf", "tanh", "sigmoid", "relu",
    "silu", "gelu", "gelu_tanh", "hard_swish", "softplus", "softsign", "mish", "floor",
    "ceil", "round", "sign", "leaky_relu", "elu", "selu", "hard_sigmoid", "clip",
)  # fmt: skip


@irdl_op_definition
class UnaryOp(GraphOp):
    """An elementwise f32 function, `kind` ∈ UNARY_KINDS; monotone, cheap or transcendental alike.

    Parameters: leaky_relu, elu: alpha; selu: alpha, beta (=gamma); hard_sigmoid: alpha, beta;
    clip: alpha (low), beta (high). Formulas: `compiler/functions.py`."""

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
            result_types=[like(x, f32)],
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
        super().__init__(operands=[x], result_types=[like(x, element_type)])

    def infer_shape(self) -> shapes.Shape:
        return shape_of(self.input)
