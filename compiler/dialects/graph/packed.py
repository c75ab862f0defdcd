"""Weights in the order of the kernel that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, StringAttr, TensorType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
)

from ..tensors import i64_array, type_of, ui8
from .base import GraphOp, Tensor, ints

SCHEMES = ("gemm", "chunks", "depthwise", "winograd")


@irdl_op_definition
class PackedWeightsOp(GraphOp):
    """The weight tensor whose packed bytes are `data` (contractions/packing.py, depthwise.py,
    winograd_packing.py).

    The value is the plain weight (of a convolution [O, I/groups, kh, kw], of a matmul [K, N]), zero
    point already subtracted, so the ops that use it mean what they meant; the code generator reads
    `data`. Scheme "chunks" is "gemm" for tile registers. `share`: how many blocks lie side by side
    in a panel of `tile`, where not one. `order`: for targets without VNNI where the steps of every
    block start, and how many chains of every form there are, two i32 constants; of form "gathered"
    all four inputs of each step, −1 for none, and for each team of blocks instead of each block.

        %w = graph.packed_weights %bytes {scheme = "gemm", tile = array<i64: 14, 2, 16>,
               groups = 1 : i64, terms = 1 : i64, merged = 0 : i64, form = ""}
    """

    name = "graph.packed_weights"
    data = operand_def(Tensor)
    order = var_operand_def(Tensor)
    scheme = prop_def(StringAttr)
    tile = prop_def(DenseArrayBase)
    groups = prop_def(IntegerAttr)
    terms = prop_def(IntegerAttr)
    merged = prop_def(IntegerAttr)
    form = prop_def(StringAttr)
    share = opt_prop_def(IntegerAttr)
    result = result_def(Tensor)

    def __init__(
        self,
        data: SSAValue,
        order: Sequence[SSAValue],
        result_type: TensorType[Any],
        *,
        scheme: str,
        tile: Sequence[int],
        groups: int,
        terms: int = 1,
        merged: bool = False,
        form: str = "",
        share: int = 1,
    ):
        super().__init__(
            operands=[data, list(order)],
            properties={
                "scheme": StringAttr(scheme),
                "tile": i64_array(tile),
                "groups": IntegerAttr(groups, i64),
                "terms": IntegerAttr(terms, i64),
                "merged": IntegerAttr(int(merged), i64),
                "form": StringAttr(form),
                **({"share": IntegerAttr(share, i64)} if share > 1 else {}),
            },
            result_types=[result_type],
        )

    def infer_shape(self) -> None:
        if self.scheme.data not in SCHEMES:
            raise ValueError(f"unknown packing scheme '{self.scheme.data}'")
        if type_of(self.data).element_type != ui8:
            raise ValueError("packed data are bytes")
        if len(self.order) not in (0, 2):
            raise ValueError("order has two tensors: starts and counts")
        if len(self.tile) != 3:
            raise ValueError("a tile has three sizes: pixels, vectors, lanes")
        if self.share is not None and ints(self.tile)[1] % self.share.value.data:
            raise ValueError("the vectors of a panel are not shared equally by its blocks")
