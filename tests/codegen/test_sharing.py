"""Targets of one library that pack weights alike: the same bytes, and results as ever.

Each follows a leader with wider registers, whose panels hold several of its own blocks."""

from __future__ import annotations

from pathlib import Path

import lpc.runtime as lpr
import numpy as np
import pytest
from emulation import invoke_for, targets_tested
from hostile import run
from lpc.compiler import driver
from lpc.compiler.codegen.constants import constants_of, merged
from lpc.compiler.codegen.library import write_library
from lpc.compiler.codegen.program import TargetProgram
from lpc.compiler.codegen.targets import TARGETS, Target, by_name
from lpc.compiler.collector import collector_paused
from lpc.compiler.contractions.layer import leader_of
from lpc.compiler.contractions.unpack import constants_of as weight_arrays
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.graph import ints
from lpc.compiler.dialects.tensors import Array, ui8
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.passes.pack_weights import pack_weights
from lpc.compiler.signature import library_info
from support import Bench, extreme_codes, with_gathered_inputs
from xdsl.dialects.builtin import ModuleOp

#: Inputs, outputs, kernel, side, and the deviation of the weights: small ones make long chains.
LAYERS = (
    (64, 64, 1, 9, 40.0),
    (32, 96, 3, 7, 20.0),
    (48, 128, 3, 5, 44.0),
    (512, 64, 1, 3, 45.0),
    (24, 40, 1, 11, 8.0),
    (16, 1000, 1, 1, 30.0),
)

pytestmark = pytest.mark.once


def network() -> tuple[Bench, ModuleOp]:
    """Convolutions, int8 and float, that share nothing but the library."""
    g, bench = np.random.default_rng(5), Bench()
    for inputs, outputs, kernel, side, deviation in LAYERS:
        x = bench.input(extreme_codes(g, (1, side, side, inputs), np.uint8))
        weight = g.normal(0, deviation, (outputs, inputs, kernel, kernel)).clip(-128, 127)
        op = graph.QConv2dOp(
            x, bench.constant(weight.astype(np.int8)), pads=(kernel // 2,) * 4, layout="nhwc"
        )
        codes = bench(graph.RequantizeOp(bench(op), 1e-3, 3, ui8, 3))
        bench.output(codes, f"{inputs} → {outputs}, {kernel}×{kernel}")
    x = bench.input(g.integers(-8, 9, (1, 5, 5, 32)).astype(np.float32))
    weight = g.integers(-8, 9, (96, 32, 3, 3)).astype(np.float32)
    op_ = graph.Conv2dOp(x, bench.constant(weight), pads=(1, 1, 1, 1), layout="nhwc")
    bench.output(bench(op_), "float", exact=None)
    return bench, bench.module()


def programs_of(module: ModuleOp, library: tuple[Target, ...]) -> list[TargetProgram]:
    """The programs of a library's targets, as the driver makes them."""
    context = driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    programs = []
    for target in library:
        own = module.clone()
        driver.place(own, target, context)
        levels = driver.target_levels(own, target, context, lambda level, name: None, {}, library)
        with collector_paused():
            *_, last = levels
        assert isinstance(last.content, TargetProgram)
        programs.append(last.content)
    return programs


def rows(*names: str) -> tuple[Target, ...]:
    return tuple(map(by_name, names))


@pytest.mark.parametrize(
    ("library", "follower", "quantized", "leader"),
    [
        ("sse42,avx2,avx512_vnni", "sse42", True, "avx2"),
        ("sse42,avx2,avx512_vnni", "avx2", True, None),
        ("sse42,avx512", "sse42", True, None),
        ("avx2,avx_vnni,avx512_vnni", "avx_vnni", True, "avx512_vnni"),
        ("avx2,avx_vnni", "avx_vnni", True, None),
        ("sse42,avx2,avx_vnni,avx512", "sse42", False, "avx512"),
        ("sse42,avx2,avx_vnni", "avx2", False, "avx_vnni"),
        ("avx2", "avx2", False, None),
    ],
)
def test_who_leads(library: str, follower: str, quantized: bool, leader: str | None) -> None:
    found = leader_of(by_name(follower), rows(*library.split(",")), quantized)
    assert (found and found.name) == leader


def test_every_program_of_a_library_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All targets at once: as many followers as there can be."""
    monkeypatch.delenv("LPC_TEST_NATIVE", raising=False)
    bench, module = network()
    expected = run_graph(module, bench.arrays)
    info = library_info(module)
    path = tmp_path / "all.so"
    write_library(path, programs_of(module, TARGETS), info)
    for target in targets_tested(TARGETS):
        model = lpr.load(path, num_threads=1, target=target.name, invoke=invoke_for(target.name))
        for check, value, wanted in zip(
            bench.checks, run(model, bench.arrays, 1), expected, strict=True
        ):
            check.compare(value, wanted, target.name)


@pytest.mark.parametrize(
    "names", [("avx_vnni", "avx512_vnni"), ("sse42", "avx2")], ids=lambda names: names[0]
)
def test_followers_have_the_bytes_of_their_leaders(names: tuple[str, ...]) -> None:
    """All but layers whose last panels differ (1000 and 40 outputs), and what epilogues need."""
    _, module = network()
    programs = programs_of(module, rows(*names))
    sizes = [sum(map(len, constants_of(program).values())) for program in programs]
    blob, _ = merged(programs)
    assert len(blob) < 1.25 * max(sizes)


def test_a_follower_gathers_inputs_as_its_leader_does() -> None:
    """Its panels have the leader's channels: two vectors of SSE are one of AVX2."""
    _, module = network()
    library = rows("sse42", "avx2")
    with with_gathered_inputs():
        found = [packed_layers(module.clone(), target, library) for target in library]
    both = [pair for pair in zip(*found, strict=True) if pair[1].form.data == "gathered"]
    shared = [pair for pair in both if panel_channels(pair[0]) == panel_channels(pair[1])]
    assert shared
    for follower, leader in shared:
        assert follower.form.data == "gathered"
        for own, other in zip(arrays_of(follower), arrays_of(leader), strict=True):
            np.testing.assert_array_equal(own, other)


def packed_layers(
    module: ModuleOp, target: Target, library: tuple[Target, ...]
) -> list[graph.PackedWeightsOp]:
    context = driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    driver.place(module, target, context)
    pack_weights(module, target, {}, library)
    return [op for op in module.walk() if isinstance(op, graph.PackedWeightsOp)]


def panel_channels(op: graph.PackedWeightsOp) -> int:
    _, vectors, lanes = ints(op.tile)
    return vectors * lanes


def arrays_of(op: graph.PackedWeightsOp) -> list[Array]:
    data, order = weight_arrays(op)
    return [data, *order]


def test_a_float_network_has_one_copy() -> None:
    bench, g = Bench(), np.random.default_rng(6)
    x = bench.input(g.random((1, 7, 7, 64), np.float32))
    weight = bench.constant(g.random((192, 64, 3, 3), np.float32))
    bench.output(bench(graph.Conv2dOp(x, weight, pads=(1, 1, 1, 1), layout="nhwc")), "sums")
    programs = programs_of(bench.module(), rows("sse42", "avx2", "avx512"))
    blob, _ = merged(programs)
    assert len(blob) < 1.02 * 4 * 192 * 64 * 9


def test_followers_store_taps_where_their_leaders_do() -> None:
    """Winograd's transformed weights are eight times as large, and have another order."""
    bench, g = Bench(), np.random.default_rng(7)
    x = bench.input(extreme_codes(g, (1, 14, 14, 256), np.uint8))
    weight = bench.constant(g.integers(-128, 128, (64, 256, 3, 3)).astype(np.int8))
    op = graph.QConv2dOp(x, weight, pads=(1, 1, 1, 1), layout="nhwc")
    bench.output(bench(graph.RequantizeOp(bench(op), 1e-5, 3, ui8, 3)), "codes")
    programs = programs_of(bench.module(), rows("sse42", "avx2"))
    blob, _ = merged(programs)
    assert len(blob) < 1.4 * 64 * 256 * 9
