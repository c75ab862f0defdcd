"""channels-last: images become [N, H, W, C], with transposes left at the border of the model only.

    %y = graph.conv2d %x, %w {layout = "nchw"}       %t = transpose %x [0, 2, 3, 1]
    %r = graph.unary %y {kind = "relu"}         ⇒    %y = graph.conv2d %t, %w {layout = "nhwc"}
                                                     %r = graph.unary %y {kind = "relu"}

One walk in program order carries along, for every [N, C, H, W] value computed so far, its
channels-last twin. Windowed ops start twins, and so does what has a scale per channel; ops that
treat all elements alike, or name axes that can be renamed, continue them; transposes between the
layouts end or start them for nothing. Whatever else reads a value gets it transposed back. So the
pass is linear, and no transpose stands between two ops that can both work channels-last. The first
one of a model stays below the quantize of its input, where it moves bytes: above, it would move
floats, and take 2.5 times as long.

A flatten of an image in front of a matmul with constant weights permutes the weight's rows instead.
Reductions and softmax over the channel axis keep their layout: their summation order is part of the
numeric contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, TensorType, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..dialects import graph
from ..dialects.graph import ints
from ..dialects.tensors import Array, i64_array, shape_of, type_of
from .innermost_channels import channel_axis_of
from .kernel_classes import CONVOLUTIONS, ELEMENTWISE, MATMULS, POOLS
from .rewriting import constant_of, inherit_layer

TO_LAST = (0, 2, 3, 1)  # result axis i is input axis TO_LAST[i]
TO_FIRST = (0, 3, 1, 2)
WINDOWED: tuple[type[Operation], ...] = (*CONVOLUTIONS, *POOLS, graph.ResizeNearestOp)
_AXIS = {old: new for new, old in enumerate(TO_LAST)}


def permuted(values: Sequence[int]) -> list[int]:
    """Per-axis numbers of an [N, C, H, W] tensor in channels-last order."""
    return [values[p] for p in TO_LAST]


@dataclass
class _ChannelsLast:
    block: Block

    def __post_init__(self) -> None:
        self.twins: dict[SSAValue, SSAValue] = {}
        self.borders: dict[SSAValue, SSAValue] = {}  # values that a transpose made channels-last

    def run(self) -> None:
        for op in list(self.block.ops):
            self._visit(op)
        for op in reversed(list(self.block.ops)):
            if isinstance(op, graph.GraphOp) and not any(r.uses for r in op.results):
                Rewriter.erase_op(op)

    def _visit(self, op: Operation) -> None:
        twin = self._convert(op)
        if twin is not None:
            return
        for index, operand in enumerate(op.operands):
            if operand in self.twins:
                op.operands[index] = self._original(operand, op)

    # --- twins ------------------------------------------------------------------------------------

    def _insert(self, new: Operation, before: Operation) -> SSAValue:
        inherit_layer(new, before)
        self.block.insert_op_before(new, before)
        return new.results[0]

    def _original(self, value: SSAValue, user: Operation) -> SSAValue:
        """The channels-first value again, for a user that needs it."""
        if not isinstance(value.owner, Operation) or value.owner.parent is None:
            return value
        back = graph.TransposeOp(self.twins[value], TO_FIRST)
        return self._insert(back, user)

    def _last(self, value: SSAValue, user: Operation) -> SSAValue:
        """`value`, of any rank up to 4, as it broadcasts against channels-last images."""
        if value in self.twins:
            return self.twins[value]
        shape = shape_of(value)
        if all(d == 1 for d in shape) and len(shape) < 4:
            return value
        constant = constant_of(value)
        padded = (1,) * (4 - len(shape)) + shape
        if constant is not None:
            moved = np.ascontiguousarray(constant.reshape(padded).transpose(TO_LAST))
            return self._insert(graph.ConstantOp(moved), user)
        if value not in self.borders:
            image = value
            if len(shape) < 4:
                image = self._insert(graph.ReshapeOp(value, padded), user)
            self.borders[value] = self._insert(graph.TransposeOp(image, TO_LAST), user)
        return self.borders[value]

    def _twin(
        self,
        op: Operation,
        operands: Sequence[SSAValue],
        changed: dict[str, Attribute] | None = None,
    ) -> SSAValue:
        """`op` with channels-last operands and result; properties in `changed` replaced."""
        result = type_of(op.results[0])
        kind = TensorType(cast(Any, result.element_type), permuted(result.get_shape()))
        new = type(op).create(
            operands=operands,
            properties={**op.properties, **(changed or {})},
            attributes=dict(op.attributes),
            result_types=[kind],
        )
        self.twins[op.results[0]] = self._insert(new, op)
        return self.twins[op.results[0]]

    # --- ops --------------------------------------------------------------------------------------

    def _convert(self, op: Operation) -> SSAValue | None:
        """The op's channels-last twin, or what it does for nothing; None if it has none."""
        if isinstance(op, WINDOWED):
            return self._windowed(op)
        if isinstance(op, graph.TransposeOp):
            return self._transpose(op)
        if isinstance(op, graph.ReshapeOp):
            return self._reshape(op)
        if not any(operand in self.twins for operand in op.operands) and not _is_per_channel(op):
            return None
        if isinstance(op, ELEMENTWISE) and len(shape_of(op.results[0])) == 4:
            return self._continue(op)
        if isinstance(op, graph.ConcatOp):
            return self._continue(op)
        if isinstance(op, graph.SliceOp | graph.PadOp):
            names = (
                ("starts", "limits", "steps") if isinstance(op, graph.SliceOp) else ("low", "high")
            )
            moved = {n: i64_array(permuted(ints(getattr(op, n)))) for n in names}
            return self._twin(op, [self.twins[op.input]], cast(Any, moved))
        if isinstance(op, graph.ReduceOp):
            return self._reduce(op)
        if isinstance(op, graph.GatherOp):
            return self._gather(op)
        return None

    def _continue(self, op: Operation) -> SSAValue:
        return self._twin(op, [self._last(v, op) for v in op.operands], _renamed_axis(op))

    def _gather(self, op: graph.GatherOp) -> SSAValue | None:
        """Some indices of an axis, in some order: the axis is renamed and stays one axis."""
        if op.input not in self.twins or len(shape_of(op.indices)) != 1:
            return None
        return self._twin(op, [self.twins[op.input], op.indices], _renamed_axis(op))

    def _windowed(self, op: Any) -> SSAValue | None:
        if op.layout.data != "nchw":
            return None
        operands = [self._last(op.input, op), *op.operands[1:]]
        return self._twin(op, operands, {"layout": StringAttr("nhwc")})

    def _transpose(self, op: graph.TransposeOp) -> SSAValue | None:
        permutation = ints(op.permutation)
        if op.input not in self.twins:
            if permutation == TO_FIRST:
                # The model itself was channels-last here.
                self.twins[op.result] = op.input
                return op.input
            return None
        composed = [TO_FIRST[p] for p in permutation]
        source = self.twins[op.input]
        if composed == [0, 1, 2, 3]:
            op.result.replace_all_uses_with(source)
            return source
        replacement = self._insert(graph.TransposeOp(source, composed), op)
        op.result.replace_all_uses_with(replacement)
        return replacement

    def _reduce(self, op: graph.ReduceOp) -> SSAValue | None:
        """Over rows, with or without columns: the order of the sum is the same in both layouts.

        Over columns alone it is not: the last axis is summed in lanes, any other in sequence."""
        axes = ints(op.axes)
        if set(axes) not in ({2}, {2, 3}):
            return None
        moved = sorted(_AXIS[a] for a in axes)
        if bool(op.keepdims):
            return self._twin(op, [self.twins[op.input]], {"axes": i64_array(moved)})
        if set(axes) != {2, 3}:
            return None
        new = graph.ReduceOp(op.kind.data, self.twins[op.input], moved, False)
        replacement = self._insert(new, op)
        op.result.replace_all_uses_with(replacement)
        return replacement

    def _reshape(self, op: graph.ReshapeOp) -> SSAValue | None:
        if op.input not in self.twins:
            return None
        n, c, h, w = shape_of(op.input)
        source = self.twins[op.input]
        if c == 1 or h * w == 1:
            replacement = self._insert(graph.ReshapeOp(source, shape_of(op.result)), op)
            op.result.replace_all_uses_with(replacement)
            return replacement
        if shape_of(op.result) == (n, c * h * w) and self._permute_readers(op, (c, h, w)):
            replacement = self._insert(graph.ReshapeOp(source, (n, c * h * w)), op)
            op.result.replace_all_uses_with(replacement)
            return replacement
        return None

    def _permute_readers(self, op: graph.ReshapeOp, chw: tuple[int, int, int]) -> bool:
        """Reorder the weight rows of the matmuls that read a flattened image, if that is all."""
        readers = _flat_readers(op.result)
        if readers is None:
            return False
        order = np.arange(int(np.prod(chw))).reshape(chw).transpose(1, 2, 0).reshape(-1)
        for reader in readers:
            weight = constant_of(reader.operands[1])
            assert weight is not None
            rows: Array = np.ascontiguousarray(weight[order])
            reader.operands[1] = self._insert(graph.ConstantOp(rows), reader)
        return True


def _flat_readers(value: SSAValue) -> list[Operation] | None:
    """The matmuls that read `value` through per-tensor elementwise ops; None for other readers."""
    readers: list[Operation] = []
    for use in value.uses:
        op = use.operation
        if isinstance(op, MATMULS) and use.index == 0:
            weight = constant_of(op.operands[1])
            if weight is None or weight.ndim != 2:
                return None
            readers.append(op)
        elif isinstance(op, ELEMENTWISE) and len(op.operands) == 1 and _per_tensor(op):
            further = _flat_readers(op.results[0])
            if further is None:
                return None
            readers += further
        else:
            return None
    return readers


def _per_tensor(op: Operation) -> bool:
    if isinstance(op, graph.FakeQuantizeOp):
        return not op.limit_axes
    return channel_axis_of(op) is None


def _is_per_channel(op: Operation) -> bool:
    """Whether an op has a scale or zero point for each channel of images [N, C, H, W]."""
    per_channel = channel_axis_of(op) == 1 and len(shape_of(op.results[0])) == 4
    return per_channel and constant_of(op.operands[0]) is None


def _renamed_axis(op: Operation) -> dict[str, Attribute]:
    """The `axis` property in channels-last numbering, or what else names axes, if the op has it."""
    if isinstance(op, graph.FakeQuantizeOp):
        return op.transposed_limits(TO_LAST)
    axis = op.properties.get("axis")
    if not isinstance(axis, IntegerAttr) or axis.value.data not in _AXIS:
        return {}
    return {"axis": IntegerAttr(_AXIS[axis.value.data], i64)}


@dataclass(frozen=True)
class ChannelsLast(ModulePass):
    name: ClassVar[str] = "channels-last"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for func in op.body.block.ops:
            if isinstance(func, FuncOp):
                _ChannelsLast(func.body.block).run()
