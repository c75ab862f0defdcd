"""What the machine code looks like: the right instructions in hot loops, and few spills."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
from lpc.compiler.codegen.targets import TARGETS, Target, by_name
from lpc.compiler.contractions import layer
from lpc.compiler.contractions.ordered_tile import Choice
from lpc.compiler.contractions.tile import even_pieces
from lpc.compiler.contractions.winograd_packing import tile_for
from lpc.compiler.contractions.winograd_tiling import INPUTS, Tiling
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, ui8
from lpc.compiler.passes import pack_weights, winograd
from support import Bench, levels_of

OLDER = [target for target in TARGETS if target.dot4 is None]
_LABEL = re.compile(r"^(\.L\w+):")
_JUMP = re.compile(r"^\tj\w+\t(\.L\w+)")
_SPILL = re.compile(r"^\tv?mov\w*\t%[xyz]mm\d+, -?\d*\(%r[sb]p\)")


@dataclass(frozen=True)
class Block:
    """A basic block that jumps back to its own start."""

    lines: tuple[str, ...]

    def count(self, *opcodes: str) -> int:
        return sum(line.split("\t")[1] in opcodes for line in self.lines if line.startswith("\t"))

    @property
    def spills(self) -> int:
        return sum(_SPILL.match(line) is not None for line in self.lines)

    def keeps_its_registers(self, dots: int) -> bool:
        """At most one vector is stored to the stack, and one more for every eight dot products."""
        return self.spills <= 1 + dots // 8


def inner_loops(assembly: str) -> list[Block]:
    loops, label, lines = [], "", list[str]()
    for line in assembly.replace("\t{vex}", "").splitlines():
        if found := _LABEL.match(line):
            label, lines = found[1], []
        elif line.startswith("\t") and not line.startswith("\t."):
            lines.append(line)
            if (jump := _JUMP.match(line)) and jump[1] == label:
                loops.append(Block(tuple(lines)))
    return loops


def assembly_of(target: Target, weight: Array, groups: int = 1, side: int = 14) -> str:
    """One convolution with a requantize, input from the workspace."""
    g, bench = np.random.default_rng(0), Bench()
    channels = weight.shape[1] * groups
    x = bench.input(g.integers(0, 256, (1, side, side, channels)).astype(np.uint8))
    pads = (weight.shape[2] // 2,) * 4
    op = graph.QConv2dOp(x, bench.constant(weight), pads=pads, groups=groups, layout="nhwc")
    codes = bench(graph.RequantizeOp(bench(op), 1e-4, 3, ui8, 3))
    bench.output(codes, "codes")
    text = levels_of(bench.module(), target)["asm"].printed()
    assert isinstance(text, str)
    return text


def random_weights(low: int, high: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(1).integers(low, high + 1, shape).astype(np.int8)


SHAPES = ((64, 64, 1, 1), (64, 64, 3, 3), (256, 64, 1, 1), (40, 24, 3, 3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_vnni_loops_are_dot_products(shape: tuple[int, ...]) -> None:
    text = assembly_of(by_name("avx512_vnni"), random_weights(-128, 127, shape))
    hot = [block for block in inner_loops(text) if block.count("vpdpbusd") > 0]
    assert hot
    for block in hot:
        assert all("%zmm" in line for line in block.lines if "vpdpbusd" in line)
        assert block.count("vpdpbusd") >= 0.4 * len(block.lines)
        assert block.keeps_its_registers(block.count("vpdpbusd"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_nothing_multiplies_element_by_element(target: Target) -> None:
    text = assembly_of(target, random_weights(-128, 127, (64, 64, 3, 3)))
    for block in inner_loops(text):
        assert block.count("imulb", "imulw", "imull", "mulb", "pmulld", "vpmulld") == 0


@pytest.mark.parametrize("target", OLDER, ids=lambda t: t.name)
def test_weights_without_proof_use_no_saturating_instruction(target: Target) -> None:
    """−128 has no magnitude in s8, and 255·128 twice does not fit 16 bits: bytes are widened.

    Other convolutions cut such weights in halves; depthwise ones have one form for all taps."""
    text = assembly_of(target, np.full((64, 1, 3, 3), -128, np.int8), groups=64)
    assert "pmaddubsw" not in text
    assert "pmaddwd" in text


@pytest.mark.parametrize("target", OLDER, ids=lambda t: t.name)
def test_proved_weights_use_the_fast_instruction(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where convolution is direct, and in chains; the other kinds have tests of their own."""
    monkeypatch.setattr(winograd, "pays", lambda op, target: False)
    monkeypatch.setattr(layer, "choices_in_halves", lambda *_: [])
    for shape in SHAPES:
        text = assembly_of(target, random_weights(-30, 30, shape))
        hot = [b for b in inner_loops(text) if b.count("pmaddubsw", "vpmaddubsw")]
        assert hot
        dots = ("pmaddubsw", "vpmaddubsw")
        assert all(block.keeps_its_registers(block.count(*dots)) for block in hot), shape


@pytest.mark.parametrize("vectors", [1, 2, 3])
@pytest.mark.parametrize("deviation", [5, 12, 18, 24, 33, 45])
@pytest.mark.parametrize("name", ["sse42", "avx2"])
def test_chains_of_any_length_stay_in_registers(
    name: str, deviation: int, vectors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiles of one vector of channels have as many pixels as leave room for the weights of their
    chains, up to eleven; of several vectors, some weights are operands in memory."""
    estimates = layer.choices_in_forms

    def of_width(own: layer.Layer) -> list[tuple[float, Choice]]:
        return [(cost, c) for cost, c in estimates(own) if c.tile.n == vectors] or estimates(own)

    monkeypatch.setattr(layer, "choices_in_halves", lambda *_: [])
    monkeypatch.setattr(layer, "choices_in_forms", of_width)
    weight = np.random.default_rng(2).normal(0, deviation, (64, 512, 1, 1))
    text = assembly_of(by_name(name), weight.clip(-127, 127).astype(np.int8), side=28)
    hot = [block for block in inner_loops(text) if block.count("pmaddubsw", "vpmaddubsw")]
    assert hot
    for block in hot:
        assert not any("mm" in line and "(%rsp" in line for line in block.lines)


def test_two_vectors_of_channels_share_broadcasts() -> None:
    """And read every second product's weights where it stands: 2 broadcasts and 2 operands for the
    4 products of a pixel."""
    weight = np.random.default_rng(2).normal(0, 40, (64, 768, 1, 1))
    text = assembly_of(by_name("avx2"), weight.clip(-127, 127).astype(np.int8), side=28)
    block = max(inner_loops(text), key=lambda block: block.count("vpmaddubsw"))
    products = [line for line in block.lines if "\tvpmaddubsw\t" in line]
    assert sum("(" in line for line in products) >= len(products) / 2
    assert 2 * block.count("vpbroadcastd") == len(products)


@pytest.mark.parametrize("shape", [(96, 16, 1, 1), (144, 24, 1, 1), (256, 64, 1, 1)], ids=str)
@pytest.mark.parametrize("target", OLDER, ids=lambda t: t.name)
def test_halves_stay_in_registers(target: Target, shape: tuple[int, ...]) -> None:
    """Few inputs: one loop, of products and additions in equal numbers, without the stack but for
    the widened codes."""
    text = assembly_of(target, random_weights(-127, 127, shape), side=28)
    assert "pmaddubsw" not in text
    hot = [block for block in inner_loops(text) if block.count("vpmaddwd", "pmaddwd")]
    assert hot
    for block in hot:
        assert block.count("vpmaddwd", "pmaddwd") == block.count("vpaddd", "paddd")
        assert not any(re.search(r"\(%r[sb]p", line) for line in block.lines)


@pytest.mark.parametrize("form", ["points", "taps"])
@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_winograd_products_stay_in_registers(
    target: Target, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop over input channels multiplies by `dot2` alone, and has no use for the stack."""
    monkeypatch.setattr(winograd, "pays", lambda op, target: True)
    monkeypatch.setattr(pack_weights, "stores_taps", lambda *sizes: form == "taps")
    dots = ("vpdpwssd",) if target.dot2 else ("vpmaddwd", "pmaddwd")
    for outputs in (48, 64):
        text = assembly_of(target, random_weights(-30, 30, (outputs, 64, 3, 3)))
        hot = [block for block in inner_loops(text) if block.count(*dots)]
        tile, tiling = tile_for(target, outputs), Tiling(1, 14, 14)
        together = {part.tiles for part in tiling.parts}
        if form == "taps":
            together = {len(tiling.having(i, j)) for i, j in np.ndindex(INPUTS, INPUTS)}
        assert together == ({4} if form == "points" else {4, 8, 16})
        sizes = {m for count in together for _, m in even_pieces(count, tile.m)}
        assert {block.count(*dots) for block in hot} == {m * tile.n for m in sizes}
        for block in hot:
            assert not any(re.search(r"\(%r[sb]p", line) for line in block.lines)
        others = {"vpdpbusd", "vpmaddubsw", "pmaddubsw", "vpmaddwd", "pmaddwd", "vpdpwssd", *dots}
        assert not re.findall(rf"\t({'|'.join(others - set(dots))})\t", text)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_registers_are_as_wide_as_the_target(target: Target) -> None:
    text = assembly_of(target, random_weights(-30, 30, (64, 64, 3, 3)))
    name = {16: "%xmm", 32: "%ymm", 64: "%zmm"}[target.vector_bytes]
    dots: tuple[str, ...] = ("vpdpbusd", "vpdpwssd", "vpmaddwd", "pmaddwd")
    if target.tile_dot4:
        name, dots = "%tmm", (target.tile_dot4,)
    hot = [block for block in inner_loops(text) if block.count(*dots)]
    assert hot
    for block in hot:
        wide = [line for line in block.lines if line.split("\t")[1] in dots]
        assert all(name in line for line in wide)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_depthwise_keeps_most_of_its_registers(target: Target) -> None:
    text = assembly_of(target, random_weights(-30, 30, (64, 1, 3, 3)), groups=64)
    dots = ("vpdpbusd", "vpmaddwd", "pmaddwd")
    hot = [block for block in inner_loops(text) if block.count(*dots)]
    assert hot
    # Four accumulators a pixel and the epilogue's constants: a few reloads are cheaper than a
    # smaller tile, but not one for each dot product.
    assert all(block.spills <= 2 + block.count(*dots) // 2 for block in hot)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("shape", [(64, 64, 1, 1), (32, 48, 3, 3), (256, 128, 1, 1)], ids=str)
def test_float_sums_stay_in_registers(target: Target, shape: tuple[int, ...]) -> None:
    bench, g = Bench(), np.random.default_rng(0)
    x = bench.input(g.random((1, 14, 14, shape[1]), np.float32))
    weight = bench.constant(g.random(shape, np.float32))
    op = graph.Conv2dOp(x, weight, pads=(shape[2] // 2,) * 4, layout="nhwc")
    bench.output(bench(op), "sums")
    text = levels_of(bench.module(), target)["asm"].printed()
    assert isinstance(text, str)
    products = ("vfmadd231ps", "vfmadd213ps", "vfmadd132ps", "mulps")
    hot = [block for block in inner_loops(text) if block.count(*products)]
    assert hot
    assert all(block.keeps_its_registers(block.count(*products)) for block in hot)


@pytest.mark.parametrize(("side", "expected"), [(1, False), (7, True), (56, False)])
def test_weights_that_few_tiles_share_are_prefetched(side: int, expected: bool) -> None:
    bench, g = Bench(), np.random.default_rng(0)
    x = bench.input(g.random((1, side, side, 64), np.float32))
    weight = bench.constant(g.random((256, 64, 1, 1), np.float32))
    bench.output(bench(graph.Conv2dOp(x, weight, layout="nhwc")), "sums")
    text = levels_of(bench.module(), by_name("avx512"))["asm"].printed()
    assert isinstance(text, str)
    assert any(block.count("prefetcht1") for block in inner_loops(text)) == expected


TILE_UNIT = (
    "ldtilecfg", "tileloadd", "tdpbusd", "tilestored", "tilerelease",
)  # fmt: skip


def opcodes(assembly: str) -> list[str]:
    lines = [line for line in assembly.splitlines() if line.startswith("\t")]
    return [line.split("\t")[1] for line in lines if not line.startswith("\t.")]


@pytest.mark.parametrize(
    ("shape", "side", "tile"),
    # a row of 14 pixels, a row of 32, four rows of 7; registers of pixels × of channels
    [((64, 64, 3, 3), 14, (1, 4)), ((64, 128, 3, 3), 32, (2, 2)), ((512, 512, 3, 3), 7, (3, 1))],
    ids=str,
)
def test_tile_loops_are_products(shape: tuple[int, ...], side: int, tile: tuple[int, int]) -> None:
    """Every code is loaded once, every weight once, and nothing else is as long as a product. Of
    the lines of weights that a chunk reads (16 a register), tiles share those of the next group.
    One loop has all runs, so that it reads where each chunk's codes begin."""
    text = assembly_of(by_name("amx_int8"), random_weights(-128, 127, shape), side=side)
    hot = [block for block in inner_loops(text) if block.count("tdpbusd")]
    assert hot
    for block in hot:
        assert block.count("tdpbusd") == tile[0] * tile[1]
        assert block.count("tileloadd") == tile[0] + tile[1]
        assert block.count("tilestored", "ldtilecfg") == 0
        assert block.spills == 0
        assert 1 <= block.count("prefetcht1") <= 16 * tile[1] // 2
        assert len(block.lines) - block.count("tdpbusd", "tileloadd", "prefetcht1") <= 11


def test_a_kernel_configures_first_and_releases_last() -> None:
    text = assembly_of(by_name("amx_int8"), random_weights(-128, 127, (64, 64, 3, 3)))
    functions = re.findall(r"^(lpc_kernel\w+\.body):\n(.*?)^\.Lfunc_end", text, re.M | re.S)
    used = [opcodes(body) for _, body in functions if "tdpbusd" in body]
    assert used
    for names in used:
        unit = [name for name in names if name in TILE_UNIT]
        assert unit[0] == "ldtilecfg"
        assert unit.count("ldtilecfg") == 1
        # One way out, past the release.
        assert unit[-1] == "tilerelease"
        assert unit.count("tilerelease") == names.count("retq") == 1
        between = names[names.index("ldtilecfg") : names.index("tilerelease")]
        assert not any(name.startswith("call") for name in between)


@pytest.mark.parametrize(
    "target", [target for target in TARGETS if not target.tile_dot4], ids=lambda t: t.name
)
def test_only_one_target_uses_tile_registers(target: Target) -> None:
    text = assembly_of(target, random_weights(-128, 127, (64, 64, 3, 3)))
    assert not set(opcodes(text)) & set(TILE_UNIT)
