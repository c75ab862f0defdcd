"""prove-accumulation: which contractions may add products in 16 bits before they reach i32.

`vpmaddubsw` sums two u8×s8 products and *saturates* at 16 bits. For constant weights w0, w1 and any
codes a0, a1 ∈ [0, 255]:

    −255·(|w0|⁻ + |w1|⁻) ≤ a0·w0 + a1·w1 ≤ 255·(w0⁺ + w1⁺)

(w⁺, |w|⁻: positive and negative parts), so no sum leaves [−32768, 32767] if both parenthesised sums
are at most 128. The pairs are neighbours in the order in which the kernel reads its inputs, so this
runs after assign-layouts. A contraction all of whose pairs pass gets `pairs_fit`; without it no
saturating instruction is selected. Independently, the i32 sum itself was proved when the contraction
became integer (integerize-contractions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.passes import ModulePass

from ..contractions.geometry import (
    as_oihw,
    block_inputs,
    contraction_of,
    matrix_of,
    runs_of,
    signed_terms,
)
from ..codegen.kernels.depthwise import tap_groups
from ..dialects import graph
from ..dialects.layout import Layout
from ..dialects.tensors import Array, type_of
from .kernel_classes import has_constant_weight
from .rewriting import constant_of

LIMIT = 128


def pairs_fit(pairs: Array) -> bool:
    """`pairs` [..., 2]: whether no pair can leave 16 bits for any u8 operands."""
    wide = pairs.astype(np.int32)
    positive = np.maximum(wide, 0).sum(-1).max(initial=0)
    negative = np.maximum(-wide, 0).sum(-1).max(initial=0)
    return bool(positive <= LIMIT and negative <= LIMIT)


def contraction_pairs(op: graph.QConv2dOp | graph.QMatMulOp, layout: Layout) -> Array:
    """All weight pairs [n, 2] in the order of the kernel that will compute `op`."""
    weight = constant_of(op.operands[1])
    assert weight is not None
    c, terms = contraction_of(op), signed_terms(op, as_oihw(op, weight))
    if isinstance(op, graph.QConv2dOp) and op.is_depthwise:
        return np.concatenate([_depthwise_pairs(term, c) for term in terms])
    runs = runs_of(c, layout)
    width = runs.length
    if c.groups > 1:
        low, high = block_inputs(c, 0, c.outputs)
        width = high - low
    width += -width % 4
    matrices = [matrix_of(c, runs, term, 0, c.outputs, width) for term in terms]
    parts = [matrix.reshape(-1, 2) for matrix in matrices]
    if c.groups > 1:  # a block may begin at an odd channel
        parts += [matrix[..., 1:-1].reshape(-1, 2) for matrix in matrices]
    return np.concatenate(parts)


def _depthwise_pairs(term: Array, c: object) -> Array:
    from ..contractions.geometry import Contraction

    assert isinstance(c, Contraction)
    flat = term.reshape(c.outputs, -1)
    index = {tap: i for i, tap in enumerate(c.taps)}
    columns = []
    for group in tap_groups(c):
        block = np.zeros((c.outputs, 4), np.int8)
        for t, tap in enumerate(group):
            block[:, t] = flat[:, index[tap]]
        columns.append(block.reshape(-1, 2))
    return np.concatenate(columns)


@dataclass(frozen=True)
class ProveAccumulation(ModulePass):
    name: ClassVar[str] = "prove-accumulation"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in list(op.walk()):
            if not isinstance(kernel, graph.KernelOp):
                continue
            for anchor in kernel.block.ops:
                if isinstance(anchor, graph.QConv2dOp | graph.QMatMulOp) and has_constant_weight(
                    anchor
                ):
                    layout = Layout.of_type(type_of(kernel.inputs[0]))
                    if pairs_fit(contraction_pairs(anchor, layout)):
                        anchor.attributes["pairs_fit"] = UnitAttr()
