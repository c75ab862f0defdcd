"""winograd: convolutions that fewer multiplications pay for, as two kernels.

    %y = graph.kernel %x {                    %v = graph.kernel %x { winograd_input }
      qconv2d 3×3, stride 1           ⇒       %y = graph.kernel %v {
      epilogue                                  winograd_qconv2d
    }                                           epilogue
                                              }

What contractions/winograd.py computes is the same integer, so nothing is rounded differently.

Side conditions: u8 codes, s8 weights without zero point, one group, dilation 1, channels in whole
vectors on the way out; windows of 3×3 with stride 1 and a vector of channels at least, or of 5×5
and 7×7 with stride 2 over images (up to 4 channels); the weights leave room for the factor of the
sums (`fits`); and the estimate of the target's time says that it pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..codegen.targets import Target, by_name
from ..contractions.winograd import fits, weights_to_depth
from ..contractions.winograd_packing import worthwhile
from ..contractions.winograd_tiling import Tiling
from ..dialects import graph
from ..dialects.graph import ints
from ..dialects.layout import LANES
from ..dialects.tensors import array_to_numpy, shape_of, si8, type_of, ui8
from .kernel_classes import anchor_of
from .rewriting import constant_of, inherit_layer


def is_suitable(op: graph.QConv2dOp) -> bool:
    """Whether the arithmetic allows it."""
    weight = constant_of(op.weight)
    return (
        stride_of(op) > 0
        and op.group_count == 1
        and ints(op.dilations) == (1, 1)
        and op.layout.data == "nhwc"
        and shape_of(op.weight)[0] % LANES == 0
        and type_of(op.input).element_type == ui8
        and type_of(op.weight).element_type == si8
        and not np.any(array_to_numpy(op.weight_zero_point))
        and weight is not None
        and (op.bias is None or constant_of(op.bias) is not None)
        and fits(weight)
    )


def stride_of(op: graph.QConv2dOp) -> int:
    """Of the pixels; 0 if windows or channels do not suit."""
    _, inputs, *window = shape_of(op.weight)
    if window == [3, 3] and ints(op.strides) == (1, 1) and inputs >= LANES:
        return 1
    of_images = window in ([5, 5], [7, 7]) and ints(op.strides) == (2, 2)
    return 2 if of_images and 4 * inputs <= LANES else 0


def tiling_of(op: graph.QConv2dOp) -> Tiling:
    images, rows, columns, _ = shape_of(op.result)
    return Tiling(images, rows, columns, -(-shape_of(op.weight)[-1] // stride_of(op)))


def pays(op: graph.QConv2dOp, target: Target) -> bool:
    stride, (_, *window) = stride_of(op), shape_of(op.weight)
    inputs = window[0] * stride * stride
    return worthwhile(tiling_of(op), inputs, shape_of(op.result)[3], target, prod(window))


def input_kernel(kernel: graph.KernelOp, op: graph.QConv2dOp, x: SSAValue) -> graph.KernelOp:
    """The kernel that transforms `x`, which `op` in `kernel` reads."""
    body = Block(arg_types=[x.type])
    stride, tiling = stride_of(op), tiling_of(op)
    top, left, *_ = ints(op.pads)
    # As many rows and columns as the windows read, zeros in the last ones of theirs included.
    high, wide = (stride * (n + tiling.taps - 1) for n in (tiling.rows, tiling.columns))
    _, rows, columns, _ = shape_of(x)
    pads = (top, left, high - rows - top, wide - columns - left)
    zero_point = _input_zero_point(op)
    transform = graph.WinogradInputOp(body.args[0], pads, zero_point, tiling.taps, stride)
    body.add_ops([transform, graph.YieldOp(transform.result)])
    result = graph.KernelOp([x], [transform.result.type], Region(body))
    inherit_layer(result, kernel)
    return result


def _input_zero_point(op: graph.QConv2dOp) -> int:
    """The one of a convolution of one group."""
    (zero_point,) = op.input_zero_points
    return int(zero_point)


def product_kernel(kernel: graph.KernelOp, op: graph.QConv2dOp, points: SSAValue) -> graph.KernelOp:
    """`kernel` with `op` reading the transformed inputs."""
    others = [
        (argument, value)
        for argument, value in zip(kernel.block.args, kernel.inputs, strict=True)
        if any(use.operation is not op for use in argument.uses)
    ]
    inputs = [points, *(value for _, value in others)]
    body = Block(arg_types=[value.type for value in inputs])
    mapping: dict[SSAValue, SSAValue] = {
        argument: new for (argument, _), new in zip(others, body.args[1:], strict=True)
    }
    for inner in kernel.block.ops:
        if inner is not op:
            body.add_op(clone := inner.clone(value_mapper=mapping))
            mapping.update(zip(inner.results, clone.results, strict=True))
            continue
        product = graph.WinogradQConv2dOp(
            body.args[0],
            _weight_of(op, mapping[op.weight], body),
            None if op.bias is None else mapping[op.bias],
            shape_of(op.result),
            _input_zero_point(op),
        )
        inherit_layer(product, op)
        body.add_op(product)
        mapping[op.result] = product.result
    outputs = [value.type for value in kernel.outputs]
    return graph.KernelOp(inputs, outputs, Region(body))


def _weight_of(op: graph.QConv2dOp, copied: SSAValue, body: Block) -> SSAValue:
    """The weights of the product in `body`, which has copied those of `op`."""
    weight = constant_of(copied)
    if stride_of(op) == 1 or weight is None:
        return copied
    body.add_op(constant := graph.ConstantOp(weights_to_depth(weight)))
    if not copied.uses:
        assert isinstance(copied.owner, Operation)
        Rewriter.erase_op(copied.owner)
    return constant.result


@dataclass(frozen=True)
class Winograd(ModulePass):
    name: ClassVar[str] = "winograd"
    target: str = "avx2"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = by_name(self.target)
        for kernel in list(op.walk()):
            if not isinstance(kernel, graph.KernelOp):
                continue
            anchor = anchor_of(kernel)
            if isinstance(anchor, graph.QConv2dOp) and is_suitable(anchor) and pays(anchor, target):
                _split(kernel, anchor)


def _split(kernel: graph.KernelOp, op: graph.QConv2dOp) -> None:
    x = kernel.inputs[kernel.block.args.index(op.input)]
    first = input_kernel(kernel, op, x)
    second = product_kernel(kernel, op, first.outputs[0])
    second.attributes.update(kernel.attributes)
    Rewriter.replace_op(kernel, [first, second])
