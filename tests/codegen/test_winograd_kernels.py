"""3×3 convolutions by Winograd's filtering: the interpreter's integers, bit for bit, everywhere.

Whether it pays is asked for layers larger than tests want to be; here the answer is always yes, and
each test says how many layers must have taken this way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle, product
from pathlib import Path
from typing import Any, cast

import lpc.runtime as lpr
import numpy as np
import pytest
from emulation import targets_tested
from hostile import run
from hypothesis import given
from lpc.compiler.codegen.kernels.winograd_transforms import (
    ROW_PAIRS,
    input_transform,
    output_transform,
    weight_rows,
    weight_transform,
)
from lpc.compiler.codegen.library import write_library
from lpc.compiler.codegen.program import TargetProgram
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.contractions.winograd import (
    INPUT_TRANSFORM,
    INPUTS,
    OUTPUT_TRANSFORMS,
    SCALES,
    SHORT_INPUT_TRANSFORM,
    WEIGHT_TRANSFORMS,
    fits,
)
from lpc.compiler.contractions.winograd_packing import tile_for
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, ui8
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.passes import pack_weights, winograd
from lpc.compiler.signature import library_info
from support import FEW_EXAMPLES, SEEDS, Bench, extreme_codes, levels_of, pick
from test_convolution import requantized, residual
from test_worst_case import ALL, codes_of, exact, weights_of
from xdsl.ir import SSAValue

EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
EACH_FORM = pytest.mark.parametrize("form", ["points", "taps"])
#: Around whole vectors of bytes and words, with and without padding.
INPUT_CHANNELS = (16, 17, 24, 31, 32, 33, 48, 64, 72)
OUTPUT_CHANNELS = (16, 32, 48, 64)
SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13)


@contextmanager
def every_layer(*forms: str) -> Iterator[list[graph.QConv2dOp]]:
    """All suitable layers take this way, with weights in these forms in turn.

    The list has them all in the end."""
    taken: list[graph.QConv2dOp] = []
    turn = cycle(forms)

    def pays(op: graph.QConv2dOp, target: Target) -> bool:
        taken.append(op)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "pays", pays)
        patch.setattr(
            pack_weights,
            "stores_taps",
            lambda tiling, *others: next(turn) == "taps" and tiling.taps == 3,
        )
        yield taken


def draw_weights(g: np.random.Generator, outputs: int, inputs: int, window: int) -> Array:
    shape = (outputs, inputs, window, window)
    kind = pick(g, ("small", "full", "extreme", "least", "greatest"))
    if kind == "small":
        return g.integers(-20, 21, shape).astype(np.int8)
    if kind == "full":
        return extreme_codes(g, shape, np.int8)
    if kind == "extreme":
        return g.choice(np.array([-128, 127], np.int8), shape)
    return np.full(shape, -128 if kind == "least" else 127, np.int8)


def convolve(
    bench: Bench,
    g: np.random.Generator,
    x: SSAValue,
    outputs: int,
    pads: tuple[int, int, int, int] | None = None,
    window: int = 3,
) -> tuple[SSAValue, str]:
    """3×3, or larger with stride two, with random pads that leave at least one output; sums and a
    label."""
    _, high, wide, inputs = shape_of(x)
    if pads is None:
        top, left, bottom, right = (int(p) for p in g.integers(0, 3, 4))
        pads = (top, left, max(bottom, window - high - top), max(right, window - wide - left))
    bias = g.integers(-(2**20), 2**20, outputs).astype(np.int32)
    weight = draw_weights(g, outputs, inputs, window)
    assert fits(weight)
    zero_point = int(pick(g, (0, 128, 255, 3)))
    op = graph.QConv2dOp(
        x,
        bench.constant(weight),
        bench.constant(bias) if g.random() < 0.7 else None,
        input_zero_point=zero_point,
        pads=pads,
        strides=(1, 1) if window == 3 else (2, 2),
        layout="nhwc",
    )
    return bench(op), f"{shape_of(x)} to {outputs}, {window=}, {pads=}, {zero_point=}"


def draw_input(bench: Bench, g: np.random.Generator, channels: int) -> SSAValue:
    """From the caller, or by a kernel that makes room for a halo."""
    shape = (pick(g, (1, 1, 2, 3)), pick(g, SIDES), pick(g, SIDES), channels)
    x = bench.input(extreme_codes(g, shape, np.uint8))
    if g.random() < 0.5:
        x = bench(graph.LutOp(x, extreme_codes(g, (256,), np.uint8)))
    return x


# --- epilogues: each gives what is returned, and how many layers take Winograd's way --------------


def sums_returned(bench: Bench, g: np.random.Generator) -> int:
    sums, label = convolve(bench, g, draw_input(bench, g, pick(g, INPUT_CHANNELS)), 16)
    bench.output(sums, f"sums of {label}")
    return 1


def codes_returned(bench: Bench, g: np.random.Generator) -> int:
    x = draw_input(bench, g, pick(g, INPUT_CHANNELS))
    sums, label = convolve(bench, g, x, pick(g, OUTPUT_CHANNELS))
    codes = requantized(bench, g, sums, 9 * shape_of(x)[3])
    if g.random() < 0.5:
        codes = bench(graph.LutOp(codes, extreme_codes(g, (256,), np.uint8)))
    bench.output(codes, f"codes of {label}")
    return 1


def added_to_another(bench: Bench, g: np.random.Generator) -> int:
    x = draw_input(bench, g, pick(g, INPUT_CHANNELS))
    sums, label = convolve(bench, g, x, pick(g, OUTPUT_CHANNELS))
    codes = residual(bench, g, requantized(bench, g, sums, 9 * shape_of(x)[3]))
    bench.output(codes, f"sum with another of {label}")
    return 1


def added_to_its_input(bench: Bench, g: np.random.Generator) -> int:
    """The kernel of the products reads the convolution's input, too: as it is."""
    x = draw_input(bench, g, pick(g, OUTPUT_CHANNELS))
    sums, label = convolve(bench, g, x, shape_of(x)[3], (1, 1, 1, 1))
    codes = requantized(bench, g, sums, 9 * shape_of(x)[3])
    total = graph.AddOp(
        bench(graph.DequantizeOp(codes, 0.04, 9, 3)), bench(graph.DequantizeOp(x, 0.03, 131, 3))
    )
    value = bench(graph.UnaryOp("relu", bench(total)))
    bench.output(bench(graph.QuantizeOp(value, 0.05, 3, ui8, 3)), f"sum with input, {label}")
    return 1


def two_in_a_row(bench: Bench, g: np.random.Generator) -> int:
    """Through the workspace, with its halo and padded channels."""
    x = draw_input(bench, g, pick(g, INPUT_CHANNELS))
    sums, label = convolve(bench, g, x, pick(g, OUTPUT_CHANNELS))
    codes = requantized(bench, g, sums, 9 * shape_of(x)[3])
    sums, more = convolve(bench, g, codes, pick(g, OUTPUT_CHANNELS))
    bench.output(requantized(bench, g, sums, 9 * shape_of(codes)[3]), f"{label} then {more}")
    return 2


def before_another_kernel(bench: Bench, g: np.random.Generator) -> int:
    """The result is read by a window of stride two, and returned as well: no padding in it."""
    x = draw_input(bench, g, pick(g, INPUT_CHANNELS))
    sums, label = convolve(bench, g, x, pick(g, OUTPUT_CHANNELS), (2, 2, 2, 2))
    codes = requantized(bench, g, sums, 9 * shape_of(x)[3])
    weight = bench.constant(extreme_codes(g, (5, shape_of(codes)[3], 3, 3), np.int8))
    op = graph.QConv2dOp(
        codes, weight, input_zero_point=7, pads=(1, 1, 1, 1), strides=(2, 2), layout="nhwc"
    )
    bench.output(bench(op), f"stride two of {label}")
    if g.random() < 0.5:
        bench.output(codes, f"and itself, {label}")
    return 1


def two_readers(bench: Bench, g: np.random.Generator) -> int:
    """Both layers transform the input for themselves, with their own padding and zero point; the
    caller gets it as well, so that it has no padding."""
    x = draw_input(bench, g, pick(g, INPUT_CHANNELS))
    x = bench(graph.LutOp(x, extreme_codes(g, (256,), np.uint8)))
    bench.output(x, "input of two readers")
    for _ in range(2):
        sums, label = convolve(bench, g, x, pick(g, OUTPUT_CHANNELS))
        bench.output(requantized(bench, g, sums, 9 * shape_of(x)[3]), f"two readers, {label}")
    return 2


def stride_two_of_images(bench: Bench, g: np.random.Generator) -> int:
    """5×5 and 7×7 windows; as many channels as a pixel of an image has, side by side or, behind
    another convolution, sixteen bytes apart."""
    for window in (5, 7):
        shape = (pick(g, (1, 2)), int(g.integers(1, 25)), int(g.integers(1, 25)))
        x = bench.input(extreme_codes(g, (*shape, int(g.integers(1, 5))), np.uint8))
        if g.random() < 0.7:
            x = bench(graph.LutOp(x, extreme_codes(g, (256,), np.uint8)))
        if apart := g.random() < 0.3:
            weight = bench.constant(extreme_codes(g, (3, shape_of(x)[3], 1, 1), np.int8))
            x = requantized(bench, g, bench(graph.QConv2dOp(x, weight, layout="nhwc")), 1)
        sums, label = convolve(bench, g, x, pick(g, OUTPUT_CHANNELS), window=window)
        codes = requantized(bench, g, sums, window * window)
        bench.output(codes, f"stride two, {apart=}, {label}")
    return 2


CASES = (
    sums_returned, codes_returned, added_to_another, added_to_its_input, two_in_a_row,
    before_another_kernel, two_readers, stride_two_of_images,
)  # fmt: skip


@given(SEEDS)
@FEW_EXAMPLES
def test_random_layers(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    with every_layer("points", "taps", "points") as taken:  # three: no multiple of the layers
        layers = sum(case(bench, g) for case in CASES)
        bench.check()
    assert len(taken) == layers * len(targets_tested(TARGETS))


@EACH_FORM
@EACH_TARGET
def test_worst_cases(target: Target, form: str) -> None:
    """Codes of 255 for and against weights at the ends of what `fits` allows, up to K = 4608."""
    bench = Bench()
    cases = [(17, ALL), (114, ALL), (227, (-64, 63)), (512, (-28, 28))]
    for channels, limits in cases:
        weights = weights_of(9 * channels, limits, 32)
        codes = codes_of(weights)
        x = bench.input(codes.reshape(-1, 3, 3, channels))
        w = bench.constant(weights.reshape(-1, 3, 3, channels).transpose(0, 3, 1, 2).copy())
        expected = exact(codes, weights).reshape(-1, 1, 1, 32)
        sums = bench(graph.QConv2dOp(x, w, layout="nhwc"))
        bench.output(sums, f"{channels} channels, {limits}", exact=expected)
    with every_layer(form) as taken:
        bench.check([target])
    assert len(taken) == len(cases)


@EACH_TARGET
@pytest.mark.parametrize("window", [5, 7])
def test_worst_cases_of_images(target: Target, window: int) -> None:
    """Codes of 255 for and against the weights of each channel."""
    bench, size = Bench(), window * window * 3
    weights = weights_of(size, ALL, 32)
    codes = codes_of(weights)
    x = bench.input(codes.reshape(-1, window, window, 3))
    w = bench.constant(weights.reshape(-1, window, window, 3).transpose(0, 3, 1, 2).copy())
    expected = exact(codes, weights).reshape(-1, 1, 1, 32)
    sums = bench(graph.QConv2dOp(x, w, strides=(2, 2), layout="nhwc"))
    bench.output(sums, f"{window=}", exact=expected)
    with every_layer("points") as taken:
        bench.check([target])
    assert len(taken) == 1


@EACH_FORM
def test_whole_tiles_of_the_largest_codes(form: str) -> None:
    """All inputs 255 and all weights at one end: every point of every tile at its extreme."""
    bench = Bench()
    values = (127, -128)
    for value in values:
        x = bench.input(np.full((1, 14, 10, 112), 255, np.uint8))
        w = bench.constant(np.full((32, 112, 3, 3), value, np.int8))
        expected = np.full((1, 12, 8, 32), 255 * value * 112 * 9, np.int32)
        op = graph.QConv2dOp(x, w, layout="nhwc")
        bench.output(bench(op), f"all weights {value}", exact=expected)
    with every_layer(form) as taken:
        bench.check()
    assert len(taken) == len(values) * len(targets_tested(TARGETS))


@EACH_FORM
@EACH_TARGET
@pytest.mark.parametrize("less", [0, 1, 2])
def test_last_groups_of_tiles_are_shorter(target: Target, form: str, less: int) -> None:
    """Two groups of tiles, of which none, the last one, or both are shorter than they might be."""
    bench, g = Bench(), np.random.default_rng(less)
    tiles = 2 * tile_for(target, 16).m - less
    x = bench.input(extreme_codes(g, (1, 4 * tiles + 2, 6, 16), np.uint8))
    weight = bench.constant(draw_weights(g, 16, 16, 3))
    bench.output(bench(graph.QConv2dOp(x, weight, layout="nhwc")), f"{tiles} tiles")
    with every_layer(form) as taken:
        bench.check([target])
    assert len(taken) == 1


def test_rows_that_compete_for_cache_lie_apart() -> None:
    """[36, tiles, C] with rows of whole pages gets a halo (assign-layouts), which is not read."""
    bench, g = Bench(), np.random.default_rng(5)
    x = bench.input(extreme_codes(g, (1, 16, 16, 64), np.uint8))
    sums, label = convolve(bench, g, x, 32, (1, 1, 1, 1))
    bench.output(sums, label)
    with every_layer("points") as taken:
        bench.check()
    assert len(taken) == len(targets_tested(TARGETS))


@pytest.mark.once
def test_targets_of_one_library_may_differ(tmp_path: Path) -> None:
    """What pays on one does not on another: each has its own kernels and workspace."""
    bench, g = Bench(), np.random.default_rng(6)
    added_to_its_input(bench, g)
    module = bench.module()
    info, (expected,) = library_info(module), run_graph(module, bench.arrays)
    programs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "pays", lambda op, target: target.name == "sse42")
        for target in TARGETS[:2]:
            program = levels_of(module.clone(), target)["obj"].content
            assert isinstance(program, TargetProgram)
            programs.append(program)
    first, second = (tuple(step.exec_type for step in program.steps) for program in programs)
    assert "winograd_sse42_I8" in first
    assert "gemm_avx2_I8" in second
    assert programs[0].workspace_size > programs[1].workspace_size
    write_library(tmp_path / "both.so", programs, info)
    for target in TARGETS[:2]:
        model = lpr.load(tmp_path / "both.so", num_threads=1, target=target.name)
        (actual,) = run(model, bench.arrays, 1)
        bench.checks[0].compare(actual, expected, target.name)


# --- the transforms, as the kernels spell them out ------------------------------------------------


class Arrays:
    """`Lanes` on arrays, which wrap as vectors do."""

    def add(self, a: Array, c: Array) -> Array:
        return a + c

    def sub(self, a: Array, c: Array) -> Array:
        return a - c

    def shift(self, a: Array, bits: int) -> Array:
        return np.asarray(a << a.dtype.type(bits))

    def three(self, a: Array) -> Array:
        return np.asarray(a * a.dtype.type(3))


ARRAYS: Any = Arrays()
#: What kernels make of taps.
UNSCALED = WEIGHT_TRANSFORMS[3] // SCALES[:, None]


def test_transforms_are_their_matrices() -> None:
    g = np.random.default_rng(7)
    transforms: tuple[tuple[Any, Array], ...] = (
        (input_transform, INPUT_TRANSFORM),
        (weight_transform, UNSCALED),
        (input_transform, SHORT_INPUT_TRANSFORM[:-1]),
        (partial(output_transform, side=4), OUTPUT_TRANSFORMS[4]),
        (partial(output_transform, side=3), OUTPUT_TRANSFORMS[3]),
        (partial(output_transform, side=3), OUTPUT_TRANSFORMS[3][:, :-1]),
        (partial(output_transform, side=4, scaled=True), OUTPUT_TRANSFORMS[4] * SCALES),
        (partial(output_transform, side=3, scaled=True), (OUTPUT_TRANSFORMS[3] * SCALES)[:, :-1]),
    )
    for function, matrix in transforms:
        values: Any = g.integers(-(2**31), 2**31, (matrix.shape[1], 50)).astype(np.int32)
        expected = (matrix @ values.astype(np.int64)).astype(np.int32)
        np.testing.assert_array_equal(np.stack(function(ARRAYS, list(values))), expected)


def test_rows_of_transformed_weights() -> None:
    w: Any = np.random.default_rng(8).integers(-128, 128, (3, 3, 50)).astype(np.int16)
    assert sorted(sum(ROW_PAIRS, ())) == list(range(INPUTS))
    for pair in ROW_PAIRS:
        for row, found in zip(pair, weight_rows(ARRAYS, lambda y, x: w[y, x], pair), strict=True):
            expected = np.einsum("y,yxk->xk", UNSCALED[row], w)
            np.testing.assert_array_equal(np.stack(cast(Any, found)), expected)


BOTH = (INPUT_TRANSFORM, SHORT_INPUT_TRANSFORM[:-1])


@pytest.mark.parametrize(
    ("function", "low", "high", "matrices"),
    [
        *((input_transform, 0, 255, pair) for pair in product(BOTH, BOTH)),
        (weight_transform, -128, 127, (UNSCALED, UNSCALED)),
    ],
)
def test_sixteen_bits_are_enough_at_the_extremes(
    function: Any, low: int, high: int, matrices: tuple[Array, Array]
) -> None:
    """In two dimensions, for what makes each point as large and as small as it can be."""
    down, across = matrices
    for sign in (1, -1):
        for i, j in np.ndindex(len(down), len(across)):
            coefficients = sign * np.outer(down[i], across[j])
            x = np.where(coefficients > 0, high, low).astype(np.int16)
            columns = np.stack(function(ARRAYS, list(x)))
            points = np.stack(function(ARRAYS, list(columns.T))).T
            np.testing.assert_array_equal(points, down @ x.astype(int) @ across.T)
