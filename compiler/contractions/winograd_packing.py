"""Weights of a Winograd convolution as its kernel reads them, and whether it pays (winograd.py).

Stored as `points`, transformed: 36 of 16 bits for 9 (or 16) bytes; or, for few tiles, as `taps`,
which the kernel transforms before use.
"""

from __future__ import annotations

import numpy as np

from ..codegen.targets import Target
from ..dialects.layout import LANES
from ..dialects.tensors import Array
from .tile import Tile
from .winograd import POINTS, restore_weights, transform_weights
from .winograd_tiling import Tiling

#: Where weights are transformed at run time, all tiles of a block have sums on the stack: 24 tiles
#: at most, or 18 with 512-bit registers. For more, what is read of the weights matters less.
MOST_BYTES_OF_SUMS = 82944

# What the estimates below count, measured on Zen 5: cycles per tile and vector of channels, `dot2`s
# per cycle, cycles to transform one vector of weights for one point, bytes of weights per cycle
# (from beyond the second-level cache), and products per cycle and byte of register in direct
# convolution, without and with `dot4`; on Zen 3 of few inputs, without.
_INPUT_CYCLES, _OUTPUT_CYCLES, _DOTS_PER_CYCLE = 80.0, 80.0, 1.7
_WEIGHT_CYCLES, _WEIGHT_BYTES_PER_CYCLE = 2.2, 12.0
_DIRECT_RATES = {False: 36 / 32, True: 124 / 64}
_DIRECT_RATE_OF_FEW = 24 / 32
#: Of direct convolution's time, by whether weights are stored as taps: what is not clearly faster
#: is not worth larger weights.
_GAINS = {True: 0.95, False: 0.85}


def tile_for(target: Target, outputs: int) -> Tile:
    """`m` tiles × `n` vectors of channels: whole groups of 16 channels, sums in registers."""
    n = max(1, LANES // target.lanes)
    if target.registers == 32 and outputs % (2 * target.lanes) == 0:
        n = 2
    # Besides the sums: inputs, products, and the weights, which LLVM loads before it needs them.
    others = max(4, n + 2)
    return Tile((target.registers - others) // n, n, target.lanes)


def padded_inputs(inputs: int) -> int:
    """Channels of the weights: whole pairs of pairs."""
    return -(-inputs // 4) * 4


def pack_points(weight: Array, tile: Tile) -> Array:
    """Transformed weights, bytes of s16 [block][point][input pair][vector][lane][2]."""
    return (
        _in_blocks(transform_weights(weight), tile)
        .transpose(1, 0, 4, 2, 3, 5)
        .copy()
        .view(np.uint8)
        .reshape(-1)
    )


def pack_taps(weight: Array, tile: Tile) -> Array:
    """The weights themselves, bytes [block][input pair][tap][vector][lane][2]."""
    taps = weight.reshape(*weight.shape[:2], 9).transpose(2, 0, 1)
    return _in_blocks(taps, tile).transpose(1, 4, 0, 2, 3, 5).copy().view(np.uint8).reshape(-1)


def _in_blocks(planes: Array, tile: Tile) -> Array:
    """[plane, O, I] as [plane, block, vector, lane, input pair, 2]."""
    count, outputs, inputs = planes.shape
    depth = padded_inputs(inputs)
    padded = np.zeros((count, outputs, depth), planes.dtype)
    padded[:, :, :inputs] = planes
    return padded.reshape(count, -1, tile.n, tile.lanes, depth // 2, 2)


def unpack_points(data: Array, outputs: int, inputs: int, tile: Tile, taps: int) -> Array:
    """The s8 weights [O, I, taps, taps] that `pack_points` packed."""
    depth = padded_inputs(inputs)
    split = data.view(np.int16).reshape(-1, POINTS, depth // 2, tile.n, tile.lanes, 2)
    points = split.transpose(1, 0, 3, 4, 2, 5).reshape(POINTS, outputs, depth)
    return restore_weights(points[:, :, :inputs], taps)


def unpack_taps(data: Array, outputs: int, inputs: int, tile: Tile) -> Array:
    """The s8 weights [O, I, 3, 3] that `pack_taps` packed."""
    depth = padded_inputs(inputs)
    split = data.view(np.int8).reshape(-1, depth // 2, 9, tile.n, tile.lanes, 2)
    taps = split.transpose(0, 3, 4, 1, 5, 2).reshape(outputs, depth, 3, 3)
    return np.ascontiguousarray(taps[:, :inputs])


# --- whether it pays ------------------------------------------------------------------------------


def worthwhile(
    tiling: Tiling, inputs: int, outputs: int, target: Target, direct: int | None = None
) -> bool:
    """Whether the estimated time is below that of direct convolution, which multiplies `direct`
    times for an output (as many as the windows have weights)."""
    if target.tile_dot4:
        return False  # tile registers multiply eight times as many bytes as vectors do
    direct = direct or tiling.taps**2 * inputs
    return any(_gains(tiling, inputs, outputs, target, direct).values())


def stores_taps(tiling: Tiling, inputs: int, outputs: int, target: Target) -> bool:
    """Whether weights are transformed at run time, rather than read in their eightfold size: where
    that pays, or would cost less."""
    cycles = _weight_cycles(tiling, inputs, outputs, target)
    direct = tiling.taps**2 * inputs
    return cycles[True] < cycles[False] or _gains(tiling, inputs, outputs, target, direct)[True]


def _gains(
    tiling: Tiling, inputs: int, outputs: int, target: Target, direct: int
) -> dict[bool, bool]:
    """Whether it pays with weights stored as taps or as points."""
    lanes = target.lanes
    pixels = tiling.images * tiling.rows * tiling.columns
    rate = _DIRECT_RATES[target.dot4 is not None]
    if inputs < LANES and target.dot4 is None:
        rate = _DIRECT_RATE_OF_FEW
    cycles = direct * outputs * pixels / (rate * target.vector_bytes)
    dots = tiling.products * (inputs / 2) * (outputs / lanes) / _DOTS_PER_CYCLE
    transforms = tiling.tiles * (
        inputs / (2 * lanes) * _INPUT_CYCLES + outputs / lanes * _OUTPUT_CYCLES
    )
    weights = _weight_cycles(tiling, inputs, outputs, target)
    return {taps: dots + transforms + weights[taps] < _GAINS[taps] * cycles for taps in weights}


def _weight_cycles(tiling: Tiling, inputs: int, outputs: int, target: Target) -> dict[bool, float]:
    """What weights cost, stored as taps or as points."""
    weights = inputs * outputs
    vectors = weights / (target.vector_bytes / 2)
    taps = vectors * POINTS * _WEIGHT_CYCLES + 9 * weights / _WEIGHT_BYTES_PER_CYCLE
    points = 2 * POINTS * weights / _WEIGHT_BYTES_PER_CYCLE
    return {True: taps if taps_fit(tiling, outputs, target) else np.inf, False: points}


def taps_fit(tiling: Tiling, outputs: int, target: Target) -> bool:
    """Whether weights can be transformed on the way: of windows of 3×3, and with sums of all tiles
    that are few enough."""
    sums = tiling.tiles * POINTS * tile_for(target, outputs).channels * 4
    return tiling.taps == 3 and sums <= MOST_BYTES_OF_SUMS
