"""Winograd's minimal filtering, in integers: F(4×4, 3×3), and F(3×3, 4×4).

An output tile of 4×4 pixels depends on 6×6 inputs d, which take 36 multiplications instead of 144
with windows of 3×3; so does one of 3×3 pixels with windows of 4×4:

    y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A / 576

The classical matrices (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015)
have fractions; here each row of G is multiplied by what makes it integer, which multiplies the sums
by 24 per dimension and makes the whole computation exact:

- Bᵀ d B of u8 codes lies in [−18360, 22950], G w Gᵀ of s8 weights in [−18432, 18352], or with four
  taps in [−32768, 32640]: all fit 16 bits, as `dot2` wants them;
- sums over input channels are made modulo 2³². Since 576 = 9·64 and 9 has an inverse modulo 2³²,
  (sum · 9⁻¹) >> 6 is y, exactly, as long as 64·|y| < 2³¹ (`fits`).

So the result is the integer that direct convolution gives, to the bit, whatever the inputs are.

Tiles of three outputs, F(3, 3), where four would be too many (winograd_tiling.py), want five of the
six points: 0, 1, −1, 2 and ∞, but not −2, which is the last one here. They have another B, and the
same G, so that weights serve both; where a short tile has no point, its transformed input is 0.

Outputs past the last row or column read the edge of the padded image once more; what they are is
dropped, and does not reach other outputs, because the arithmetic is exact.

A convolution of stride two is one of stride one on an image of half the size, whose channels are
those of 2×2 pixels (`space_to_depth`): windows of 5×5 become 3×3, and 7×7 4×4, with zeros in the
last row and column.
"""

from __future__ import annotations

import numpy as np

from ..dialects.graph import winograd as dialect
from ..dialects.tensors import Array
from .winograd_tiling import Part, Span, Tiling

INPUTS, POINTS = dialect.INPUTS, dialect.POINTS

INPUT_TRANSFORM = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, 4, 4, -1, -1, 0],
        [0, -4, 4, 1, -1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 4, 0, -5, 0, 1],
        [0, 2, -1, -2, 1, 0],
    ]
)
#: Of short tiles.
SHORT_INPUT_TRANSFORM = np.array(
    [
        [4, -2, -4, 2, 0],
        [0, 6, 3, -3, 0],
        [0, -2, 3, -1, 0],
        [0, -4, 0, 4, 0],
        [0, 2, -1, -2, 1],
        [0, 0, 0, 0, 0],
    ]
)
#: What each point's values, at 0, 1, −1, 2, ∞ and −2, are multiplied by so that inputs are integer.
SCALES = np.array([6, 4, 4, 1, 12, 1])
#: By the number of taps.
WEIGHT_TRANSFORMS = {
    3: SCALES[:, None]
    * np.array([[1, 0, 0], [1, 1, 1], [1, -1, 1], [1, 2, 4], [0, 0, 1], [1, -2, 4]]),
    4: SCALES[:, None]
    * np.array(
        [[1, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [1, 2, 4, 8], [0, 0, 0, 1], [1, -2, 4, -8]]
    ),
}
#: By the number of outputs.
OUTPUT_TRANSFORMS = {
    4: np.array(
        [[1, 1, 1, 1, 0, 1], [0, 1, -1, 2, 0, -2], [0, 1, 1, 4, 0, 4], [0, 1, -1, 8, 2, -8]]
    ),
    3: np.array([[1, 1, 1, 1, 0, 1], [0, 1, -1, 2, 0, -2], [0, 1, 1, 4, 2, 4]]),
}
#: By how much the sums are too large, as an odd factor times a power of two.
ODD, SHIFT = 9, 6
ODD_INVERSE = pow(ODD, -1, 2**32) - 2**32 * (pow(ODD, -1, 2**32) >= 2**31)

#: 24 times the left inverses of WEIGHT_TRANSFORMS.
_WEIGHT_INVERSES = {
    3: np.array([[4, 0, 0, 0, 0, 0], [0, 3, -3, 0, 0, 0], [0, 0, 0, 0, 2, 0]]),
    4: np.array(
        [[4, 0, 0, 0, 0, 0], [0, 3, -3, 0, -2, 0], [-4, 3, 3, 0, 0, 0], [0, 0, 0, 0, 2, 0]]
    ),
}


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
    x = np.pad(padded, ((0, 0), (0, INPUTS), (0, INPUTS), (0, 0)), mode="edge").astype(np.int32)
    points = [
        np.einsum("ik,nyxckl,jl->ijnyxc", *_operands(x, part), optimize=True).reshape(
            POINTS, part.tiles, -1
        )
        for part in tiling.parts
    ]
    return np.concatenate(points, axis=1).astype(np.int16)


def _operands(x: Array, part: Part) -> tuple[Array, Array, Array]:
    """Bᵀ, the inputs [N, tile rows, tile columns, C, k, l] of all tiles of a part, and B."""
    spans = part.rows, part.columns
    windows = np.lib.stride_tricks.sliding_window_view(x, [s.points for s in spans], axis=(1, 2))
    rows, columns = (slice(s.start, s.start + s.tiles * s.side, s.side) for s in spans)
    down, across = (input_transform_of(s) for s in spans)
    return down, windows[:, rows, columns], across


def input_transform_of(span: Span) -> Array:
    """Bᵀ of such tiles."""
    return INPUT_TRANSFORM if span.points == INPUTS else SHORT_INPUT_TRANSFORM


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
    image = np.zeros((tiling.images, tiling.rows, tiling.columns, len(weight)), np.int32)
    for part in tiling.parts:
        pixels = _pixels(square[:, :, part.first : part.end], part)
        here = image[:, part.rows.start :, part.columns.start :]
        here = here[:, : pixels.shape[1], : pixels.shape[2]]
        here[:] = pixels[:, : here.shape[1], : here.shape[2]]
    return image


def _pixels(square: Array, part: Part) -> Array:
    """The outputs [N, rows, columns, O] of a part's tiles, from its sums [6, 6, tiles, O]."""
    down, across = OUTPUT_TRANSFORMS[part.rows.side], OUTPUT_TRANSFORMS[part.columns.side]
    sums = np.einsum("ik,kltc,jl->tijc", down, square, across, optimize=True)
    wrapped = (sums * ODD_INVERSE).astype(np.uint32).view(np.int32) >> SHIFT
    high, wide = part.rows.tiles, part.columns.tiles
    grid = wrapped.reshape(part.images, high, wide, *wrapped.shape[1:]).transpose(0, 1, 3, 2, 4, 5)
    image: Array = grid.reshape(part.images, high * part.rows.side, wide * part.columns.side, -1)
    return image


def fits(weight: Array) -> bool:
    """Whether 64·|Σ x·w| < 2³¹ for all codes x in [0, 255], per output channel."""
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    largest = max(int(np.maximum(part, 0).sum(1).max(initial=0)) for part in (rows, -rows))
    return 255 * largest << SHIFT < 2**31
