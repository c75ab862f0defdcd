"""assign-layouts: every tensor between kernels gets a memory layout as its type's encoding.

    tensor<1x56x56x64xui8>  ⇒  tensor<1x56x56x64xui8, #graph.layout<array<i64: 64, 1, 1, 1, 1>>>

- Model inputs and outputs are dense: their layout is the caller's.
- Tensors with at least 16 channels, and all results of contractions, have room for whole vectors of
  16 channels, so that no kernel needs tails.
- A tensor that convolutions read has the largest halo that they need, filled by its producer with
  the zero point, or with one for each channel (attribute `halo_codes` of the producing kernel), so
  that no window branches.
- A reshape is a view of the same memory where both sides can have one layout (equal as [N, H, W,
  C], or both dense); where they cannot, it becomes a copy kernel.
- Parts of a concatenation in place (concat-in-place) have the strides and the halo of the whole,
  which are what suits the readers of all of them. Each part's producer fills its own channels of
  the halo.

Where one tensor cannot serve two readers (a model input that a padded convolution reads, two halo
values), a copy kernel is inserted before the more demanding one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, OpResult, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..dialects import graph
from ..dialects.graph import ints
from ..dialects.layout import LANES, NO_HALO, Halo, Layout, LayoutAttr, as_nhwc
from ..dialects.tensors import i32_array, shape_of, type_of
from .kernel_classes import anchor_of, has_constant_weight
from .places import is_one_image, place_of, tensors_in
from .rewriting import copy_kernel, defining, view_source

_WAY_BYTES = 4096


@dataclass(frozen=True)
class Demand:
    """What one kernel operand must offer: a halo with this code in it, or one for each channel, and
    slack to over-read."""

    halo: Halo = NO_HALO
    codes: tuple[int, ...] = (0,)
    multiple: int = 1  # channels are read so many at a time, past the end if need be


def demand_of(use_op: Operation, index: int) -> Demand:
    """Demand of operand `index` of a kernel (nothing special for anything else)."""
    if not isinstance(use_op, graph.KernelOp):
        return Demand()
    anchor, argument = anchor_of(use_op), use_op.block.args[index]
    if isinstance(anchor, graph.WinogradInputOp):
        top, left, bottom, right = ints(anchor.pads)
        halo = (top, left, bottom, right)
        return Demand(halo, (anchor.input_zero_point.value.data,), LANES)
    if anchor.operands[:1] != (argument,) or not has_constant_weight(anchor):
        return Demand()
    multiple = 4 if isinstance(anchor, graph.QConv2dOp | graph.QMatMulOp) else 1
    if isinstance(anchor, graph.MatMulBase):
        return Demand(multiple=multiple)
    if anchor.is_depthwise:
        multiple = LANES
    top, left, bottom, right = ints(anchor.pads)
    codes = ints(anchor.input_zero_point) if isinstance(anchor, graph.QConv2dOp) else (0,)
    return Demand((top, left, bottom, right), codes, multiple)


def join(a: Demand, b: Demand) -> Demand | None:
    """The demand that satisfies both; None if their halos hold different codes."""
    if a.halo != NO_HALO and b.halo != NO_HALO and a.codes != b.codes:
        return None
    top, left, bottom, right = map(max, a.halo, b.halo)
    codes = a.codes if a.halo != NO_HALO else b.codes
    return Demand((top, left, bottom, right), codes, max(a.multiple, b.multiple))


class _Assigner:
    def __init__(self, func: FuncOp):
        self.func, self.block = func, func.body.block

    def run(self) -> None:
        self._separate_results()
        self._separate_readers()
        returned = {view_source(v) for v in self._terminator().arguments}
        for op in list(self.block.ops):
            if isinstance(op, graph.KernelOp | graph.ConcatOp):
                self._assign(op, place_of(op.results[0]).whole in returned)
            elif isinstance(op, graph.ConstantOp):
                self._assign_constant(op)
            elif isinstance(op, graph.ReshapeOp):
                self._assign_view(op)

    def _terminator(self) -> ReturnOp:
        terminator = self.block.last_op
        assert isinstance(terminator, ReturnOp)
        return terminator

    # --- copies -----------------------------------------------------------------------------------

    def copy_before(self, op: Operation, value: SSAValue, layer_of: Operation) -> SSAValue:
        """A kernel that copies `value`, inserted before `op`."""
        kernel = copy_kernel(value, layer_of)
        self.block.insert_op_before(kernel, op)
        return kernel.outputs[0]

    def _separate_results(self) -> None:
        """Each model output has a kernel of its own that can write to the caller's buffer."""
        seen: set[SSAValue] = set()
        terminator = self._terminator()
        for index, value in enumerate(terminator.arguments):
            root = view_source(value)
            produced = isinstance(root.owner, graph.KernelOp | graph.ConcatOp)
            if root in seen or not produced or not self._dense_suffices(root):
                layer = root.op if isinstance(root, OpResult) else terminator
                terminator.operands[index] = self.copy_before(terminator, value, layer)
                root = terminator.operands[index]
            seen.add(root)

    def _dense_suffices(self, root: SSAValue) -> bool:
        """Whether all who read any of the tensor are content with a dense one."""
        return all(d == Demand() for d in self._demands(root))

    def _demands(self, whole: SSAValue) -> list[Demand]:
        """Those of all readers of a tensor, its views and its parts."""
        return [d for tensor in tensors_in(whole) for d in self._demands_on(tensor)]

    def _demands_on(self, value: SSAValue) -> list[Demand]:
        demands = []
        for use in value.uses:
            if isinstance(use.operation, graph.ReshapeOp):
                demands += self._demands_on(use.operation.result)
            else:
                demands.append(demand_of(use.operation, use.index))
        return demands

    def _separate_readers(self) -> None:
        """Copies for readers whose demands the tensor itself cannot meet."""
        for op in list(self.block.ops):
            if not isinstance(op, graph.KernelOp):
                continue
            for index, operand in enumerate(list(op.operands)):
                demand = demand_of(op, index)
                if demand != Demand() and not self._can_offer(operand, demand):
                    op.operands[index] = self.copy_before(op, operand, op)

    def _can_offer(self, value: SSAValue, demand: Demand) -> bool:
        root = view_source(value)
        if not isinstance(root.owner, graph.KernelOp | graph.ConcatOp):
            c = as_nhwc(shape_of(value))[-1]
            return demand.halo == NO_HALO and c % demand.multiple == 0
        if root is not value and demand.halo != NO_HALO:
            return False  # a view has the halo of its source, which is another shape's
        whole = place_of(root).whole
        if demand.halo != NO_HALO and len(demand.codes) > 1 and len(tensors_in(whole)) > 1:
            return False  # each producer of a part would need codes of its own
        if self._has_dense_view(whole):
            return demand.halo == NO_HALO
        joined: Demand | None = Demand()
        for other in self._demands(whole):
            joined = join(joined, other) if joined is not None else None
        return joined is not None

    # --- layouts ----------------------------------------------------------------------------------

    def _has_dense_view(self, root: SSAValue) -> bool:
        return any(
            isinstance(use.operation, graph.ReshapeOp) and not is_one_image(use.operation)
            for use in root.uses
        )

    def _assign(self, op: graph.KernelOp | graph.ConcatOp, returned: bool) -> None:
        """The layout of an op's result: the whole's, of which it is perhaps a part."""
        value = op.results[0]
        whole = place_of(value).whole
        demand = Demand()
        for other in self._demands(whole):
            demand = join(demand, other) or demand
        dense = returned or self._has_dense_view(whole) or self._stays_narrow(whole)
        channels = as_nhwc(shape_of(whole))[-1]
        stride = channels if dense else -(-channels // LANES) * LANES
        layout = Layout(*as_nhwc(shape_of(value)), stride, demand.halo)
        if isinstance(op, graph.KernelOp):
            if isinstance(anchor_of(op), graph.WinogradInputOp):
                layout = _spread(layout)
            if demand.halo != NO_HALO:
                op.attributes["halo_codes"] = i32_array(demand.codes)
        self._set(value, layout)

    @staticmethod
    def _stays_narrow(whole: SSAValue) -> bool:
        """Few channels stay dense, so that a kernel row of the next convolution is one run."""
        kernel = defining(whole, graph.KernelOp)
        few = as_nhwc(shape_of(whole))[-1] < LANES
        if not few or kernel is None:
            return False
        anchor = anchor_of(kernel)
        return not has_constant_weight(anchor) and not isinstance(anchor, graph.WinogradInputOp)

    def _assign_constant(self, op: graph.ConstantOp) -> None:
        """Constant operands in memory are dense."""

    def _assign_view(self, op: graph.ReshapeOp) -> None:
        source = Layout.of_type(type_of(op.input))
        if is_one_image(op):
            n, h, w, c = as_nhwc(shape_of(op.result))
            self._set(op.result, Layout(n, h, w, c, source.channel_stride, source.halo))

    @staticmethod
    def _set(value: SSAValue, layout: Layout) -> None:
        if layout.is_dense:
            return
        old = type_of(value)
        new: Attribute = TensorType(
            cast(Any, old.element_type), old.get_shape(), LayoutAttr.of(layout)
        )
        Rewriter.replace_value_with_new_type(value, cast(Any, new))


def _spread(layout: Layout) -> Layout:
    """With room for one more pixel a row, if rows of two bytes an element would lie so far apart
    that they compete for the same places of a cache: all of them are written in turn."""
    competing = layout.row_stride * 2 % _WAY_BYTES in (0, _WAY_BYTES // 2)
    return replace(layout, halo=(0, 0, 0, 1)) if competing else layout


@dataclass(frozen=True)
class AssignLayouts(ModulePass):
    name: ClassVar[str] = "assign-layouts"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for func in op.body.block.ops:
            if isinstance(func, FuncOp):
                _Assigner(func).run()
