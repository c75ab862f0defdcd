"""Winograd's filtering gives the integers of direct convolution, and knows when it cannot."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.targets import TARGETS, Target, by_name
from lpc.compiler.contractions import winograd, winograd_packing
from lpc.compiler.contractions.winograd import (
    INPUT_TRANSFORM,
    ODD,
    ODD_INVERSE,
    OUTPUT_TRANSFORMS,
    POINTS,
    SHIFT,
    SHORT_INPUT_TRANSFORM,
    WEIGHT_TRANSFORMS,
)
from lpc.compiler.contractions.winograd_tiling import INPUTS, Tiling, spans_of
from lpc.compiler.dialects.layout import LANES
from lpc.compiler.dialects.tensors import Array

SEEDS = st.integers(0, 2**32 - 1)
EACH_WINDOW = pytest.mark.parametrize("taps", [3, 4])
EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
#: The largest sum of an output channel's positive weights whose result fits with its factor of 64.
LARGEST = (2**31 - 1) // (255 << SHIFT)
#: Greatest and least weight: the ends of s8, and what 512 channels of one sign just leave room for.
ENDS = ((127, 127), (-128, -128), (-128, 127), (28, 28), (-28, -28), (-57, 57))


def direct(padded: Array, weight: Array, stride: int = 1) -> Array:
    """Σ x·w in i64, [N, rows, columns, O]: the definition."""
    _, high, wide, _ = padded.shape
    window = weight.shape[-1]
    x, w = padded.astype(np.int64), weight.astype(np.int64)
    total: Array = sum(
        x[:, i : high - window + 1 + i : stride, j : wide - window + 1 + j : stride]
        @ w[:, :, i, j].T
        for i in range(window)
        for j in range(window)
    )  # type: ignore[assignment]
    return total


def filtered(padded: Array, weight: Array) -> Array:
    """The same by Winograd's filtering, i32."""
    images, high, wide, _ = padded.shape
    taps = weight.shape[-1]
    tiling = Tiling(images, high - taps + 1, wide - taps + 1, taps)
    points = winograd.transform_inputs(padded, tiling)
    assert points.shape == (POINTS, tiling.tiles, padded.shape[3])
    return winograd.convolve(points, weight, tiling)


# --- the algebra ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "taps", "b"),
    [(4, 3, INPUT_TRANSFORM), (3, 4, INPUT_TRANSFORM), (3, 3, SHORT_INPUT_TRANSFORM)],
)
def test_the_matrices_are_a_filtering_times_24(side: int, taps: int, b: Array) -> None:
    """Σₖ aᵢₖ gₖₘ bₖⱼ is 24 where input j is weight m of output i, and 0 elsewhere."""
    a, g = OUTPUT_TRANSFORMS[side], WEIGHT_TRANSFORMS[taps]
    product = np.einsum("ik,km,kj->imj", a, g, b)
    i, m, j = np.indices(product.shape)
    np.testing.assert_array_equal(product, 24 * (j == i + m))


def test_the_factor_has_an_inverse() -> None:
    assert ODD << SHIFT == 24 * 24
    assert -(2**31) <= ODD_INVERSE < 2**31
    assert ODD * ODD_INVERSE % 2**32 == 1


@settings(max_examples=60)
@given(
    seed=SEEDS,
    images=st.integers(1, 3),
    rows=st.integers(1, 13),
    columns=st.integers(1, 13),
    inputs=st.sampled_from((1, 3, 16, 17, 64)),
    outputs=st.sampled_from((1, 5, 16)),
    taps=st.sampled_from((3, 4)),
    spread=st.sampled_from((1, 20, 60, 500)),
)
def test_random_convolutions(
    seed: int,
    images: int,
    rows: int,
    columns: int,
    inputs: int,
    outputs: int,
    taps: int,
    spread: int,
) -> None:
    """Whole, short and ragged tiles, of several images."""
    generator = np.random.default_rng(seed)
    shape = (images, rows + taps - 1, columns + taps - 1, inputs)
    x = generator.integers(0, 256, shape).astype(np.uint8)
    values = np.rint(generator.normal(0, spread, (outputs, inputs, taps, taps)))
    weight = np.clip(values, -128, 127).astype(np.int8)
    assert winograd.fits(weight)
    np.testing.assert_array_equal(filtered(x, weight), direct(x, weight))


@settings(max_examples=40)
@given(
    seed=SEEDS,
    window=st.sampled_from((5, 7)),
    rows=st.integers(1, 8),
    columns=st.integers(1, 8),
    inputs=st.integers(1, 4),
)
def test_stride_two(seed: int, window: int, rows: int, columns: int, inputs: int) -> None:
    """As one with stride one of the channels of 2×2 pixels; what lies in the last row and column,
    of which no window reads anything, does not matter."""
    generator = np.random.default_rng(seed)
    taps = (window + 1) // 2
    high, wide = (2 * (n + taps - 1) for n in (rows, columns))
    x = generator.integers(0, 256, (2, high, wide, inputs)).astype(np.uint8)
    weight = generator.integers(-128, 128, (5, inputs, window, window)).astype(np.int8)
    deep = winograd.weights_to_depth(weight)
    assert deep.shape == (5, 4 * inputs, taps, taps)
    actual = filtered(winograd.space_to_depth(x), deep)
    assert actual.shape == (2, rows, columns, 5)
    np.testing.assert_array_equal(actual, direct(x[:, :-1, :-1], weight, stride=2))


def extreme_weights(
    outputs: int, inputs: int, ends: tuple[int, int], size: int, taps: int = 3
) -> Array:
    """Weights that alternate between both ends every `size` elements, of every channel shifted."""
    place = np.arange(inputs * taps * taps) + np.arange(outputs)[:, None]
    values = np.where(place // size % 2, *ends)
    return values.reshape(outputs, inputs, taps, taps).astype(np.int8)


@settings(max_examples=60)
@given(
    inputs=st.sampled_from((1, 2, 16, 48, 100, 114, 115, 227, 512)),
    ends=st.sampled_from(ENDS),
    size=st.sampled_from((1, 3, 9, 512)),
    rows=st.sampled_from((1, 4, 6)),
    taps=st.sampled_from((3, 4)),
    inverted=st.booleans(),
)
def test_extreme_convolutions(
    inputs: int, ends: tuple[int, int], size: int, rows: int, taps: int, inverted: bool
) -> None:
    """All inputs 255, or those that meet a positive weight of the first channel, up to K = 4608."""
    weight = extreme_weights(4, inputs, ends, size, taps)
    x = np.full((2, rows + taps - 1, 7, inputs), 255, np.uint8)
    if inverted:
        x[:, :, ::3] = np.where(weight[0, :, 0, 0] > 0, 255, 0)
    expected = direct(x, weight)
    if not winograd.fits(weight):
        assert (
            max(np.maximum(w, 0).sum(dtype=int) for w in (*weight, *-weight.astype(int))) > LARGEST
        )
        return
    np.testing.assert_array_equal(filtered(x, weight), expected)


def test_which_extreme_weights_fit() -> None:
    """Layers of one sign: up to 114 channels at the ends of s8, 512 at 28."""
    for inputs, value, expected in (
        (115, 127, True), (116, 127, False), (114, -128, True), (115, -128, False),
        (512, 28, True), (512, 29, False), (512, -28, True), (512, -29, False),
    ):  # fmt: skip
        weight = np.full((2, inputs, 3, 3), value, np.int8)
        assert winograd.fits(weight) == expected, (inputs, value)


# --- 32 bits --------------------------------------------------------------------------------------


def weight_of_sum(total: int, sign: int) -> Array:
    """[1, 128, 3, 3], s8, whose weights of one sign add up to `total`; the others are ∓1."""
    weight = np.full(128 * 9, -sign, np.int8)
    whole, rest = divmod(total, 127)
    weight[:whole], weight[whole] = 127 * sign, rest * sign
    return weight.reshape(1, 128, 3, 3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_weights_that_fit(sign: int) -> None:
    """One more unit of weight does not, and gives another result: the limit is the true one."""
    just, past = (weight_of_sum(total, sign) for total in (LARGEST, LARGEST + 1))
    assert winograd.fits(just)
    assert not winograd.fits(past)
    for weight in (just, past):
        x = np.where(weight.transpose(0, 2, 3, 1) * sign > 0, 255, 0).astype(np.uint8)
        expected = direct(x, weight)
        assert abs(expected.item()) * ODD << SHIFT >= 2**32  # what is added up has wrapped by then
        same = filtered(x, weight) == expected
        assert same.all() == (weight is just)


def test_both_signs_of_all_channels_are_looked_at() -> None:
    for sign in (1, -1):
        for channel in range(3):
            weight = np.zeros((3, 128, 3, 3), np.int8)
            weight[channel] = weight_of_sum(LARGEST, sign)[0]
            assert winograd.fits(weight)
            weight[channel] = weight_of_sum(LARGEST + 1, sign)[0]
            assert not winograd.fits(weight)


# --- 16 bits --------------------------------------------------------------------------------------


def extremes(down: Array, across: Array) -> Array:
    """Coefficients of each point of down ⊗ across: [points, rows, columns]."""
    products: Array = np.einsum("ik,jl->ijkl", down, across)
    return products.reshape(POINTS, down.shape[1], across.shape[1])


#: Of one tile per side, by the number of outputs.
INPUT_TRANSFORMS = {4: INPUT_TRANSFORM, 3: SHORT_INPUT_TRANSFORM}


@pytest.mark.parametrize(
    ("rows", "columns", "bounds"),
    [
        (4, 4, [17340, -12750]),
        (4, 3, [19890, -15300]),
        (3, 4, [19890, -15300]),
        (3, 3, [22950, -18360]),
    ],
)
def test_transformed_inputs_reach_their_bounds_and_fit(
    rows: int, columns: int, bounds: list[int]
) -> None:
    """One tile for each point and sign: 255 where the coefficient has that sign, 0 elsewhere."""
    coefficients = extremes(INPUT_TRANSFORMS[rows], INPUT_TRANSFORMS[columns])
    found = []
    for signed in (coefficients, -coefficients):
        codes = np.where(signed > 0, 255, 0).astype(np.uint8)
        points = winograd.transform_inputs(codes[..., None], Tiling(POINTS, rows, columns))
        expected = np.einsum("pkl,tkl->pt", coefficients, codes.astype(np.int64))
        np.testing.assert_array_equal(points[:, :, 0], expected)
        reached = np.diag(expected)
        np.testing.assert_array_equal(np.abs(expected).max(1) <= 32767, True)
        np.testing.assert_array_equal(
            reached, 255 * np.where(signed > 0, coefficients, 0).sum((1, 2))
        )
        found.append(int(reached.max() if signed is coefficients else reached.min()))
    assert found == bounds


@pytest.mark.parametrize(("taps", "largest", "least"), [(3, 18352, -18432), (4, 32640, -32768)])
def test_transformed_weights_reach_their_bounds_and_fit(
    taps: int, largest: int, least: int
) -> None:
    coefficients = extremes(WEIGHT_TRANSFORMS[taps], WEIGHT_TRANSFORMS[taps])
    for low, high, bound in ((-128, 127, largest), (127, -128, least)):
        weight = np.where(coefficients > 0, high, low)
        points = winograd.transform_weights(weight[:, None].astype(np.int8))
        expected = np.einsum("pkl,tkl->pt", coefficients, weight)
        np.testing.assert_array_equal(points[:, :, 0], expected)
        reached = np.diag(expected)
        assert (reached.max() if bound > 0 else reached.min()) == bound


def test_a_pair_of_products_fits_32_bits() -> None:
    """vpmaddwd adds two of them before anything may wrap on purpose."""
    assert 2 * 22950 * 32768 < 2**31


# --- packing --------------------------------------------------------------------------------------


@EACH_TARGET
@pytest.mark.parametrize("outputs", [16, 32, 48, 64, 80])
def test_tiles_fit_the_registers(target: Target, outputs: int) -> None:
    """The sums, `n` vectors of weights, inputs and products; whole groups of channels."""
    tile = winograd_packing.tile_for(target, outputs)
    assert tile.lanes == target.lanes
    assert tile.channels % LANES == outputs % tile.channels == 0
    assert (tile.m + 1) * tile.n + 2 <= target.registers


@settings(max_examples=30)
@given(
    seed=SEEDS,
    target=st.sampled_from([target.name for target in TARGETS]),
    inputs=st.sampled_from((16, 17, 31, 32, 50, 64)),
    outputs=st.sampled_from((16, 32, 48, 96)),
)
def test_packed_weights_come_back(seed: int, target: str, inputs: int, outputs: int) -> None:
    generator = np.random.default_rng(seed)
    weight = generator.integers(-128, 128, (outputs, inputs, 3, 3)).astype(np.int8)
    weight[generator.random(weight.shape) < 0.2] = -128
    tile = winograd_packing.tile_for(by_name(target), outputs)
    for pack, unpack, size in (
        (winograd_packing.pack_points, partial(winograd_packing.unpack_points, taps=3), 2 * POINTS),
        (winograd_packing.pack_taps, winograd_packing.unpack_taps, 9),
    ):
        data = pack(weight, tile)
        assert data.dtype == np.uint8
        assert data.shape == (size * outputs * winograd_packing.padded_inputs(inputs),)
        back = unpack(data, outputs, inputs, tile)
        assert back.dtype == np.int8
        np.testing.assert_array_equal(back, weight)


@settings(max_examples=10)
@given(seed=SEEDS, target=st.sampled_from([t.name for t in TARGETS]), inputs=st.integers(1, 17))
def test_packed_weights_of_four_taps_come_back(seed: int, target: str, inputs: int) -> None:
    generator = np.random.default_rng(seed)
    weight = generator.choice(np.array([-128, -127, 3, 127], np.int8), (32, inputs, 4, 4))
    tile = winograd_packing.tile_for(by_name(target), 32)
    data = winograd_packing.pack_points(weight, tile)
    back = winograd_packing.unpack_points(data, 32, inputs, tile, 4)
    np.testing.assert_array_equal(back, weight)


def test_packed_weights_lie_as_the_kernel_reads_them() -> None:
    """Pairs of inputs innermost, and zeros for the channels that are padding."""
    tile = winograd_packing.tile_for(by_name("avx2"), 32)
    weight = np.random.default_rng(0).integers(-128, 128, (32, 19, 3, 3)).astype(np.int8)
    o = tile.channels + tile.lanes + 3  # lane 3 of the second vector of the second block
    panels = winograd_packing.pack_points(weight, tile).view(np.int16)
    pairs = winograd_packing.padded_inputs(19) // 2
    assert pairs == 10
    panels = panels.reshape(32 // tile.channels, POINTS, pairs, tile.n, tile.lanes, 2)
    points = winograd.transform_weights(weight)
    np.testing.assert_array_equal(panels[1, :, 8, 1, 3], points[:, o, 16:18])
    np.testing.assert_array_equal(panels[1, :, 9, 1, 3, 0], points[:, o, 18])
    assert not panels[:, :, 9, :, :, 1].any()
    taps = winograd_packing.pack_taps(weight, tile).view(np.int8)
    taps = taps.reshape(32 // tile.channels, pairs, 9, tile.n, tile.lanes, 2)
    np.testing.assert_array_equal(taps[1, 8, 5, 1, 3], weight[o, 16:18, 1, 2])
    assert not taps[:, 9, ..., 1].any()


# --- whether it pays ------------------------------------------------------------------------------

AVX2 = by_name("avx2")


@pytest.mark.parametrize(("side", "channels"), [(56, 64), (28, 128), (14, 256)])
def test_the_usual_layers_are_worth_it(side: int, channels: int) -> None:
    assert winograd_packing.worthwhile(Tiling(1, side, side), channels, channels, AVX2)


@EACH_TARGET
def test_few_tiles_do_not_pay_for_large_weights(target: Target) -> None:
    """One tile reads 8 bytes of weights for each that direct convolution reads."""
    for side in (1, 3, 4):
        assert not winograd_packing.worthwhile(Tiling(1, side, side), 256, 256, target)


def test_more_images_make_large_weights_pay() -> None:
    assert not winograd_packing.worthwhile(Tiling(1, 4, 4), 256, 256, AVX2)
    assert winograd_packing.worthwhile(Tiling(64, 4, 4), 256, 256, AVX2)


@EACH_TARGET
def test_weights_are_stored_as_taps_for_few_tiles(target: Target) -> None:
    """Sums of all tiles of a block have to stay near; and bytes matter most where few use them."""
    channels = winograd_packing.tile_for(target, 256).channels
    limit = winograd_packing.MOST_BYTES_OF_SUMS // (winograd.POINTS * channels * 4)
    assert not winograd_packing.stores_taps(Tiling(1, 4, 4 * limit + 4), 256, 256, target)
    assert winograd_packing.stores_taps(Tiling(1, 7, 7), 256, 256, target)


def test_tiles_that_are_mostly_padding_do_not_pay() -> None:
    """A last tile of one row and column costs as much as a whole one."""
    assert winograd_packing.worthwhile(Tiling(8, 8, 8), 64, 64, AVX2)
    assert not winograd_packing.worthwhile(Tiling(8, 5, 5), 64, 64, AVX2)


# --- tilings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("taps", [3, 4])
@pytest.mark.parametrize("size", range(1, 40))
def test_tilings_cover_all_outputs_once(size: int, taps: int) -> None:
    """Whole tiles and short ones add up; else there are whole ones only, one of them ragged."""
    spans = spans_of(size, taps)
    side, ends = INPUTS + 1 - taps, 0
    for short, span in spans.items():
        assert (span.side, span.points) == (side - short, INPUTS - short)
        assert span.start == ends
        ends += span.tiles * span.side
    whole, short_ones = spans[False], spans[True]
    assert ends - side < size <= ends
    assert (ends > size) == whole.is_ragged
    assert not short_ones.is_ragged
    if taps == 4 or whole.is_ragged:
        assert short_ones.tiles == 0
    if taps == 3:
        assert whole.is_ragged == (size in (1, 2, 5))


def test_short_tiles_save_products() -> None:
    """7 = 4 + 3 and 14 = 4 + 4 + 3 + 3 outputs, from 11 and 22 points."""
    assert Tiling(2, 7, 7).products == 2 * 11 * 11
    assert Tiling(1, 14, 7).products == 22 * 11
    assert Tiling(1, 8, 8).products == 12 * 12
    assert Tiling(3, 9, 4).products == 3 * 15 * 6
    assert (Tiling(3, 9, 4).tiles, Tiling(3, 9, 4, taps=4).tiles) == (9, 18)


@given(
    images=st.integers(1, 3),
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    taps=st.sampled_from((3, 4)),
)
def test_tiles_that_have_a_point_are_neighbours(
    images: int, rows: int, columns: int, taps: int
) -> None:
    tiling = Tiling(images, rows, columns, taps)
    assert [part.first for part in tiling.parts] == [0, *(p.end for p in tiling.parts)][:-1]
    assert tiling.parts[-1].end == tiling.tiles
    for i, j in np.ndindex(INPUTS, INPUTS):
        having = [
            range(part.first, part.end)
            for part in tiling.parts
            if i < part.rows.points and j < part.columns.points
        ]
        assert list(tiling.having(i, j)) == [tile for tiles in having for tile in tiles]
