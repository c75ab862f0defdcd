"""What every kernel generator shares: the lowered kernel, its parameter blob, and halo filling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.layout import LANES, NO_HALO, SLACK, Layout
from ...dialects.loop import vector_of
from ...dialects.tensors import Array, dtype_of, type_of
from ..builder import Index, KernelBuilder, i8


@dataclass(frozen=True)
class LoweredKernel:
    """A generated kernel and what it must be called with.

    Buffers, in order: the kernel's inputs, its output, then `constants` (one blob each)."""

    func: FuncOp
    fingerprint: tuple[tuple[object, ...], ...]
    constants: tuple[Array, ...]
    units: int
    exec_type: str
    parallel: bool = True


class Parameters:
    """Constants of one kernel (multipliers, biases, zero points, tables) in one byte blob.

    Values that differ between layers of equal shape live here and not in the code, so that such
    layers share one kernel. Where they lie must not depend on which of them happen to be equal:
    those of different owners have different places."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        self._known: dict[tuple[object, bytes], int] = {}

    def add(self, values: Array, padded: int | None = None, owner: object = None) -> int:
        """Byte offset of `values` (padded with zeros to `padded` elements), 64-byte aligned."""
        values = np.ascontiguousarray(values).reshape(-1)
        if padded is not None and padded > len(values):
            values = np.concatenate([values, np.zeros(padded - len(values), values.dtype)])
        data = values.tobytes()
        if (owner, data) not in self._known:
            self._known[owner, data] = self.size
            self.size += padded_size(values)
            self._parts.append(data.ljust(padded_size(values), b"\0"))
        return self._known[owner, data]

    def blob(self) -> Array:
        return np.frombuffer(b"".join(self._parts) + bytes(SLACK), np.uint8)


def padded_size(values: Array) -> int:
    """Bytes of `values` in a blob."""
    return -(-values.nbytes // 64) * 64


@dataclass
class TensorBuffer:
    """A tensor in memory as a generator sees it."""

    base: SSAValue
    layout: Layout
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...] = field(default=())

    @property
    def item(self) -> int:
        return self.dtype.itemsize

    @property
    def padded(self) -> bool:
        """Whether whole vectors may be read and written, of which one passes the last channel."""
        return self.layout.channel_stride % LANES == 0


def buffers_of(kernel: graph.KernelOp, b: KernelBuilder) -> tuple[list[TensorBuffer], TensorBuffer]:
    """The kernel's inputs and its output."""
    values = [*kernel.inputs, kernel.outputs[0]]
    tensors = [
        TensorBuffer(
            base,
            Layout.of_type(type_of(value)),
            dtype_of(type_of(value).element_type),
            type_of(value).get_shape(),
        )
        for base, value in zip(b.buffers, values, strict=False)
    ]
    return tensors[:-1], tensors[-1]


def roomy(inputs: Iterable[TensorBuffer], output: TensorBuffer) -> bool:
    """Whether whole vectors stay inside every tensor's pixel; single channels are broadcast."""
    return output.padded and all(t.padded or t.layout.c == 1 < output.layout.c for t in inputs)


def read_beside(
    anchor: SSAValue, kernel: graph.KernelOp, inputs: list[TensorBuffer]
) -> Iterator[TensorBuffer]:
    """The inputs that not only the op of `anchor` reads, but (also) ops around it."""
    for argument, tensor in zip(kernel.block.args, inputs, strict=True):
        if any(use.operation is not anchor.owner for use in argument.uses):
            yield tensor


def unpack_mask(size: int, width: int, high: bool) -> list[int]:
    """Mask of punpckl/h: interleave `width`-byte elements of one half of each 16 bytes."""
    mask = []
    for lane in range(0, size, 16):
        for element in range(8 // width):
            start = lane + (8 if high else 0) + element * width
            mask += [start + i for i in range(width)]
            mask += [size + start + i for i in range(width)]
    return mask


def fill(b: KernelBuilder, base: SSAValue, offset: Index, size: int, value: SSAValue) -> None:
    """`size` bytes at base + offset become `value`, a vector of 16 equal bytes."""
    whole = size // 16 * 16
    if whole > 64:
        with b.loop(0, whole, 16) as bytes_:
            b.store(value, base, b.add(offset, bytes_.variable))
    else:
        for i in range(0, whole, 16):
            b.store(value, base, b.add(offset, i))
    if size > whole:
        b.store(value, base, b.add(offset, whole), size - whole)


def fill_halo(
    b: KernelBuilder,
    tensor: TensorBuffer,
    parameters: Parameters,
    base: SSAValue,
    codes: Array,
) -> None:
    """Writes `codes`, u8, one or one for each channel, into the tensor's halo: whole pixels, but of
    a part of a concatenation its own channels.

    Done by the caller of unit 0, before its units: the halo overlaps no unit's output."""
    layout, item = tensor.layout, tensor.item
    if layout.halo == NO_HALO:
        return
    top, left, bottom, right = layout.halo
    pixel, width = layout.channel_stride * item, left + layout.w + right
    head, tail = top * width + left, bottom * width + right
    one = len(codes) == 1
    table = parameters.add(np.resize(codes, 16) if one else codes)

    def margin(first: Index, pixels: int) -> None:
        """So many pixels from offset `first` on."""
        if one and not layout.is_part:
            fill(b, tensor.base, first, pixels * pixel, value)
        elif pixels:
            with b.loop(0, pixels * pixel, pixel) as run:
                place = b.add(first, run.variable)
                if one:
                    fill(b, tensor.base, place, layout.c * item, value)
                else:
                    _copy_codes(b, tensor.base, place, base, table, len(codes))

    with b.branch(b.compare("eq", b.begin, 0)):
        value = b.load(base, table, vector_of(i8, 16))
        with b.loop(0, layout.n) as images:
            image = b.mul(images.variable, layout.image_stride * item)
            # Head: the rows above and the first left margin. Tail: the last right margin and below.
            margin(image, head)
            margin(b.add(image, layout.image_stride * item - tail * pixel), tail)
            if left + right and layout.h > 1:
                first = (head + layout.w) * pixel
                with b.loop(0, layout.h - 1) as rows:
                    offset = b.add(first, b.mul(rows.variable, layout.row_stride * item))
                    margin(b.add(image, offset), left + right)


def _copy_codes(
    b: KernelBuilder, to: SSAValue, place: Index, base: SSAValue, table: int, count: int
) -> None:
    """`count` bytes of a table, 16 at a time."""
    whole = count // 16 * 16
    with b.loop(0, whole, 16) as bytes_:
        codes = b.load(base, b.add(bytes_.variable, table), vector_of(i8, 16))
        b.store(codes, to, b.add(place, bytes_.variable))
    if count > whole:
        codes = b.load(base, table + whole, vector_of(i8, 16))
        b.store(codes, to, b.add(place, whole), count - whole)
