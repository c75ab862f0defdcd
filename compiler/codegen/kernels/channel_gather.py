"""Some channels of an image (or of several, concatenated), in any order: byte shuffles.

    gather(x; i)                  gather(concat(x, y, …); i)        along the last axis, i constant

The channels of an output vector lie in a few windows of 16 channels of the sources. Those of two
windows come together in one shuffle; each further window adds one. Two groups interleaved, as in
ShuffleNet, are two loads and one `punpcklbw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import BlockArgument, SSAValue

from ...dialects import graph
from ...dialects.layout import LANES
from ...dialects.loop import vector_of
from ...dialects.tensors import Array, shape_of
from ...passes.rewriting import constant_of, defining
from ..builder import Index, KernelBuilder, i8
from .common import LoweredKernel, Parameters, TensorBuffer, buffers_of, fill_halo
from .elementwise import pixel_at


@dataclass(frozen=True)
class Window:
    """16 channels of one source from `start` on; `lanes` maps lanes of the result to them."""

    source: int
    start: int
    lanes: dict[int, int]


def channel_sources(gather: graph.GatherOp) -> list[tuple[int, int]]:
    """(kernel argument, channel) of every result channel."""
    concat = defining(gather.input, graph.ConcatOp)
    parts = [gather.input] if concat is None else list(concat.inputs)
    available = []
    for part in parts:
        assert isinstance(part, BlockArgument)
        available += [(part.index, channel) for channel in range(shape_of(part)[-1])]
    indices = constant_of(gather.indices)
    assert indices is not None
    return [available[int(i) % len(available)] for i in indices.reshape(-1)]


def windows_of(block: Sequence[tuple[int, int]], channels: Sequence[int]) -> list[Window]:
    """The windows that hold the channels of one block; `channels`: how many each source has."""
    windows: list[Window] = []
    for lane in sorted(range(len(block)), key=lambda lane: block[lane]):
        source, channel = block[lane]
        last = windows[-1] if windows else None
        if last is None or last.source != source or channel >= last.start + LANES:
            # A window ends with its source's channels at the latest.
            start = max(0, min(channel, channels[source] - LANES))
            last = Window(source, start, {})
            windows.append(last)
        last.lanes[lane] = channel - last.start
    return windows


def lower_channel_gather(
    name: str, kernel: graph.KernelOp, anchor: graph.GatherOp, exec_type: str, halo_codes: Array
) -> LoweredKernel:
    b = KernelBuilder(name, len(kernel.inputs) + 2)
    inputs, output = buffers_of(kernel, b)
    parameters, base = Parameters(), b.buffers[-1]
    fill_halo(b, output, parameters, base, halo_codes)
    sources, layout = channel_sources(anchor), output.layout
    with b.unit_loop() as unit:
        image, y = b.div(unit, layout.h), b.rem(unit, layout.h)
        with b.loop(0, layout.w) as xs:
            place = pixel_at(b, image, y, xs.variable)
            pixels = [place(tensor.layout) for tensor in inputs]
            for start in range(0, layout.c, LANES):
                block = sources[start : start + LANES]
                value = _block(b, inputs, pixels, block)
                count = None if output.padded else len(block)
                b.store(value, output.base, b.add(place(layout), start), count)
    units = layout.n * layout.h
    return LoweredKernel(b.finish(), b.fingerprint, (parameters.blob(),), units, exec_type)


def _block(
    b: KernelBuilder,
    inputs: list[TensorBuffer],
    pixels: list[Index],
    block: Sequence[tuple[int, int]],
) -> SSAValue:
    """Up to 16 channels of one pixel."""
    windows = windows_of(block, [tensor.layout.c for tensor in inputs])
    loaded = []
    for window in windows:
        tensor = inputs[window.source]
        offset = b.add(pixels[window.source], window.start)
        count = min(LANES, tensor.layout.c - window.start)
        loaded.append(b.load_part(tensor.base, offset, vector_of(i8, LANES), count))
    if len(windows) == 1:
        mask = [windows[0].lanes.get(lane, lane) for lane in range(LANES)]
        return b.shuffle(loaded[0], loaded[0], mask)
    first, second = windows[0].lanes, {k: LANES + v for k, v in windows[1].lanes.items()}
    both = {**first, **second}
    mask = [both.get(lane, lane) for lane in range(LANES)]
    result = b.shuffle(loaded[0], loaded[1], mask)
    for window, vector in zip(windows[2:], loaded[2:], strict=True):
        mask = [LANES + window.lanes[n] if n in window.lanes else n for n in range(LANES)]
        result = b.shuffle(result, vector, mask)
    return result
