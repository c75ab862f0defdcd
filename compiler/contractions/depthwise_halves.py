"""Depthwise weights for products of 16-bit halves, where pairs of bytes could saturate.

A group is two taps whose codes, widened, make the two halves of a 32-bit lane: `dot2` with the
weights of both is exact for all weights. Taps pair along kernel columns, so that an interleaved
pair of input pixels serves every output pixel that it is under; an odd last row pairs along itself.

    [block][group][vector i][lane 4g + e][2] s16  =  weights of channel 16g + 4i + e

as the bytes of depthwise.py, whose blocks and channel order these are.
"""

from __future__ import annotations

import numpy as np

from ..dialects.tensors import Array
from .depthwise import Tap, in_blocks, out_of_blocks
from .geometry import Contraction


def tap_pairs(c: Contraction) -> tuple[tuple[Tap, Tap, bool], ...]:
    """Taps (dy, dx) by twos, and whether the second of them counts.

    An odd tap has another one beside it, whose weight is zero there: if possible its right
    neighbour, as the pairs of the row have."""
    kh, kw = c.kernel
    dy, dx = c.dilations
    pairs = [
        ((y * dy, x * dx), ((y + 1) * dy, x * dx), True)
        for x in range(kw)
        for y in range(0, kh - 1, 2)
    ]
    if kh % 2:
        y = (kh - 1) * dy
        if kw % 2:
            pairs.append(((y, 0), (y, min(1, kw - 1) * dx), False))
        pairs += [((y, x * dx), (y, (x + 1) * dx), True) for x in range(kw % 2, kw, 2)]
    return tuple(pairs)


def pack_halves(c: Contraction, weight: Array, lanes: int) -> Array:
    """Weights [O, 1, kh, kw] (s8) as bytes; what does not count weighs zero."""
    pairs = tap_pairs(c)
    index = {tap: i for i, tap in enumerate(c.taps)}
    flat = weight.reshape(c.outputs, -1)
    grouped = np.zeros((c.outputs, len(pairs), 2), np.int16)
    for g, (first, second, counts) in enumerate(pairs):
        grouped[:, g, 0] = flat[:, index[first]]
        if counts:
            grouped[:, g, 1] = flat[:, index[second]]
    return in_blocks(grouped.view(np.int8), lanes)


def unpack_halves(c: Contraction, data: Array, lanes: int) -> Array:
    """The weights [O, 1, kh, kw] (s8) again."""
    pairs = tap_pairs(c)
    grouped = out_of_blocks(data, c.outputs, len(pairs), lanes).view(np.int16)
    result = np.zeros((c.outputs, len(c.taps)), np.int8)
    index = {tap: i for i, tap in enumerate(c.taps)}
    for g, (first, second, counts) in enumerate(pairs):
        result[:, index[first]] = grouped[:, g, 0]
        if counts:
            result[:, index[second]] = grouped[:, g, 1]
    return result.reshape(c.outputs, 1, *c.kernel)
