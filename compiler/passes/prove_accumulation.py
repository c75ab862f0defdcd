"""prove-accumulation: checks the proofs that the integer kernels rest on, and records them.

Three things could go wrong in an exact int8 kernel, and all follow from the constant weights:

- 16 bits: a chain of `vpmaddubsw` sums saturates or wraps. Packing sorted the steps by form
  (contractions/forms.py); here each bound is recomputed from the weights as packed, independently
  of the search that chose the order.
- inputs: the steps of a block have to read each of them, inside its run.
- 32 bits: max |Σ (a − z)(w − zw) + bias| < 2³¹ for all codes a. The sum may pass through any
  intermediate value, since i32 wraps. Sums that Winograd's filtering scales have to fit scaled.

A weight that passes gets the attribute `proved`; the code generator refuses int8 weights without
it. A failure is a bug of the compiler, not of the model, and is reported as such.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

from ..contractions.depthwise import bytes_fit
from ..contractions.forms import verify_order
from ..contractions.geometry import input_zero_points, run_inputs
from ..contractions.packing import (
    PackedGemm,
    alike_panels,
    counts_of,
    panel_bytes,
    steps_of_blocks,
)
from ..contractions.tile import Tile
from ..contractions.unpack import constants_of, geometry_of, packed_gemm, unpack
from ..contractions.winograd import fits
from ..contractions.winograd_packing import pack_points, pack_taps
from ..dialects import graph
from ..dialects.layout import LANES
from ..dialects.tensors import Array
from ..parallel import idle_cores
from .rewriting import constant_of

Integer: TypeAlias = graph.QConv2dOp | graph.QMatMulOp | graph.WinogradQConv2dOp


def every_input_is_read(op: graph.PackedWeightsOp) -> bool:
    """Whether the steps of each block read all inputs that there are, and no others."""
    data, order = constants_of(op)
    if not order:
        return True
    packed = packed_gemm(op, data, order)
    assert packed.orders is not None
    if counts_of(packed.orders).min() < 0:
        return False
    if data.nbytes != panel_bytes(geometry_of(op)[0], packed):
        return False
    if packed.team:
        return _every_input_is_gathered(op, packed)
    run, total = 4 * packed.steps, 4 * packed.natural_steps
    blocks, starts = steps_of_blocks(packed.orders)
    if not ((starts >= 0) & (starts < total) & (starts % run <= run - 4)).all():
        return False
    read = np.zeros((len(packed.orders), total), np.bool_)
    read[blocks[:, None], starts[:, None] + np.arange(4)] = True
    return bool(read.all())


def _every_input_is_gathered(op: graph.PackedWeightsOp, packed: PackedGemm) -> bool:
    """Each input in one place of each block's steps, and weights of zero in the places of none."""
    c, runs = geometry_of(op)
    assert packed.orders is not None
    shapes = {order.starts.shape for order in packed.orders}
    longest = max(order.executed for order in packed.orders)
    if c.groups > 1 or packed.terms > 1 or runs.length < LANES or shapes != {(longest, 4)}:
        return False
    expected = run_inputs(runs, packed.steps)
    for panel, orders in alike_panels(c, packed):
        blocks, inputs = steps_of_blocks(orders)
        is_read = inputs >= 0
        if panel[:, ~is_read].any():
            return False
        for block in range(len(orders)):
            own = inputs[blocks == block]
            if not np.array_equal(np.sort(own[own >= 0]), expected):
                return False
    return True


def sixteen_bits_suffice(op: graph.PackedWeightsOp) -> bool:
    """Whether no 16-bit sum of any chain can leave its range."""
    data, order = constants_of(op)
    c, _ = geometry_of(op)
    if op.scheme.data == "winograd":
        # Both operands of its `dot2` do, whatever the weights are, if they are transforms of them.
        tile = Tile(*graph.ints(op.tile))
        pack = pack_taps if op.form.data == "taps" else pack_points
        return np.array_equal(pack(unpack(op, data, order), tile), data)
    if op.scheme.data == "depthwise":
        return op.form.data != "bytes" or bytes_fit(c, unpack(op, data, order))
    packed = packed_gemm(op, data, order)
    if packed.in_halves:
        # Stored in 16 bits, but 8 are what the rest of the proof is about.
        halves = data.view(np.int16)
        return bool((halves.astype(np.int8) == halves).all())
    if packed.orders is None:
        return True
    return all(verify_order(panel, counts_of(orders)) for panel, orders in alike_panels(c, packed))


def thirty_two_bits_suffice(anchor: Integer, weight: Array) -> bool:
    """Whether |Σ (a − z)·w + bias| < 2³¹ for all codes a, per output channel."""
    if isinstance(anchor, graph.WinogradQConv2dOp) and not fits(weight):
        return False
    rows = weight.T if weight.ndim == 2 else weight.reshape(len(weight), -1)
    zero_points = input_zero_points(anchor)
    largest = np.maximum(abs(zero_points), abs(255 - zero_points))
    total = np.abs(rows.astype(np.int64)).sum(1) * largest
    if anchor.bias is not None:
        bias = constant_of(anchor.bias)
        assert bias is not None
        total += np.abs(bias.astype(np.int64))
    return bool(total.max(initial=0) < 2**31)


@dataclass(frozen=True)
class ProveAccumulation(ModulePass):
    name: ClassVar[str] = "prove-accumulation"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        packed = [one for one in op.walk() if isinstance(one, graph.PackedWeightsOp)]
        # Threads, because nearly all of the time is numpy's, which lets others run meanwhile.
        with ThreadPoolExecutor(1 + idle_cores()) as pool:
            list(pool.map(self._prove_for_all, packed))

    def _prove_for_all(self, packed: graph.PackedWeightsOp) -> None:
        for use in packed.result.uses:
            anchor = use.operation
            if isinstance(anchor, Integer):
                self._prove(packed, anchor)

    @staticmethod
    def _prove(packed: graph.PackedWeightsOp, anchor: Integer) -> None:
        if not every_input_is_read(packed):
            raise VerifyException(f"a step of {anchor.name} reads other inputs: packing is wrong")
        if not sixteen_bits_suffice(packed):
            raise VerifyException(f"a chain of {anchor.name} can leave 16 bits: packing is wrong")
        if not thirty_two_bits_suffice(anchor, unpack(packed, *constants_of(packed))):
            raise VerifyException(f"a sum of {anchor.name} can leave 32 bits")
        packed.attributes["proved"] = UnitAttr()
