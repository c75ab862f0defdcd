"""Winograd's minimal filtering, in integers: F(4×4, 3×3), and F(3×3, 4×4).

An output tile of 4×4 pixels depends on 6×6 inputs d, which take 36 multiplications instead of 144
with windows of 3×3; so does one of 3×3 pixels with windows of 4×4:

    y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A / 576

The classical matrices (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015)
have fractions; here each row of G is multiplied by what makes it integer, which multiplies the sums
by 24 per dimension and makes the whole computation exact:

- Bᵀ d B of u8 codes lies in [−12750, 17340], G w Gᵀ of s8 weights in [−18432, 18352], or with four
  taps in [−32768, 32640]: all fit 16 bits, as `dot2` wants them;
- sums over input channels are made modulo 2³². Since 576 = 9·64 and 9 has an inverse modulo 2³²,
  (sum · 9⁻¹) >> 6 is y, exactly, as long as 64·|y| < 2³¹ (`fits`).

So the result is the integer that direct convolution gives, to the bit, whatever the inputs are.

Tiles past the last output row or column read the edge of the padded image once more; what they
compute there is dropped, and does not reach other outputs, because the arithmetic is exact.

A convolution of stride two is one of stride one on an image of half the size, whose channels are
those of 2×2 pixels (`space_to_depth`): windows of 5×5 become 3×3, and 7×7 4×4, with zeros in the
last row and column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dialects.graph import winograd as dialect
from ..dialects.tensors import Array

INPUTS, POINTS = dialect.INPUTS, dialect.POINTS

INPUT_TRANSFORM = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, 4, 4, -1, -1, 0],
        [0, -4, 4, 1, -1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
#: By the number of taps.
WEIGHT_TRANSFORMS = {
    3: np.array([[6, 0, 0], [4, 4, 4], [4, -4, 4], [1, 2, 4], [1, -2, 4], [0, 0, 12]]),
    4: np.array(
        [[6, 0, 0, 0], [4, 4, 4, 4], [4, -4, 4, -4], [1, 2, 4, 8], [1, -2, 4, -8], [0, 0, 0, 12]]
    ),
}
OUTPUT_TRANSFORMS = {
    3: np.array(
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 2]]
    ),
    4: np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 2]]),
}
#: By how much the sums are too large, as an odd factor times a power of two.
ODD, SHIFT = 9, 6
ODD_INVERSE = pow(ODD, -1, 2**32) - 2**32 * (pow(ODD, -1, 2**32) >= 2**31)

#: 24 times the left inverses of WEIGHT_TRANSFORMS.
_WEIGHT_INVERSES = {
    3: np.array([[4, 0, 0, 0, 0, 0], [0, 3, -3, 0, 0, 0], [0, 0, 0, 0, 0, 2]]),
    4: np.array(
        [[4, 0, 0, 0, 0, 0], [0, 3, -3, 0, 0, -2], [-4, 3, 3, 0, 0, 0], [0, 0, 0, 0, 0, 2]]
    ),
}


@dataclass(frozen=True)
class Tiling:
    """How `rows` × `columns` outputs of `images` images, of windows of so many taps per side, are
    cut into tiles."""

    images: int
    rows: int
    columns: int
    taps: int = 3

    @property
    def side(self) -> int:
        """Output pixels of a tile per side."""
        return dialect.side_of(self.taps)

    @property
    def tile_rows(self) -> int:
        return -(-self.rows // self.side)

    @property
    def tile_columns(self) -> int:
        return -(-self.columns // self.side)

    @property
    def tiles(self) -> int:
        return dialect.tiles_of(self.images, self.rows, self.columns, self.taps)


def space_to_depth(images: Array) -> Array:
    """[N, 2·H, 2·W, C] as [N, H, W, 4·C]: the channels of 2×2 pixels, row by row."""
    n, high, wide, channels = images.shape
    split = images.reshape(n, high // 2, 2, wide // 2, 2, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(n, high // 2, wide // 2, 4 * channels)


def weights_to_depth(weight: Array) -> Array:
    """The weights [O, 4·I, taps, taps] that do to `space_to_depth` of images, with stride one, what
    [O, I, k, k] do to the images with stride two."""
    outputs, inputs, window, _ = weight.shape
    taps = (window + 1) // 2
    padded = np.zeros((outputs, inputs, 2 * taps, 2 * taps), weight.dtype)
    padded[:, :, :window, :window] = weight
    split = padded.reshape(outputs, inputs, taps, 2, taps, 2)
    return split.transpose(0, 3, 5, 1, 2, 4).reshape(outputs, 4 * inputs, taps, taps)


def transform_inputs(padded: Array, tiling: Tiling) -> Array:
    """Bᵀ d B of all tiles: codes [N, rows + taps − 1, columns + taps − 1, C] become s16 [36, tiles,
    C]."""
    side = tiling.side
    high = (tiling.tile_rows * side + tiling.taps - 1) - padded.shape[1]
    wide = (tiling.tile_columns * side + tiling.taps - 1) - padded.shape[2]
    x = np.pad(padded, ((0, 0), (0, high), (0, wide), (0, 0)), mode="edge").astype(np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(x, (INPUTS, INPUTS), axis=(1, 2))
    tiles = windows[:, ::side, ::side]  # [N, tile rows, tile columns, C, 6, 6]
    b = INPUT_TRANSFORM
    result: Array = np.einsum("ik,ntuckl,jl->ijntuc", b, tiles, b, optimize=True)
    return result.reshape(POINTS, tiling.tiles, -1).astype(np.int16)


def transform_weights(weight: Array) -> Array:
    """G w Gᵀ: s8 [O, I, taps, taps] become s16 [36, O, I]."""
    g = WEIGHT_TRANSFORMS[weight.shape[-1]]
    result: Array = np.einsum("ik,ockl,jl->ijoc", g, weight.astype(np.int32), g, optimize=True)
    return result.reshape(POINTS, *weight.shape[:2]).astype(np.int16)


def restore_weights(points: Array, taps: int) -> Array:
    """The s8 weights [O, I, taps, taps] of their transform [36, O, I]."""
    inverse = _WEIGHT_INVERSES[taps]
    square = points.reshape(INPUTS, INPUTS, *points.shape[1:]).astype(np.int64)
    result: Array = np.einsum("ik,kloc,jl->ocij", inverse, square, inverse, optimize=True)
    return (result // (24 * 24)).astype(np.int8)


def convolve(points: Array, weight: Array, tiling: Tiling) -> Array:
    """Σ x·w of all outputs, i32 [N, rows, columns, O], from transformed inputs, modulo 2³²."""
    products = points.astype(np.float64) @ transform_weights(weight).transpose(0, 2, 1).astype(
        np.float64
    )  # exact: below 2⁵³
    square = products.astype(np.int64).reshape(INPUTS, INPUTS, *products.shape[1:])
    a, side = OUTPUT_TRANSFORMS[tiling.taps], tiling.side
    sums = np.einsum("ik,kltc,jl->tijc", a, square, a, optimize=True)
    wrapped = (sums * ODD_INVERSE).astype(np.uint32).view(np.int32) >> SHIFT
    high, wide = tiling.tile_rows, tiling.tile_columns
    grid = wrapped.reshape(tiling.images, high, wide, side, side, -1)
    image = grid.transpose(0, 1, 3, 2, 4, 5)
    image = image.reshape(tiling.images, side * high, side * wide, -1)
    return np.ascontiguousarray(image[:, : tiling.rows, : tiling.columns])


def fits(weight: Array) -> bool:
    """Whether 64·|Σ x·w| < 2³¹ for all codes x in [0, 255], per output channel."""
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    largest = max(int(np.maximum(part, 0).sum(1).max(initial=0)) for part in (rows, -rows))
    return 255 * largest << SHIFT < 2**31
