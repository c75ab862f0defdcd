"""pack-weights: constant weights in the order of the target's microkernels.

    %w = graph.constant dense<…> : tensor<64x64x3x3xsi8>
  ⇒
    %d = graph.constant dense<…> : tensor<36864xui8>
    %w = graph.packed_weights %d {scheme = "gemm", tile = array<i64: 14, 2, 16>, …}

The pass chooses the tile (contractions/tile.py). Weights that kernels multiply as s8 have their
zero point subtracted here, as several s8 terms where one does not reach; the op's zero point
becomes 0. On targets without VNNI every block of channels also gets the order of its steps by
proved form (contractions/forms.py). fp32 depthwise weights stay plain constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType, f32, i32
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..codegen.targets import Target, by_name
from ..contractions.chains import FULL_MENU, Menu
from ..contractions.depthwise import depthwise_form, pack_depthwise
from ..contractions.geometry import (
    Anchor,
    Contraction,
    Runs,
    as_oihw,
    contraction_of,
    grid_of,
    runs_of,
    signed_terms,
)
from ..contractions.ordered_tile import choose_ordered_tile
from ..contractions.packing import k_width, pack_gemm, sample_blocks, unpack_gemm
from ..contractions.tile import Tile, choose_tile
from ..dialects import graph
from ..dialects.layout import Layout
from ..dialects.tensors import Array, i32_array, shape_of, si8, type_of
from .kernel_classes import CONVOLUTIONS, has_constant_weight
from .rewriting import constant_of


@dataclass
class _Packer:
    kernel: graph.KernelOp
    anchor: Anchor
    weight: Array
    target: Target

    def run(self) -> None:
        op, c = self.anchor, contraction_of(self.anchor)
        terms = signed_terms(op, as_oihw(op, self.weight))
        if isinstance(op, CONVOLUTIONS) and op.is_depthwise and len(terms) == 1:
            if c.quantized:
                self._depthwise(c, terms[0])
            return
        self._gemm(c, terms)

    def _depthwise(self, c: Contraction, weight: Array) -> None:
        data = pack_depthwise(c, weight, self.target.lanes)
        form = "" if self.target.dot4 else depthwise_form(c, weight).name
        self._replace(data, [], 1, scheme="depthwise", tile=(1, 4, self.target.lanes), form=form)

    def _gemm(self, c: Contraction, terms: list[Array]) -> None:
        runs = runs_of(c, self.layout)
        tile, menu = self._tile(c, runs, terms)
        packed = pack_gemm(c, runs, terms, tile, self.target, menu)
        weight = terms[0] if len(terms) == 1 else np.sum(terms, axis=0, dtype=np.int32)
        assert np.array_equal(unpack_gemm(c, runs, packed), weight)
        order: list[Array] = []
        if packed.orders is not None:
            order = [
                np.stack([o.steps for o in packed.orders]),
                np.asarray([o.counts for o in packed.orders], np.int32),
            ]
        self._replace(
            packed.data,
            order,
            len(terms),
            scheme="gemm",
            tile=(tile.m, tile.n, tile.lanes),
            merged=runs.merged,
        )

    @property
    def layout(self) -> Layout:
        return Layout.of_type(type_of(self.kernel.inputs[0]))

    def _tile(self, c: Contraction, runs: Runs, terms: list[Array]) -> tuple[Tile, Menu]:
        values = (*self.kernel.inputs, self.kernel.outputs[0])
        grid = grid_of(c, [Layout.of_type(type_of(v)) for v in values])
        target, lanes = self.target, self.target.lanes
        if c.quantized and target.dot4 is None:

            def sampler(n: int, most: int) -> list[Array]:
                return sample_blocks(c, runs, terms, Tile(1, n, lanes), most)

            choice = choose_ordered_tile(target, grid, c.outputs, sampler)
            return choice.tile, choice.menu
        width = k_width(c, runs, Tile(1, 1, lanes))
        steps = len(runs.offsets) * -(-width // c.k_step)
        x = self.layout
        pixel_bytes = x.channel_stride * c.strides[1] * (1 if c.quantized else 4)
        tile = choose_tile(
            target, c.quantized, grid.rows, grid.columns, c.outputs, steps, pixel_bytes
        )
        return tile, FULL_MENU

    def _replace(self, data: Array, order: list[Array], terms: int, **form: Any) -> None:
        op = self.anchor
        index = 1
        old = type_of(op.operands[index])
        integer = si8 if terms == 1 else i32
        element = integer if isinstance(op, graph.QConv2dOp | graph.QMatMulOp) else f32
        constants = [graph.ConstantOp(data), *(graph.ConstantOp(a) for a in order)]
        packed = graph.PackedWeightsOp(
            constants[0].result,
            [c.result for c in constants[1:]],
            TensorType(element, old.get_shape()),
            groups=op.group_count if isinstance(op, CONVOLUTIONS) else 1,
            terms=terms,
            **form,
        )
        block = op.parent
        assert block is not None
        for new in (*constants, packed):
            block.insert_op_before(new, op)
        _replace_operand(op, index, packed.result)
        for name in ("weight_zero_point", "b_zero_point"):
            if name in op.properties:
                op.properties[name] = i32_array(0)


def _replace_operand(op: Operation, index: int, value: SSAValue) -> None:
    """Swaps an operand and drops the constant that nobody reads any more."""
    old = op.operands[index]
    op.operands[index] = value
    producer = old.owner
    if isinstance(producer, graph.ConstantOp) and not old.uses:
        Rewriter.erase_op(producer)


@dataclass(frozen=True)
class PackWeights(ModulePass):
    name: ClassVar[str] = "pack-weights"
    target: str = "avx2"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = by_name(self.target)
        for kernel in list(op.walk()):
            if not isinstance(kernel, graph.KernelOp):
                continue
            for anchor in list(kernel.block.ops):
                if not has_constant_weight(anchor):
                    continue
                weight = constant_of(anchor.operands[1])
                if weight is not None and shape_of(anchor.operands[1]):
                    _Packer(kernel, anchor, weight, target).run()
