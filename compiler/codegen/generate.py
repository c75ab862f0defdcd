"""Dispatch from a `graph.kernel` to the generator for its anchor."""

from __future__ import annotations

from typing import cast

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, StringAttr
from xdsl.ir import Operation

from ..contractions.geometry import (
    Anchor,
    Contraction,
    as_oihw,
    contraction_of,
    folded_bias,
    plain_bias,
)
from ..contractions.packing import PackedGemm, bias_correction, channel_sums
from ..contractions.tile import Tile
from ..contractions.unpack import constants_of, packed_gemm, unpack
from ..dialects import graph
from ..dialects.tensors import Array, is_code, shape_of
from ..errors import LpcError
from ..passes.innermost_channels import channel_axis_of
from ..passes.kernel_classes import (
    CONVOLUTIONS,
    MATMULS,
    MOVEMENT,
    POOLS,
    ROWS,
    anchor_of,
    has_constant_weight,
    is_channel_gather,
)
from ..passes.rewriting import constant_of
from .kernels.batched_bytes import BytesMatMulGenerator
from .kernels.batched_float import FloatMatMulGenerator
from .kernels.batched_halves import HalvesMatMulGenerator
from .kernels.batched_matmul import BatchedMatMulGenerator
from .kernels.channel_gather import lower_channel_gather
from .kernels.common import LoweredKernel
from .kernels.depthwise import DepthwiseGenerator
from .kernels.depthwise_float import FloatDepthwiseGenerator
from .kernels.depthwise_halves import DepthwiseHalvesGenerator
from .kernels.elementwise import lower_elementwise
from .kernels.fold import FoldGenerator
from .kernels.gathered_gemm import GatheredGemmGenerator
from .kernels.gemm import GemmGenerator
from .kernels.movement import lower_movement
from .kernels.pool import PoolGenerator
from .kernels.rows import RowGenerator
from .kernels.tile_gemm import TileGemmGenerator
from .kernels.winograd_input import WinogradInputGenerator
from .kernels.winograd_points import PointsGenerator
from .kernels.winograd_taps import TapsGenerator
from .targets import Target

_NAME = "kernel"


def exec_type(kind: str, target: Target, quantized: bool, form: str = "") -> str:
    """`<kernel>_<isa>[_1x1|_dw]_<I8|FP32>`, the vocabulary of benchmark_app's counters."""
    middle = f"_{form}" if form else ""
    return f"{kind}_{target.name}{middle}_{'I8' if quantized else 'FP32'}"


def layer_of(kernel: graph.KernelOp) -> str:
    layer = kernel.attributes.get("layer")
    return f"layer '{layer.data}'" if isinstance(layer, StringAttr) else "a layer without name"


def halo_codes(kernel: graph.KernelOp) -> Array:
    """u8: one, or one for each channel."""
    attribute = kernel.attributes.get("halo_codes")
    codes = graph.ints(attribute) if isinstance(attribute, DenseArrayBase) else (0,)
    return np.asarray(codes).astype(np.uint8)


def generate_kernel(kernel: graph.KernelOp, target: Target) -> LoweredKernel:
    """LpcError, naming the layer, for an op that has no kernel."""
    _check_channels(kernel)
    anchor = anchor_of(kernel)
    if has_constant_weight(anchor):
        return _contraction(kernel, anchor, target)
    halo = halo_codes(kernel)
    if isinstance(anchor, graph.WinogradInputOp):
        transform = WinogradInputGenerator(_NAME, kernel, anchor, target)
        return transform.generate(exec_type("winograd_input", target, True))
    if isinstance(anchor, graph.WinogradQConv2dOp):
        return _winograd(kernel, anchor, target)
    codes = bool(kernel.inputs) and is_code(kernel.inputs[0])
    if isinstance(anchor, POOLS):
        kind = "max_pool" if isinstance(anchor, graph.MaxPoolOp) else "avg_pool"
        quantized = is_code(anchor.operands[0])
        generator = PoolGenerator(_NAME, kernel, cast(graph.PoolOp, anchor), target, halo)
        return generator.generate(exec_type(kind, target, quantized))
    if isinstance(anchor, ROWS):
        kind = anchor.name.removeprefix("graph.")
        rows = RowGenerator if _reduces_last_axis(anchor) else FoldGenerator
        return rows(_NAME, kernel, anchor, target, halo).generate(exec_type(kind, target, False))
    if is_channel_gather(anchor) and is_code(anchor.input):
        return lower_channel_gather(_NAME, kernel, anchor, exec_type("move", target, codes), halo)
    if isinstance(anchor, MOVEMENT):
        kind = "reorder" if isinstance(anchor, graph.ReshapeOp | graph.TransposeOp) else "move"
        return lower_movement(_NAME, kernel, anchor, exec_type(kind, target, codes), halo)
    if isinstance(anchor, MATMULS):
        quantized = isinstance(anchor, graph.QMatMulOp)
        matmul = _matmul_generator(quantized, target)(_NAME, kernel, anchor, target, halo)
        return matmul.generate(exec_type("matmul", target, quantized))
    if isinstance(anchor, CONVOLUTIONS):
        raise LpcError(
            f"{layer_of(kernel)}: a convolution whose weights or bias are computed at run time "
            "has no kernel; make them constants"
        )
    return lower_elementwise(_NAME, kernel, target, exec_type("eltwise", target, codes), halo)


def _check_channels(kernel: graph.KernelOp) -> None:
    """Lanes are neighbouring channels, and find constants by them: `innermost-channels` sees to it,
    where there is one axis to move."""
    for op in kernel.block.ops:
        if isinstance(op, graph.FakeQuantizeOp) and len(op.limit_axes) > 1:
            raise LpcError(
                f"{layer_of(kernel)} (FakeQuantize): limits that vary along several axes have no "
                "kernel; use one range for the tensor, or one for each channel"
            )
        axis = channel_axis_of(op)
        assert axis is None or axis == len(shape_of(op.operands[0])) - 1


def _matmul_generator(quantized: bool, target: Target) -> type[BatchedMatMulGenerator]:
    if not quantized:
        return FloatMatMulGenerator
    return HalvesMatMulGenerator if target.dot4 is None else BytesMatMulGenerator


def _reduces_last_axis(anchor: Operation) -> bool:
    rank = len(shape_of(anchor.operands[0]))
    if isinstance(anchor, graph.SoftmaxOp):
        return anchor.axis.value.data == rank - 1
    if isinstance(anchor, graph.ReduceOp):
        return graph.ints(anchor.axes) == (rank - 1,)
    return True


def _contraction(kernel: graph.KernelOp, anchor: Anchor, target: Target) -> LoweredKernel:
    c = contraction_of(anchor)
    form = "1x1" if c.is_pointwise and isinstance(anchor, CONVOLUTIONS) else ""
    if isinstance(anchor, graph.Conv2dOp) and anchor.is_depthwise:
        weight = constant_of(anchor.weight)
        assert weight is not None
        bias = plain_bias(_bias(anchor), c.outputs)
        generator = FloatDepthwiseGenerator(
            _NAME, kernel, anchor.result, c, weight, bias, target, halo_codes(kernel)
        )
        return generator.generate(exec_type("conv", target, False, "dw"))
    packed_op = anchor.operands[1].owner
    assert isinstance(packed_op, graph.PackedWeightsOp)
    assert not c.quantized or "proved" in packed_op.attributes
    data, order = constants_of(packed_op)
    if packed_op.scheme.data == "depthwise":
        return _depthwise(kernel, anchor, packed_op, c, target)
    packed = packed_gemm(packed_op, data, order)
    if c.quantized:
        bias = folded_bias(anchor, channel_sums(c, packed), _bias(anchor))
        bias = wrap(bias + bias_correction(c, packed))
    else:
        bias = plain_bias(_bias(anchor), c.outputs)
    generator_ = _gemm_generator(packed)(
        _NAME, kernel, anchor.result, c, packed, bias, target, halo_codes(kernel)
    )
    kind = "tile_gemm" if packed.chunk else "gemm"
    return generator_.generate(exec_type(kind, target, c.quantized, form))


def _gemm_generator(packed: PackedGemm) -> type[GemmGenerator]:
    if packed.chunk:
        return TileGemmGenerator
    return GatheredGemmGenerator if packed.team else GemmGenerator


def _depthwise(
    kernel: graph.KernelOp,
    anchor: Anchor,
    packed: graph.PackedWeightsOp,
    c: Contraction,
    target: Target,
) -> LoweredKernel:
    data, order = constants_of(packed)
    weight = as_oihw(anchor, unpack(packed, data, order))
    sums = weight.reshape(c.outputs, -1).sum(1, dtype=np.int64)
    bias = wrap(folded_bias(anchor, sums, _bias(anchor)))
    kind = DepthwiseHalvesGenerator if packed.form.data == "halves" else DepthwiseGenerator
    generator = kind(_NAME, kernel, anchor.result, c, data, bias, target, halo_codes(kernel))
    return generator.generate(exec_type("conv", target, True, "dw"))


def _winograd(
    kernel: graph.KernelOp, anchor: graph.WinogradQConv2dOp, target: Target
) -> LoweredKernel:
    packed = anchor.weight.owner
    assert isinstance(packed, graph.PackedWeightsOp)
    assert "proved" in packed.attributes
    data, order = constants_of(packed)
    weight = unpack(packed, data, order)
    sums = weight.reshape(len(weight), -1).sum(1, dtype=np.int64)
    bias = wrap(folded_bias(anchor, sums, _bias(anchor)))
    tile = Tile(*graph.ints(packed.tile))
    kind = TapsGenerator if packed.form.data == "taps" else PointsGenerator
    generator = kind(_NAME, kernel, anchor, tile, data, bias, target, halo_codes(kernel))
    return generator.generate(exec_type("winograd", target, True))


def wrap(sums: Array) -> Array:
    """i64 sums modulo 2³² as i32: accumulators wrap, and only their end result has to fit."""
    return sums.astype(np.int64).astype(np.uint64).astype(np.uint32).view(np.int32)


def _bias(anchor: Anchor | graph.WinogradQConv2dOp) -> Array | None:
    return None if anchor.bias is None else np.asarray(constant_of(anchor.bias))
