"""pack-weights: constant weights in the order of the target's microkernels.

    %w = graph.constant dense<…> : tensor<64x64x3x3xsi8>
  ⇒
    %d = graph.constant dense<…> : tensor<36864xui8>
    %w = graph.packed_weights %d {scheme = "gemm", tile = array<i64: 14, 2, 16>, …}

Layers are packed in parallel, by contractions/layer.py, which also chooses the tiles, unless they
are given, and on a target with tile registers which layers use them (attribute `path` of the op).
Weights that kernels multiply as s8 have their zero point subtracted here, as several s8
terms where one does not reach; the op's zero point becomes 0. On targets without VNNI every block
of channels also gets the order of its steps by proved form (contractions/forms.py), or a team of
blocks gets one of steps that gather their inputs (contractions/gathering.py), or weights are 16-bit
halves (contractions/halves.py). fp32 depthwise weights stay plain constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr, TensorType, f32, i32
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..codegen.targets import Target, by_name
from ..contractions.depthwise import bytes_fit, pack_depthwise
from ..contractions.depthwise_halves import pack_halves
from ..contractions.geometry import Anchor, as_oihw, contraction_of, grid_of, signed_terms
from ..contractions.layer import Layer, leader_of, models_of, pack_layer, path_of
from ..contractions.ordered_tile import Choice
from ..contractions.packing import PackedGemm
from ..contractions.winograd_packing import (
    pack_points,
    pack_taps,
    stores_taps,
    taps_fit,
    tile_for,
)
from ..contractions.winograd_tiling import Tiling
from ..dialects import graph
from ..dialects.layout import Layout
from ..dialects.tensors import Array, i32_array, shape_of, si8, type_of
from ..parallel import Helpers, Parallel
from .kernel_classes import CONVOLUTIONS, has_constant_weight
from .rewriting import constant_of


@dataclass
class _Packer:
    kernel: graph.KernelOp
    anchor: Anchor
    weight: Array
    target: Target
    library: Sequence[Target] = ()

    def __post_init__(self) -> None:
        self.contraction = contraction_of(self.anchor)
        self.terms = signed_terms(self.anchor, as_oihw(self.anchor, self.weight))

    @property
    def is_depthwise(self) -> bool:
        op = self.anchor
        return isinstance(op, CONVOLUTIONS) and op.is_depthwise and len(self.terms) == 1

    def pack_depthwise(self) -> None:
        c, weight = self.contraction, self.terms[0]
        if not c.quantized:
            return
        form = "" if self.target.dot4 else "bytes" if bytes_fit(c, weight) else "halves"
        data = (pack_halves if form == "halves" else pack_depthwise)(c, weight, self.target.lanes)
        path = "vectors: depthwise" if self.target.tile_dot4 else ""
        tile = (1, 4, self.target.lanes)
        self._replace(data, [], 1, path, scheme="depthwise", tile=tile, form=form)

    def layer(self) -> Layer:
        values = (*self.kernel.inputs, self.kernel.outputs[0])
        layouts = [Layout.of_type(type_of(value)) for value in values]
        c = self.contraction
        leader = leader_of(self.target, self.library, c.quantized)
        return Layer(c, layouts[0], grid_of(c, layouts), self.terms, self.target, leader)

    def use(self, packed: PackedGemm, merged: bool, path: str) -> None:
        order: list[Array] = []
        if packed.orders is not None:
            orders = packed.orders[:: packed.team or 1]
            order = [
                np.stack([o.starts for o in orders]),
                np.asarray([o.counts for o in orders], np.int32),
            ]
        tile = packed.tile
        self._replace(
            packed.data,
            order,
            len(self.terms),
            path,
            scheme="chunks" if packed.chunk else "gemm",
            tile=(tile.m, tile.n, tile.lanes),
            share=packed.share,
            merged=merged,
            form="halves" if packed.in_halves else "gathered" if packed.team else "",
        )

    def _replace(self, data: Array, order: list[Array], terms: int, path: str, **form: Any) -> None:
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
        if path:
            packed.attributes["path"] = StringAttr(path)
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
        pack_weights(op, by_name(self.target), {})


def pack_weights(
    module: ModuleOp,
    target: Target,
    choices: Mapping[str, Choice],
    library: Sequence[Target] = (),
    helpers: Helpers | None = None,
) -> None:
    """`choices`: tiles by `Layer.key`; `library`: targets to share packed weights with."""
    for op in list(module.walk()):
        if isinstance(op, graph.WinogradQConv2dOp):
            _pack_winograd(op, target, library)
    packers = []
    for packer in _packers(module, target, library):
        if packer.is_depthwise:
            packer.pack_depthwise()
        else:
            packers.append(packer)
    layers = [packer.layer() for packer in packers]
    for packer, layer, packed in zip(
        packers, layers, _packed(layers, choices, helpers), strict=True
    ):
        packer.use(packed, layer.runs.merged, path_of(layer, packed.chunk > 0))


def _packed(
    layers: Sequence[Layer], choices: Mapping[str, Choice], helpers: Helpers | None
) -> list[PackedGemm]:
    """Each layer as it was told; or else as it likes best, or as one before that is like it did."""
    models = range(len(layers)) if choices else models_of(layers)
    first = [number for number, model in enumerate(models) if number == model]
    with Parallel(pack_layer, helpers) as work:
        for number in first:
            layer = layers[number]
            work.add(layer.seconds, layer, choices.get(layer.key) if choices else None)
        done = dict(zip(first, work.results(), strict=True))
    others = [number for number in range(len(layers)) if number not in done]
    with Parallel(pack_layer, helpers) as work:
        for number in others:
            choice, _ = done[models[number]]
            work.add(layers[number].seconds, layers[number], choice)
        done.update(zip(others, work.results(), strict=True))
    return [done[number][1] for number in range(len(layers))]


def _pack_winograd(op: graph.WinogradQConv2dOp, target: Target, library: Sequence[Target]) -> None:
    weight = constant_of(op.weight)
    if weight is None:
        return  # packed already
    tile = tile_for(target, len(weight))
    images, rows, columns, outputs = shape_of(op.result)
    tiling, inputs = Tiling(images, rows, columns, weight.shape[-1]), weight.shape[1]
    # Points are eight times as large: where another target without VNNI stores taps, so do we.
    alike = [t for t in library if t.dot4 is None and taps_fit(tiling, outputs, target)]
    taps = any(stores_taps(tiling, inputs, outputs, t) for t in (target, *alike))
    data = graph.ConstantOp((pack_taps if taps else pack_points)(weight, tile))
    packed = graph.PackedWeightsOp(
        data.result,
        [],
        type_of(op.weight),
        scheme="winograd",
        tile=(tile.m, tile.n, tile.lanes),
        groups=1,
        form="taps" if taps else "points",
    )
    block = op.parent
    assert block is not None
    for new in (data, packed):
        block.insert_op_before(new, op)
    _replace_operand(op, 1, packed.result)


def layers_of(module: ModuleOp, target: Target) -> Iterator[tuple[graph.KernelOp, Layer]]:
    """The layers that have a tile."""
    for packer in _packers(module, target):
        if not packer.is_depthwise:
            yield packer.kernel, packer.layer()


def _packers(module: ModuleOp, target: Target, library: Sequence[Target] = ()) -> Iterator[_Packer]:
    for kernel in module.walk():
        if not isinstance(kernel, graph.KernelOp):
            continue
        for anchor in kernel.block.ops:
            if has_constant_weight(anchor):
                weight = constant_of(anchor.operands[1])
                if weight is not None and shape_of(anchor.operands[1]):
                    yield _Packer(kernel, anchor, weight, target, library)
