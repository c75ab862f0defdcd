"""Dispatch from a `graph.kernel` to the generator for its anchor."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Operation

from ..dialects import graph
from ..dialects.layout import Layout
from ..dialects.tensors import Array, is_code, shape_of, type_of
from ..errors import LpcError
from ..passes.assign_layouts import anchor_of
from ..passes.kernel_classes import (
    CONVOLUTIONS,
    MATMULS,
    MOVEMENT,
    POOLS,
    ROWS,
    has_constant_weight,
)
from ..passes.rewriting import constant_of
from .kernels.common import LoweredKernel
from ..contractions.geometry import (
    Contraction,
    as_oihw,
    contraction_of,
    folded_bias,
    runs_of,
    signed_terms,
)
from .kernels.depthwise import DepthwiseGenerator, pack_depthwise
from .kernels.depthwise_float import FloatDepthwiseGenerator
from .kernels.elementwise import lower_elementwise
from .kernels.gemm import GemmGenerator, grid_of, k_width, pack
from .kernels.movement import lower_movement
from .kernels.pool import PoolGenerator
from .kernels.rows import RowGenerator
from ..contractions.tile import Tile, choose_tile
from .targets import Target

_NAME = "kernel"


def exec_type(kind: str, target: Target, quantized: bool, form: str = "") -> str:
    """`<kernel>_<isa>[_1x1|_dw]_<I8|FP32>`, the vocabulary of benchmark_app's counters."""
    middle = f"_{form}" if form else ""
    return f"{kind}_{target.name}{middle}_{'I8' if quantized else 'FP32'}"


def halo_value(kernel: graph.KernelOp) -> int:
    attribute = kernel.attributes.get("halo_value")
    return attribute.value.data if isinstance(attribute, IntegerAttr) else 0


def generate_kernel(kernel: graph.KernelOp, target: Target) -> LoweredKernel:
    """LpcError, naming the layer, for an op that has no kernel."""
    anchor = anchor_of(kernel)
    if isinstance(anchor, (*CONVOLUTIONS, *MATMULS)) and has_constant_weight(anchor):
        return _contraction(kernel, cast(Any, anchor), target)
    halo = halo_value(kernel)
    codes = bool(kernel.inputs) and is_code(kernel.inputs[0])
    if isinstance(anchor, POOLS):
        kind = "max_pool" if isinstance(anchor, graph.MaxPoolOp) else "avg_pool"
        quantized = is_code(anchor.operands[0])
        generator = PoolGenerator(_NAME, kernel, cast(graph.PoolOp, anchor), halo)
        return generator.generate(exec_type(kind, target, quantized))
    if isinstance(anchor, ROWS) and _reduces_last_axis(anchor):
        kind = anchor.name.removeprefix("graph.")
        return RowGenerator(_NAME, kernel, anchor, halo).generate(exec_type(kind, target, False))
    if isinstance(anchor, MOVEMENT):
        kind = "reorder" if isinstance(anchor, graph.ReshapeOp | graph.TransposeOp) else "move"
        return lower_movement(_NAME, kernel, anchor, exec_type(kind, target, codes), halo)
    if isinstance(anchor, (*CONVOLUTIONS, *MATMULS, *ROWS)):
        layer = kernel.attributes.get("layer")
        raise LpcError(f"layer {layer}: {anchor.name} of this form has no kernel")
    return lower_elementwise(_NAME, kernel, exec_type("eltwise", target, codes), halo)


def _reduces_last_axis(anchor: Operation) -> bool:
    rank = len(shape_of(anchor.operands[0]))
    if isinstance(anchor, graph.SoftmaxOp):
        return anchor.axis.value.data == rank - 1
    if isinstance(anchor, graph.ReduceOp):
        return graph.ints(anchor.axes) == (rank - 1,)
    return True


def _contraction(kernel: graph.KernelOp, anchor: Any, target: Target) -> LoweredKernel:
    c, layout = contraction_of(anchor), Layout.of_type(type_of(kernel.inputs[0]))
    weight = constant_of(anchor.operands[1])
    assert weight is not None
    terms = signed_terms(anchor, as_oihw(anchor, weight))
    bias = folded_bias(anchor, terms, _bias(anchor))
    form = "1x1" if c.is_pointwise and isinstance(anchor, CONVOLUTIONS) else ""
    if isinstance(anchor, CONVOLUTIONS) and anchor.is_depthwise and len(terms) == 1:
        return _depthwise(kernel, anchor, c, terms[0], bias, target)
    tile = _tile(kernel, c, layout, "pairs_fit" in anchor.attributes, target)
    generator = GemmGenerator(
        _NAME,
        kernel,
        anchor.result,
        c,
        pack(c, runs_of(c, layout), terms, tile),
        bias,
        tile,
        target,
        "pairs_fit" in anchor.attributes,
        halo_value(kernel),
        len(terms),
    )
    return generator.generate(exec_type("gemm", target, c.quantized, form))


def _tile(
    kernel: graph.KernelOp, c: Contraction, layout: Layout, pairs_fit: bool, target: Target
) -> Tile:
    values = (*kernel.inputs, kernel.outputs[0])
    grid = grid_of(c, [Layout.of_type(type_of(v)) for v in values])
    runs = runs_of(c, layout)
    steps = len(runs.offsets) * -(-k_width(c, runs, Tile(1, 1, target.lanes)) // c.k_step)
    return choose_tile(target, c.quantized, pairs_fit, grid.rows, grid.columns, c.outputs, steps)


def _depthwise(
    kernel: graph.KernelOp, anchor: Any, c: Contraction, weight: Array, bias: Array, target: Target
) -> LoweredKernel:
    name = exec_type("conv", target, c.quantized, "dw")
    if not c.quantized:
        return FloatDepthwiseGenerator(
            _NAME, kernel, anchor.result, c, weight, bias, target
        ).generate(name)
    return DepthwiseGenerator(
        _NAME,
        kernel,
        anchor.result,
        c,
        pack_depthwise(c, weight, target.lanes),
        bias,
        target,
        "pairs_fit" in anchor.attributes,
        halo_value(kernel),
    ).generate(name)


def _bias(anchor: Any) -> Array | None:
    return None if anchor.bias is None else np.asarray(constant_of(anchor.bias))
