"""What the emulator executes in large layers: multiply-adds on whole vectors, and little else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import tile_unit
from emulation import CPU_MODELS, emulator, only_target, targets_tested
from hostile import run
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import ui8
from lpc.compiler.interpreters.graph import run_graph
from support import Bench, extreme_codes, load
from watched import share_of_dots, share_of_vectors

#: Opcodes that handle one element at a time, as Bochs spells them.
SCALAR = re.compile(
    r"^(EVEX_)?(V\d+_)?V?(ADD|SUB|MUL|DIV|SQRT|MAX|MIN|CVTSI2|CVTSD2)SS_|^IMUL_GdEd|PEXTRB|PINSRB"
    r"|^MOV[SZ]X_G[dq]Eb|^MOV_(EbGb|GbEb)"
)


def convolution(bench: Bench, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
    g = np.random.default_rng(0)
    x = bench.input(extreme_codes(g, (1, 14, 14, inputs), np.uint8))
    # Small enough for chains of four where there is no dot product.
    weight = g.integers(-30, 31, (outputs, inputs // groups, kernel, kernel)).astype(np.int8)
    pads = (kernel // 2,) * 4
    op = graph.QConv2dOp(x, bench.constant(weight), pads=pads, groups=groups, layout="nhwc")
    bench.output(bench(graph.RequantizeOp(bench(op), 1e-4, 3, ui8, 3)), "codes")


def product(bench: Bench) -> None:
    g = np.random.default_rng(0)
    x = bench.input(extreme_codes(g, (64, 256), np.uint8))
    weight = bench.constant(g.integers(-30, 31, (256, 128)).astype(np.int8))
    bench.output(bench(graph.QMatMulOp(x, weight)), "sums")


#: Layer → how to build it, and the least share of multiply-adds with a four-way dot product, and
#: without one, where they come with an addition each.
LAYERS: dict[str, tuple[Callable[[Bench], None], float, float]] = {
    "3x3": (lambda b: convolution(b, 64, 64, 3), 0.4, 0.2),
    "1x1": (lambda b: convolution(b, 256, 64, 1), 0.4, 0.25),
    "depthwise": (lambda b: convolution(b, 64, 64, 3, 64), 0.12, 0.2),
    "matmul": (product, 0.4, 0.25),
}
#: Multiply-adds of layers that suit tile registers, and of one instruction on these. Two rows of 14
#: pixels, with the two pixels of halo between them, fill two registers but for two rows.
PRODUCTS = {"3x3": 14 * 14 * 64 * 64 * 9, "1x1": 14 * 14 * 64 * 256, "matmul": 64 * 128 * 256}
MACS_OF_A_TILE, MOST_IN_VAIN = 16 * 16 * 64, 1.2
#: All but addresses and loops.
LEAST_VECTORS = 0.75
#: Of all instructions, those that may be of the kind that handles single elements: the support code
#: has one or two, and where a tile lies is worked out with some.
MOST_SCALARS = 0.01


@pytest.mark.parametrize(
    "target", [t for t in TARGETS if t.name in CPU_MODELS], ids=lambda t: t.name
)
@pytest.mark.parametrize("layer", LAYERS)
def test_large_layers_execute_little_else(layer: str, target: Target) -> None:
    if not targets_tested([target]):
        pytest.skip(f"{only_target()} alone is tested")
    build, *least = LAYERS[layer]
    bench, executed, before = Bench(), Counter[str](), tile_unit.counts()
    build(bench)
    module = bench.module()
    expected = run_graph(module, bench.arrays)
    model = load(module, target, emulator().call)
    actual = run(model, bench.arrays, opcodes=executed)
    np.testing.assert_array_equal(actual[0], expected[0])
    if target.tile_dot4 and layer in PRODUCTS:
        # What an emulated CPU does not know is in no tally of its own.
        ran = {name: count - before[name] for name, count in tile_unit.counts().items()}
        assert 1 <= ran["tdpbusd"] * MACS_OF_A_TILE / PRODUCTS[layer] <= MOST_IN_VAIN
        assert ran["tileloadd"] <= 1.5 * ran["tdpbusd"]
        assert ran["ldtilecfg"] == ran["tilerelease"] == 1
        return
    scalars = {name: count for name, count in executed.items() if SCALAR.search(name)}
    assert sum(scalars.values()) <= MOST_SCALARS * executed.total(), scalars
    assert share_of_dots(executed) > least[target.dot4 is None]
    assert share_of_vectors(executed) > LEAST_VECTORS
