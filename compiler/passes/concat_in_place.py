"""concat-in-place: producers write where the concatenation has their channels; nothing is copied.

    %a = graph.kernel …                               %a = graph.kernel …
    %b = graph.kernel …                           ⇒   %b = graph.kernel …
    %w = graph.kernel %a, %b { graph.concat }         %w = graph.concat %a, %b

A concat along the channels that stands outside of kernels is a view, as a reshape is: its operands,
the parts, are ranges of channels of its result, the whole (places.py), and have its strides and
halo (assign-layouts) in its memory (plan-memory). A whole may be a part of another one. A concat
whose operands begin with those of an earlier one, as each does in a dense block, begins with that
whole instead, so that one tensor grows through the block.

- Kernels write whole vectors of 16 channels, past the last one if need be: all parts but the last
  have a multiple of 16 channels. Else the concat stays a kernel that copies.
- What cannot be a part is copied into the whole: what no kernel writes (model inputs, constants),
  what has a place already (model outputs, parts of another concat or of this one), and what must be
  dense, because it is also read in another shape. A concat with two such operands or more stays a
  kernel: several copies are not less work.
- A gather of channels that reads the operands of a concat is one kernel with it, which stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, BlockArgument, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..dialects import graph
from ..dialects.layout import LANES
from ..dialects.tensors import shape_of
from .places import is_one_image, use_as_part
from .rewriting import copy_kernel, inherit_layer, returned_values, view_source


def _operands_of_concat(kernel: graph.KernelOp) -> list[SSAValue] | None:
    """What a kernel concatenates along the channels, if it does nothing else."""
    concat = kernel.block.first_op
    if not isinstance(concat, graph.ConcatOp) or kernel.yielded is not concat.result:
        return None
    if concat.axis.value.data != len(shape_of(concat.result)) - 1:
        return None
    arguments = [value for value in concat.inputs if isinstance(value, BlockArgument)]
    return [kernel.inputs[argument.index] for argument in arguments]


def _is_read_densely(value: SSAValue) -> bool:
    views = [use.operation for use in value.uses if isinstance(use.operation, graph.ReshapeOp)]
    return any(not is_one_image(view) or _is_read_densely(view.result) for view in views)


class _Placer:
    def __init__(self, block: Block):
        self.block = block
        self.returned = {view_source(value) for value in returned_values(block)}
        #: Wholes by what they concatenate.
        self.wholes: dict[tuple[SSAValue, ...], SSAValue] = {}

    def run(self) -> None:
        for kernel in list(self.block.ops):
            if not isinstance(kernel, graph.KernelOp):
                continue
            operands = _operands_of_concat(kernel)
            if operands is not None:
                self._place(kernel, operands)

    def _place(self, kernel: graph.KernelOp, operands: Sequence[SSAValue]) -> None:
        parts = self._shortened(operands)
        if any(shape_of(part)[-1] % LANES for part in parts[:-1]):
            return
        copied = [i for i, part in enumerate(parts) if not self._fits(part) or part in parts[:i]]
        if len(copied) > 1 or len(copied) == len(parts):
            return
        for index in copied:
            copy = copy_kernel(parts[index], kernel)
            self.block.insert_op_before(copy, kernel)
            parts[index] = copy.outputs[0]
        concat = graph.ConcatOp(parts, len(shape_of(parts[0])) - 1)
        inherit_layer(concat, kernel)
        if kernel.outputs[0] in self.returned:
            self.returned.add(concat.result)
        Rewriter.replace_op(kernel, concat)
        self.wholes[tuple(operands)] = concat.result

    def _shortened(self, operands: Sequence[SSAValue]) -> list[SSAValue]:
        """The operands, with the whole in the place of the first ones that there is one of."""
        for count in range(len(operands) - 1, 1, -1):
            whole = self.wholes.get(tuple(operands[:count]))
            if whole is not None:
                return [whole, *operands[count:]]
        return list(operands)

    def _fits(self, value: SSAValue) -> bool:
        """Whether the tensor can be written into a concatenation."""
        produced = isinstance(value.owner, graph.KernelOp | graph.ConcatOp)
        placed = value in self.returned or use_as_part(value) is not None
        return produced and not placed and not _is_read_densely(value)


@dataclass(frozen=True)
class ConcatInPlace(ModulePass):
    name: ClassVar[str] = "concat-in-place"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for func in op.body.block.ops:
            if isinstance(func, FuncOp):
                _Placer(func.body.block).run()
