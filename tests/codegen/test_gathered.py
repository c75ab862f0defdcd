"""Contractions whose steps gather their inputs, against the interpreter: bit for bit.

Property tests of convolutions and matrix products try them, too; here every layer does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpc.compiler.codegen import lower
from lpc.compiler.codegen.kernels import gemm
from lpc.compiler.codegen.kernels.gathered_gemm import GatheredGemmGenerator
from lpc.compiler.codegen.targets import TARGETS, by_name
from lpc.compiler.contractions import gathered_tile
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, ui8
from support import (
    FEW_EXAMPLES,
    SEEDS,
    Bench,
    extreme_codes,
    levels_of,
    pick,
    with_gathered_inputs,
)
from xdsl.dialects.builtin import ModuleOp

WITHOUT_VNNI = tuple(target for target in TARGETS if target.dot4 is None)
#: Around pieces of 16 inputs; and around tiles and strips of 4, 8 and 16 pixels.
INPUTS = (16, 17, 20, 31, 32, 33, 48, 65)
SIDES = (2, 3, 5, 7, 8, 9, 16, 17, 33)
OUTPUTS = (1, 5, 8, 16, 17, 40, 64, 72)


def draw_weights(g: np.random.Generator, *shape: int) -> Array:
    """For chains of every length, with offsets, and for no chains at all."""
    deviation = pick(g, (6, 20, 45, 70, None))
    if deviation is None:
        return extreme_codes(g, shape, np.int8)
    return np.rint(g.normal(0, deviation, shape)).clip(-128, 127).astype(np.int8)


def add_layer(bench: Bench, g: np.random.Generator) -> None:
    kernel, side = int(pick(g, (1, 1, 1, 2, 3))), int(pick(g, SIDES))
    images, height = int(pick(g, (1, 1, 2))), int(pick(g, (1, 3, side)))
    inputs, outputs = int(pick(g, INPUTS)), int(pick(g, OUTPUTS))
    stride, top, left = (int(n) for n in (g.integers(1, 3), g.integers(2), g.integers(2)))
    pads = (top, left, kernel - 1, kernel - 1)
    x = bench.input(extreme_codes(g, (images, height, side, inputs), np.uint8))
    weight = draw_weights(g, outputs, inputs, kernel, kernel)
    op = graph.QConv2dOp(
        x,
        bench.constant(weight),
        input_zero_point=int(pick(g, (0, 3, 128, 255))),
        strides=(stride, stride),
        pads=pads,
        layout="nhwc",
    )
    value = bench(op)
    if g.random() < 0.5:
        multiplier = (g.uniform(0.2, 3.0, outputs) / (3500 * kernel * inputs**0.5)).astype("f4")
        value = bench(graph.RequantizeOp(value, multiplier, 120, ui8, 3))
    bench.output(value, f"{x.type} by {weight.shape}, stride {stride}, pads {pads}")


def check_layers(seed: int, count: int = 6, vectors: int = 0) -> None:
    g, bench = np.random.default_rng(seed), Bench()
    for _ in range(count):
        add_layer(bench, g)
    with with_gathered_inputs(vectors=vectors):
        bench.check(WITHOUT_VNNI)


@given(SEEDS, st.sampled_from((1, 2)))
@FEW_EXAMPLES
def test_random_layers(seed: int, vectors: int) -> None:
    check_layers(seed, 8, vectors)


@pytest.mark.parametrize("least", [None, 1])
def test_several_groups_of_blocks(least: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a team each, or all in one; and with groups that divide teams."""
    monkeypatch.setattr(gemm, "_GROUP_BYTES", 1500)
    if least:
        monkeypatch.setattr(GatheredGemmGenerator, "least_group", least)
    check_layers(3)


@pytest.mark.parametrize("vectors", [1, 2])
def test_threads_begin_anywhere(vectors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a strip, or of a team, whose inputs another thread has gathered."""
    monkeypatch.setattr(lower, "_SERIAL_BELOW", 0)
    check_layers(6, vectors=vectors)


@pytest.mark.once
@pytest.mark.parametrize("deviation", [8.0, 45.0])
def test_a_layer_as_large_as_it_takes_to_be_chosen(deviation: float) -> None:
    g, bench = np.random.default_rng(4), Bench()
    x = bench.input(extreme_codes(g, (1, 8, 12, 256), np.uint8))
    weight = np.rint(g.normal(0, deviation, (64, 256, 1, 1))).clip(-128, 127).astype(np.int8)
    bench.output(bench(graph.QConv2dOp(x, bench.constant(weight), layout="nhwc")), "256 → 64")
    (packed,) = packed_weights(bench.module(), "avx2")
    assert packed.form.data == "gathered"


def packed_weights(module: ModuleOp, target: str) -> list[graph.PackedWeightsOp]:
    content = levels_of(module, by_name(target))["packed"].content
    assert isinstance(content, ModuleOp)
    return [op for op in content.walk() if isinstance(op, graph.PackedWeightsOp)]


@pytest.mark.once
@pytest.mark.parametrize(
    ("inputs", "gathers"), [(15, False), (48, True), (3072, True), (4000, False)]
)
def test_which_layers_have_inputs_enough_and_not_too_many(inputs: int, gathers: bool) -> None:
    """On AVX2, what a strip gathers of 4000 inputs is more than the stack is asked for."""
    g, bench = np.random.default_rng(4), Bench()
    x = bench.input(extreme_codes(g, (9, inputs), np.uint8))
    w = bench.constant(np.rint(g.normal(0, 30, (inputs, 24))).astype(np.int8))
    bench.output(bench(graph.QMatMulOp(x, w)), "product")
    with with_gathered_inputs(fewest=gathered_tile.FEWEST):
        (packed,) = packed_weights(bench.module(), "avx2")
    assert (packed.form.data == "gathered") == gathers


@pytest.mark.once
def test_teams_that_are_unlike_the_one_that_was_tried() -> None:
    """No chain suits the second one: what it would gather is more than the stack is asked for."""
    g, bench = np.random.default_rng(4), Bench()
    weight = np.rint(g.normal(0, 30, (3072, 128))).astype(np.int8)
    weight[:, 64:] = 127
    x = bench.input(extreme_codes(g, (9, 3072), np.uint8))
    bench.output(bench(graph.QMatMulOp(x, bench.constant(weight))), "product")
    with with_gathered_inputs():
        (packed,) = packed_weights(bench.module(), "avx2")
    assert packed.form.data != "gathered"
