"""Where tensors lie that have no memory of their own: views.

A `graph.reshape` outside of kernels is a view of its operand. A `graph.concat` there is one turned
around (concat-in-place): its operands, the parts, are ranges of channels of its result, the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import SSAValue

from ..dialects import graph
from ..dialects.layout import as_nhwc
from ..dialects.tensors import shape_of
from .rewriting import defining, view_source


@dataclass(frozen=True)
class Place:
    """The tensor with memory of its own, and which of its channels is the first of another."""

    whole: SSAValue
    channel: int


def place_of(value: SSAValue) -> Place:
    """Where a tensor (or what it views) lies: in itself, or in a concatenation."""
    value, channel = view_source(value), 0
    while (use := use_as_part(value)) is not None:
        concat, index = use
        channel += sum(shape_of(part)[-1] for part in concat.inputs[:index])
        value = concat.result
    return Place(value, channel)


def tensors_in(whole: SSAValue) -> list[SSAValue]:
    """`whole`, its parts, and theirs."""
    concat = defining(whole, graph.ConcatOp)
    parts = [] if concat is None else concat.inputs
    return [whole, *(tensor for part in parts for tensor in tensors_in(part))]


def is_one_image(view: graph.ReshapeOp) -> bool:
    """Whether both shapes are one [N, H, W, C] tensor, whatever its strides."""
    return as_nhwc(shape_of(view.input)) == as_nhwc(shape_of(view.result))


def use_as_part(value: SSAValue) -> tuple[graph.ConcatOp, int] | None:
    """The concatenation that a tensor is a part of, and which one."""
    for use in value.uses:
        if isinstance(use.operation, graph.ConcatOp):
            return use.operation, use.index
    return None
