"""Conv (1-D and 2-D), MatMul and Gemm.

Conv 1-D  [N,C,L]        ⇒ reshape [N,C,1,L] → conv2d → reshape
Gemm      αA'B' + βC     ⇒ matmul(A', B') with bias βC where α = 1 and C is one row,
                               else matmul → mul α → add βC
"""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.tensors import shape_of
from . import weights
from .context import Converter, Node, NodeError
from .windows import in_two_dimensions, read_window


def _convert_conv(node: Node) -> SSAValue:
    x, weight = node.real(0), node.real(1)
    bias = node.real(2) if node.has(2) else None
    shape, kernel = shape_of(x), shape_of(weight)[2:]
    if len(shape) != len(shape_of(weight)) or len(shape) < 3:
        raise NodeError(
            f"shape mismatch: input {shape} and weight {shape_of(weight)}; both need the same rank"
        )
    declared = tuple(node.attribute("kernel_shape", list(kernel)))
    if declared != kernel:
        raise NodeError(
            f"shape mismatch: kernel_shape {declared} but the weight is {shape_of(weight)}; "
            "correct the attribute or the weight"
        )
    window = in_two_dimensions(read_window(node, kernel, shape[2:]))
    is_flat = len(shape) == 3
    if is_flat:
        x = node.reshape(x, (*shape[:2], 1, shape[2]))
        weight = weights.with_unit_height(node, weight)
    y = node.emit(
        graph.Conv2dOp(
            x,
            weight,
            bias,
            strides=window.strides,
            pads=window.pads,
            dilations=window.dilations,
            groups=node.attribute("group", 1),
        )
    )
    n, o, _, columns = shape_of(y)
    return node.reshape(y, (n, o, columns)) if is_flat else y


def _convert_matmul(node: Node) -> SSAValue:
    a, b = node.real(0), node.real(1)
    a_shape, b_shape = shape_of(a), shape_of(b)
    if not a_shape or not b_shape:
        raise NodeError("shape mismatch: a scalar operand; MatMul needs rank 1 or more")
    if len(a_shape) == 1:
        a = node.reshape(a, (1, *a_shape))
    if len(b_shape) == 1:
        b = node.reshape(b, (*b_shape, 1))
    y = node.emit(graph.MatMulOp(a, b))
    shape = list(shape_of(y))
    if len(b_shape) == 1:
        del shape[-1]
    if len(a_shape) == 1:
        del shape[-1 if len(b_shape) == 1 else -2]
    return node.reshape(y, shape)


def _convert_gemm(node: Node) -> SSAValue:
    a, b = node.real(0), node.real(1)
    if len(shape_of(a)) != 2 or len(shape_of(b)) != 2:
        raise NodeError(f"shape mismatch: {shape_of(a)} and {shape_of(b)}; Gemm needs matrices")
    if node.attribute("transA", 0):
        a = weights.transposed(node, a, (1, 0))
    if node.attribute("transB", 0):
        b = weights.transposed(node, b, (1, 0))
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    bias = _scaled_bias(node, beta) if node.has(2) and beta != 0 else None
    columns = shape_of(b)[1]
    if alpha == 1 and bias is not None and shape_of(bias) in ((columns,), (1, columns)):
        return node.emit(graph.MatMulOp(a, b, _as_row(node, bias)))
    y = node.emit(graph.MatMulOp(a, b))
    if alpha != 1:
        y = node.emit(graph.MulOp(y, node.scalar(alpha)))
    return y if bias is None else node.emit(graph.AddOp(y, bias))


def _scaled_bias(node: Node, beta: float) -> SSAValue:
    if beta == 1:
        return node.real(2)
    value = node.value(2)
    if not isinstance(value, SSAValue):
        return node.constant(value * np.float32(beta))
    return node.emit(graph.MulOp(node.real(2), node.scalar(beta)))


def _as_row(node: Node, bias: SSAValue) -> SSAValue:
    owner = bias.owner
    columns = shape_of(bias)[-1]
    if isinstance(owner, graph.ConstantOp) and shape_of(bias) != (columns,):
        return node.constant(owner.array.reshape(columns))
    return node.reshape(bias, (columns,))


CONVERTERS: dict[str, Converter] = {
    "Conv": _convert_conv,
    "MatMul": _convert_matmul,
    "Gemm": _convert_gemm,
}
