"""The graph dialect: value semantics on tensors, from the imported model down to fused kernels.

Element types are f32 for real values, ui8/si8 for quantization codes, i32 for exact accumulators,
and i64/i1 for indices and masks. Quantization parameters are attributes of the op that uses them
(`scale`, `zero_point`: one value, or one per channel along `axis`), never a side table. Rank-4
tensors are `nchw` or `nhwc` as the op's `layout` says; convolution weights are always [O, I/groups,
kh, kw]. Every op may carry `layer`, the name of its source layer.

    %q = graph.quantize %x {scale = array<f32: 0.1>, zero_point = array<i32: 3>, axis = 1 : i64,
                            qmin = 0 : i64, qmax = 255 : i64} : (tensor<4xf32>) -> tensor<4xui8>
"""

from __future__ import annotations

from xdsl.ir import Dialect

from ..layout import LayoutAttr
from .base import GraphOp, Tensor, ints
from .constants import ConstantOp
from .contractions import Conv2dOp, ConvolutionOp, MatMulBase, MatMulOp, QConv2dOp, QMatMulOp
from .elementwise import (
    UNARY_KINDS,
    AddOp,
    BinaryOp,
    CastOp,
    DivOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    PowOp,
    PReluOp,
    SubOp,
    UnaryOp,
)
from .kernel import KernelOp, YieldOp
from .movement import (
    BroadcastOp,
    ConcatOp,
    GatherOp,
    PadOp,
    ReshapeOp,
    ResizeNearestOp,
    SliceOp,
    TransposeOp,
)
from .packed import PackedWeightsOp
from .pools import AvgPoolOp, MaxPoolOp, PoolOp, QSumPoolOp
from .quantization import (
    DequantizeOp,
    FakeQuantizeOp,
    LutOp,
    QuantizeOp,
    QuantizingOp,
    RecodeOp,
    RequantizeOp,
    code_range,
)
from .reductions import BatchNormOp, LayerNormOp, ReduceOp, SoftmaxOp
from .windows import WindowedOp
from .winograd import WinogradInputOp, WinogradQConv2dOp

Graph = Dialect(
    "graph",
    [
        ConstantOp, PackedWeightsOp,
        # quantization
        FakeQuantizeOp, QuantizeOp, DequantizeOp, RequantizeOp, LutOp, RecodeOp,
        # contractions
        Conv2dOp, QConv2dOp, MatMulOp, QMatMulOp, WinogradInputOp, WinogradQConv2dOp,
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

__all__ = [
    "UNARY_KINDS",
    "AddOp",
    "AvgPoolOp",
    "BatchNormOp",
    "BinaryOp",
    "BroadcastOp",
    "CastOp",
    "ConcatOp",
    "ConstantOp",
    "Conv2dOp",
    "ConvolutionOp",
    "DequantizeOp",
    "DivOp",
    "FakeQuantizeOp",
    "GatherOp",
    "Graph",
    "GraphOp",
    "KernelOp",
    "LayerNormOp",
    "LayoutAttr",
    "LutOp",
    "MatMulBase",
    "MatMulOp",
    "MaxPoolOp",
    "MaximumOp",
    "MinimumOp",
    "MulOp",
    "PReluOp",
    "PackedWeightsOp",
    "PadOp",
    "PoolOp",
    "PowOp",
    "QConv2dOp",
    "QMatMulOp",
    "QSumPoolOp",
    "QuantizeOp",
    "QuantizingOp",
    "RecodeOp",
    "ReduceOp",
    "RequantizeOp",
    "ReshapeOp",
    "ResizeNearestOp",
    "SliceOp",
    "SoftmaxOp",
    "SubOp",
    "Tensor",
    "TransposeOp",
    "UnaryOp",
    "WindowedOp",
    "WinogradInputOp",
    "WinogradQConv2dOp",
    "YieldOp",
    "code_range",
    "ints",
]
