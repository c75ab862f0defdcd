"""Contractions in tile registers, in all sizes, also those that the cost model would not choose.

Compiled (on the tile unit in software where this CPU has none), and at the loop and isa levels,
where the unit is the one in numpy, they equal the interpreter bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pytest
import tile_unit
from emulation import TILES, is_emulated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lpc.compiler import driver
from lpc.compiler.codegen.kernels.tile_gemm import sums_are_whole
from lpc.compiler.codegen.lower import lower_to_loop
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.contractions import matrix_tile
from lpc.compiler.contractions.layer import Layer, choices_in_registers
from lpc.compiler.contractions.ordered_tile import Choice
from lpc.compiler.contractions.packing import PackedGemm
from lpc.compiler.contractions.tile import Tile, ranked
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of, ui8
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.interpreters.loop import run_program
from lpc.compiler.passes.pack_weights import layers_of, pack_weights
from lpc.compiler.passes.prove_accumulation import ProveAccumulation
from lpc.compiler.passes.select_instructions import SelectInstructions
from lpc.compiler.signature import library_info
from support import EXAMPLES, SEEDS, Bench, extreme_codes, pick
from test_convolution import Shape, qconv, requantized, residual
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

Estimates: TypeAlias = Sequence[tuple[float, Choice]]

TARGET = by_name(TILES)
#: Around registers of 16 rows and 16 channels, and around chunks of 64 inputs and steps of 4.
SIDES = (1, 2, 3, 5, 8, 15, 16, 17, 18, 31, 32, 33, 47, 49)
INPUTS = (1, 3, 4, 5, 16, 30, 60, 63, 64, 65, 68, 100, 127, 128, 130)
OUTPUTS = (1, 7, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 100, 112, 129, 160)
KERNELS = ((1, 1), (1, 1), (3, 3), (3, 3), (2, 2), (1, 3), (3, 1), (5, 5), (7, 7))


def draw_shape(g: np.random.Generator, macs: int) -> Shape:
    """A convolution without groups of at most so many multiply-adds."""
    while True:
        kernel, strides = pick(g, KERNELS), pick(g, ((1, 1), (1, 1), (2, 2), (1, 2), (2, 1)))
        top, left, bottom, right = (
            int(g.integers(0, k)) if g.random() < 0.6 else 0 for k in (*kernel, *kernel)
        )
        dilations = pick(g, ((1, 1), (1, 1), (1, 1), (2, 2), (1, 2)))
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        height = max(int(pick(g, SIDES[:7])), reach[0] - top - bottom)
        width = max(int(pick(g, SIDES)), reach[1] - left - right)
        inputs, outputs, images = pick(g, INPUTS), pick(g, OUTPUTS), int(pick(g, (1, 1, 2)))
        pads = (top, left, bottom, right)
        shape = Shape(images, height, width, inputs, outputs, kernel, strides, dilations, pads, 1)
        if images * height * width * inputs * outputs * kernel[0] * kernel[1] <= macs:
            return shape


def add_case(bench: Bench, g: np.random.Generator, macs: int) -> None:
    if g.random() < 0.25:
        value, label = matmul(bench, g, macs)
    else:
        s = draw_shape(g, macs)
        x = bench.input(extreme_codes(g, s.input_shape, np.uint8))
        value, label = qconv(bench, g, s, x)
    end = pick(g, ("sums", "codes", "codes", "table", "residual"))
    if end != "sums":
        value = requantized(bench, g, value, 16)
    if end == "table":
        value = bench(graph.LutOp(value, extreme_codes(g, (256,), np.uint8)))
    elif end == "residual" and len(shape_of(value)) == 4:
        value = residual(bench, g, value)
    bench.output(value, f"{end} of {label}")


def matmul(bench: Bench, g: np.random.Generator, macs: int) -> tuple[SSAValue, str]:
    k, n = int(pick(g, INPUTS)), int(pick(g, OUTPUTS))
    m = min(int(pick(g, SIDES)), max(1, macs // (k * n)))
    a = bench.input(extreme_codes(g, (1, 1, m, k), np.uint8))
    b = bench.constant(extreme_codes(g, (k, n), np.int8))
    return bench(graph.QMatMulOp(a, b, a_zero_point=9)), f"{m}×{k}×{n}"


def any_choice(layer: Layer, g: np.random.Generator) -> Choice:
    choices = [choice for _, choice in choices_in_registers(layer)]
    return choices[int(g.integers(len(choices)))]


def packed(module: ModuleOp, g: np.random.Generator) -> dict[str, Choice]:
    """Brings the module to level `packed`, every layer in tile registers; the choices made."""
    driver.run_passes(module, driver.new_context(), driver.TO_PACKED)
    choices = {layer.key: any_choice(layer, g) for _, layer in layers_of(module, TARGET)}
    pack_weights(module, TARGET, choices)
    ProveAccumulation().apply(driver.new_context(), module)
    return choices


def check_levels(bench: Bench, module: ModuleOp, expected: list[Array], tiles: str) -> None:
    info, program = library_info(module), lower_to_loop(module, TARGET)
    for level in ("loop", "isa"):
        if level == "isa":
            SelectInstructions(TARGET.name).apply(driver.new_context(), program.module)
        program.module.verify()
        actual = run_program(program, info, bench.arrays)
        for check, value, wanted in zip(bench.checks, actual, expected, strict=True):
            check.compare(value, wanted, f"{level} in {tiles}")


@given(SEEDS)
@settings(
    max_examples=5 * EXAMPLES.max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_levels_agree(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    add_case(bench, g, 300_000)
    module = bench.module()
    expected = run_graph(module, bench.arrays)
    own = module.clone()
    choices = packed(own, g)
    tiles = ", ".join(f"{c.tile.m}×{c.tile.n}" for c in choices.values())
    check_levels(bench, own, expected, tiles)


@pytest.fixture
def _any_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost model chooses tile registers always, and at random among all tiles."""
    g = np.random.default_rng(7)

    def choose(tiles: Estimates, vectors: Estimates) -> tuple[Choice, ...]:
        return (tiles[int(g.integers(len(tiles)))][1],) if tiles else ranked(vectors)

    monkeypatch.setattr(matrix_tile, "preferred", choose)


@pytest.mark.usefixtures("_any_tile")
@given(SEEDS)
@settings(EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_compiled(seed: int) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(12):
        add_case(bench, g, 20_000_000)
    before = tile_unit.counts()["tdpbusd"]
    bench.check([TARGET])
    assert not is_emulated(TILES) or tile_unit.counts()["tdpbusd"] > before


@pytest.mark.usefixtures("_any_tile")
@pytest.mark.parametrize("beyond", [0, 1])
def test_sums_at_the_end_of_whole_floats(beyond: int) -> None:
    """Sums of −2²² and 2²² − 1 are read as floats; one more, and they are converted."""
    codes = np.repeat(np.arange(0, 256, 15, dtype=np.uint8), 128).reshape(1, 1, -1, 128)
    weights = np.repeat(np.asarray([127, -128], np.int8), 16)[:, None].repeat(128, 1)
    ends = np.repeat(np.asarray([2**22 - 1 + beyond, -(2**22) - beyond]), 16)
    bias = (ends - 255 * weights.sum(1, np.int64)).astype(np.int32)
    bench = Bench()
    weight = bench.constant(weights[:, :, None, None])
    sums = bench(graph.QConv2dOp(bench.input(codes), weight, bench.constant(bias), layout="nhwc"))
    scale = np.float32(2.0**-16)
    bench.output(bench(graph.RequantizeOp(sums, scale, 128, ui8, 3)), f"{beyond} beyond")
    bench.check([TARGET])
    tile = Tile(16, 1, 16)
    # [block][step][lane][4], as in memory
    panels = weights.reshape(2, 16, 32, 4).swapaxes(1, 2)
    gemm = PackedGemm(panels.reshape(-1).view(np.uint8), tile, 1, 32, 1, None, chunk=16)
    assert sums_are_whole(gemm, bias) == (not beyond)


@pytest.mark.once
@given(st.integers(1, 200))
def test_chunks(steps: int) -> None:
    chunk, starts = matrix_tile.chunk_of(steps), matrix_tile.chunk_starts(steps)
    assert 1 <= chunk <= min(16, steps)
    assert len(starts) == -(-steps // 16)
    covered = np.zeros(steps, int)
    for start in starts:
        assert 0 <= start <= steps - chunk
        covered[start : start + chunk] += 1
    assert covered.min() >= 1
    # Only the last chunk repeats steps of another.
    assert (covered[: starts[-1]] == 1).all()
    assert covered.sum() - steps < len(starts)


@pytest.mark.once
@given(st.integers(1, 48))
def test_rows(m: int) -> None:
    rows = matrix_tile.row_pieces(m)
    assert sum(rows) == m
    assert max(rows) <= 16
    assert len(rows) == -(-m // 16)


@pytest.mark.once
@given(st.integers(1, 400), st.integers(1, 1 << 21))
def test_slabs_and_groups(tiles: int, weights: int) -> None:
    slabs = matrix_tile.slabs_of(tiles, weights)
    assert tiles % slabs == 0
    assert slabs == 1 or (tiles // slabs >= 5 and weights <= 1 << 19)
    size = matrix_tile.blocks_of_group(tiles, weights)
    assert tiles % size == 0
    assert size == 1 or size * weights <= 1 << 15
