"""Kernels without an anchor: elementwise ops over whole tensors, row by row.

Where every tensor is dense along a row and every constant is one value, a row is one run of W·C
elements; otherwise the channels of each pixel are. An operand with one value per channel for all
pixels (the gate of squeeze-and-excite) is converted once a row: blocks of channels go outside.
"""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Operation

from ...dialects import graph
from ...dialects.layout import LANES, Layout
from ...dialects.tensors import Array
from ..builder import Index, KernelBuilder
from ..targets import Target
from .common import LoweredKernel, Parameters, TensorBuffer, buffers_of, fill_halo, roomy
from .evaluate import Evaluator, Position
from .speculation import LONGEST_RUN, Run, speculation_of

#: Elements that a loop step treats together …
_BLOCK = 4 * LANES
#: … and where the reals of an operand stay in registers while the pixels of a row go by.
_HELD_BLOCK = 2 * LANES
#: Functions that are made of an exponential or a logarithm.
_LONG = (
    "exp", "log", "sigmoid", "tanh", "erf", "softplus", "elu", "selu", "mish", "silu", "gelu",
    "gelu_tanh",
)  # fmt: skip


def pixel_at(b: KernelBuilder, image: Index, y: Index, x: Index) -> Callable[[Layout], Index]:
    """Locates pixel (image, y, x) in any layout; axes of length one are broadcast."""

    def offset(layout: Layout) -> Index:
        total = b.mul(image, layout.image_stride if layout.n > 1 else 0)
        total = b.add(total, b.mul(y, layout.row_stride if layout.h > 1 else 0))
        total = b.add(total, b.mul(x, layout.channel_stride if layout.w > 1 else 0))
        return b.add(total, layout.origin)

    return offset


def flat_row(kernel: graph.KernelOp, tensors: list[TensorBuffer]) -> bool:
    """Whether a row can be treated as W·C equal elements."""
    last = tensors[-1].layout
    same = all(
        (t.layout.w, t.layout.c) == (last.w, last.c) and t.layout.channel_stride == last.c
        for t in tensors
    )
    return same and all(
        values.size == 1 for op in kernel.block.ops for values in _channel_values(op)
    )


def _channel_values(op: Operation) -> tuple[Array, ...]:
    """What an op has one of, or one per channel."""
    if isinstance(op, graph.ConstantOp):
        return (op.array,)
    if isinstance(op, graph.RequantizeOp):
        return (op.multipliers,)
    if isinstance(op, graph.FakeQuantizeOp):
        return tuple(op.limits.values())
    if isinstance(op, graph.QuantizeOp | graph.DequantizeOp):
        return (op.scales, op.zero_points)
    return ()


def lower_elementwise(
    name: str, kernel: graph.KernelOp, target: Target, exec_type: str, halo_codes: Array
) -> LoweredKernel:
    b = KernelBuilder(name, len(kernel.inputs) + 2)
    inputs, output = buffers_of(kernel, b)
    parameters, base = Parameters(), b.buffers[-1]
    fill_halo(b, output, parameters, base, halo_codes)
    layout = output.layout
    flat = flat_row(kernel, [*inputs, output])
    pixels, channels = (1, layout.w * layout.c) if flat else (layout.w, layout.c)
    padded = -(-channels // LANES) * LANES
    evaluator = Evaluator(b, target, kernel, inputs, parameters, base, padded)
    lanes = _lanes_of_a_step(kernel, target)
    speculation = speculation_of(kernel.yielded)
    write = speculation.writer(evaluator, output) if speculation is not None else None

    def block(pixel: Callable[[Layout], Index], channel: Index, size: int) -> None:
        """`size` elements from `channel` on."""
        if write is not None:
            write(Run(pixel, channel, size, lanes))
            return
        whole = size // lanes * lanes
        for begin, end, n in ((0, whole, lanes), (whole, size, LANES)):
            positions = [
                Position(n, b.add(channel, i), pixel, count=end - i if end - i < n else None)
                for i in range(begin, end, n)
            ]
            if positions:
                evaluator.store(output, kernel.yielded, positions)

    def row(image: Index, y: Index, channel: Index, size: int) -> None:
        """`size` channels of all pixels of a row."""
        with b.loop(0, pixels) as xs:
            block(pixel_at(b, image, y, xs.variable), channel, size)

    size = padded if not flat and roomy(inputs, output) else channels
    with b.unit_loop() as unit:
        image, y = b.div(unit, layout.h), b.rem(unit, layout.h)
        if not flat and any(_per_row(tensor.layout, layout) for tensor in inputs):
            _blocks(b, size, _HELD_BLOCK, lambda channel, size: row(image, y, channel, size))
        else:
            with b.loop(0, pixels) as xs:
                pixel = pixel_at(b, image, y, xs.variable)
                step = _BLOCK if write is None else LONGEST_RUN
                _blocks(b, size, step, lambda channel, size: block(pixel, channel, size))
    return LoweredKernel(
        b.finish(), b.fingerprint, (parameters.blob(),), layout.n * layout.h, exec_type
    )


def _lanes_of_a_step(kernel: graph.KernelOp, target: Target) -> int:
    """Elements that are computed side by side. Where each takes dozens of operations that wait for
    one another, a core looks ahead to the next element or two: four vectors keep it busy."""
    is_long = any(
        isinstance(op, graph.UnaryOp) and op.kind.data in _LONG for op in kernel.block.ops
    )
    return max(LANES, 4 * target.lanes) if is_long else LANES


def _blocks(b: KernelBuilder, size: int, step: int, body: Callable[[Index, int], None]) -> None:
    """`body(first channel, how many)` for blocks of `step` channels and for what is left."""
    whole = size // step * step
    if whole:
        with b.loop(0, whole, step) as blocks:
            body(blocks.variable, step)
    if whole < size:
        body(whole, size - whole)


def _per_row(layout: Layout, result: Layout) -> bool:
    """Whether a tensor has one value per channel for all pixels of a row, as a gate has."""
    return layout.w == 1 < result.w and layout.c > 1
