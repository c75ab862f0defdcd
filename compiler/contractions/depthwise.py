"""Depthwise weights in the order in which the depthwise kernel reads them, and back.

    [block][tap group][vector i][lane 4g + e][tap]  =  weight of channel 16g + 4i + e

Blocks are 4·lanes channels; the channel order is that of bytes interleaved twice inside 128-bit
lanes. For VNNI, and for layers whose pairs of products fit in 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dialects.layout import LANES
from ..dialects.tensors import Array
from .forms import pairs_fit
from .geometry import Contraction

Tap = tuple[int, int]


@dataclass(frozen=True)
class Blocks:
    """Channels cut into blocks of 4·lanes: (first channel, lanes, how many such blocks)."""

    pieces: tuple[tuple[int, int, int], ...]

    @staticmethod
    def of(channels: int, lanes: int) -> Blocks:
        padded = -(-channels // LANES) * LANES
        pieces, first = [], 0
        while lanes >= 4:
            count = (padded - first) // (4 * lanes)
            if count:
                pieces.append((first, lanes, count))
                first += count * 4 * lanes
            lanes //= 2
        first, lanes, count = pieces[-1]
        if count > 1 and channels < padded:
            # The block that holds fewer channels than lanes stands alone: its stores are shorter.
            start = first + (count - 1) * 4 * lanes
            pieces[-1:] = [(first, lanes, count - 1), (start, lanes, 1)]
        return Blocks(tuple(pieces))

    def order(self) -> Array:
        """Natural channel of every accumulator lane, block after block."""
        parts = []
        for first, lanes, count in self.pieces:
            lane = np.arange(lanes)
            block = [16 * (lane // 4) + 4 * i + lane % 4 for i in range(4)]
            for number in range(count):
                parts.append(first + number * 4 * lanes + np.concatenate(block))
        return np.concatenate(parts)


def tap_groups(c: Contraction) -> tuple[tuple[Tap, ...], ...]:
    """Taps (dy, dx) in groups of up to four."""
    kh, kw = c.kernel
    dy, dx = c.dilations
    if kh >= 3:
        # A single row that groups of four leave over is cheaper along itself: 5×5 taps make five
        # columns of four and two groups of the last row, not ten groups.
        rows = kh - 1 if kh % 4 == 1 else kh
        columns = [[(y * dy, x * dx) for y in range(rows)] for x in range(kw)]
        columns.append([(y * dy, x * dx) for y in range(rows, kh) for x in range(kw)])
    else:
        columns = [list(c.taps)]
    return tuple(tuple(column[i : i + 4]) for column in columns for i in range(0, len(column), 4))


def pack_depthwise(c: Contraction, weight: Array, lanes: int) -> Array:
    """Weights [O, 1, kh, kw] (s8) as [block][group][vector][lane][tap]; missing taps weigh zero."""
    return in_blocks(_grouped(c, weight), lanes)


def unpack_depthwise(c: Contraction, data: Array, lanes: int) -> Array:
    """The weights [O, 1, kh, kw] (s8) again."""
    groups = tap_groups(c)
    grouped = out_of_blocks(data, c.outputs, len(groups), lanes)
    result = np.zeros((c.outputs, len(c.taps)), np.int8)
    index = {tap: i for i, tap in enumerate(c.taps)}
    for g, group in enumerate(groups):
        for t, tap in enumerate(group):
            result[:, index[tap]] = grouped[:, g, t]
    return result.reshape(c.outputs, 1, *c.kernel)


def _grouped(c: Contraction, weight: Array) -> Array:
    """[O, group, 4] s8, in natural channel order."""
    grouped = np.zeros((c.outputs, len(tap_groups(c)), 4), np.int8)
    index = {tap: i for i, tap in enumerate(c.taps)}
    flat = weight.reshape(c.outputs, -1)
    for g, group in enumerate(tap_groups(c)):
        for t, tap in enumerate(group):
            grouped[:, g, t] = flat[:, index[tap]]
    return grouped


def in_blocks(grouped: Array, lanes: int) -> Array:
    """[O, group, 4 bytes] as [block][group][vector][lane][4 bytes]; missing channels are zeros."""
    channels, groups, _ = grouped.shape
    blocks = Blocks.of(channels, lanes)
    order, parts = blocks.order(), []
    padded = np.zeros((len(order), groups, 4), np.int8)
    padded[:channels] = grouped
    permuted = padded[order]
    for first, width, count in blocks.pieces:
        piece = permuted[first : first + count * 4 * width]
        piece = piece.reshape(count, 4, width, groups, 4)
        parts.append(np.ascontiguousarray(piece.transpose(0, 3, 1, 2, 4)).reshape(-1))
    return np.concatenate(parts).view(np.uint8)


def out_of_blocks(data: Array, channels: int, groups: int, lanes: int) -> Array:
    """The inverse of `in_blocks`."""
    blocks, position = Blocks.of(channels, lanes), 0
    order, parts = blocks.order(), []
    flat = data.view(np.int8)
    for _, width, count in blocks.pieces:
        size = count * groups * 16 * width
        piece = flat[position : position + size].reshape(count, groups, 4, width, 4)
        position += size
        parts.append(piece.transpose(0, 2, 3, 1, 4).reshape(count * 4 * width, groups, 4))
    natural = np.empty((len(order), groups, 4), np.int8)
    natural[order] = np.concatenate(parts)
    return natural[:channels]


def bytes_fit(c: Contraction, weight: Array) -> bool:
    """Whether no pair of products in any tap group of any channel can leave 16 bits."""
    return bool(pairs_fit(_grouped(c, weight)).all())
