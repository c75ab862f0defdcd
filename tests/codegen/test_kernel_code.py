"""Layers of one shape run the same code, whatever their weights; whoever compiles it."""

from __future__ import annotations

import numpy as np
import pytest
from lpc.compiler import driver, parallel
from lpc.compiler.codegen.builder import KernelBuilder
from lpc.compiler.codegen.kernel_code import compile_program
from lpc.compiler.codegen.targets import Target, by_name
from lpc.compiler.collector import collector_paused
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import ui8
from lpc.compiler.errors import LpcError
from lpc.compiler.parallel import Helpers
from lpc.compiler.passes.pack_weights import pack_weights
from lpc.compiler.passes.prove_accumulation import ProveAccumulation
from support import Bench, extreme_codes
from xdsl.dialects.builtin import (
    Float32Type,
    IntegerType,
    ModuleOp,
    StringAttr,
    f32,
    i16,
    i32,
)

#: Inputs, outputs, kernel, side, deviation of the weights: chains, halves, few pixels, depthwise,
#: Winograd.
SHAPES = (
    (512, 64, 1, 7, 36),
    (32, 96, 1, 9, 100),
    (512, 40, 1, 1, 36),
    (96, 96, 3, 5, 36),
    (64, 64, 3, 28, 36),
)
COPIES = 3


def packed(target: Target, copies: int = COPIES) -> ModuleOp:
    """So many layers of each shape, with weights, biases and grids of their own."""
    bench = Bench()
    for inputs, outputs, kernel, side, deviation in SHAPES:
        for copy in range(copies):
            g = np.random.default_rng([inputs, outputs, copy])
            x = bench.input(extreme_codes(g, (1, side, side, inputs), np.uint8))
            groups = 96 if inputs == 96 else 1
            shape = (outputs, inputs // groups, kernel, kernel)
            weight = bench.constant(g.normal(0, deviation, shape).clip(-127, 127).astype(np.int8))
            bias = bench.constant(g.integers(-999, 999, outputs).astype(np.int32))
            pads, scale = (kernel // 2,) * 4, float(g.uniform(1e-4, 1e-3))
            op = graph.QConv2dOp(x, weight, bias, pads=pads, groups=groups, layout="nhwc")
            zero_point = int(g.integers(1, 99))
            bench.output(bench(graph.RequantizeOp(bench(op), scale, zero_point, ui8, 3)), "")
    module, context = bench.module(), driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    driver.place(module, target, context)
    pack_weights(module, target, {})
    ProveAccumulation().apply(context, module)
    return module


@pytest.mark.parametrize("name", ["sse42", "avx2", "avx512", "avx512_vnni"])
def test_layers_of_one_shape_share_code(name: str) -> None:
    target = by_name(name)
    with collector_paused():
        one, several = (compile_program(packed(target, n), target) for n in (1, COPIES))
    assert len(several.steps) == COPIES * len(one.steps)
    symbols = {step.symbol for step in several.steps}
    assert symbols == {step.symbol for step in one.steps}
    assert len(several.objects) == len(symbols)


def test_helpers_compile_the_same(request: pytest.FixtureRequest) -> None:
    target = by_name("avx2")
    with collector_paused():
        module = packed(target)
        alone = compile_program(module, target)
        request.getfixturevalue("only_helpers")
        with Helpers() as helpers:
            helpers.start(4.0)
            assert compile_program(module, target, helpers) == alone


def test_a_kernel_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    target = by_name("avx2")
    g, bench = np.random.default_rng(3), Bench()
    x = bench.input(g.random((1, 5, 5, 8), np.float32))
    weight = bench.input(g.random((8, 8, 3, 3), np.float32))
    bench.output(bench(graph.Conv2dOp(x, weight, pads=(1, 1, 1, 1), layout="nhwc")), "")
    module, context = bench.module(), driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    driver.place(module, target, context)
    for kernel in module.walk():
        if isinstance(kernel, graph.KernelOp):
            kernel.attributes["layer"] = StringAttr("conv7")
    monkeypatch.setattr(parallel, "idle_cores", lambda: 2)
    monkeypatch.setattr(parallel, "_WORTH_A_CALL", 0.0)
    with Helpers() as helpers:
        helpers.start(4.0)
        with pytest.raises(LpcError, match="layer 'conv7': a convolution whose"):
            compile_program(module, target, helpers)


def test_constants_of_equal_types_are_one() -> None:
    """Types that a helper has read are others than its own: its kernels must not be."""
    b = KernelBuilder("kernel", 1)
    for own, other in ((i16, IntegerType(16)), (i32, IntegerType(32)), (f32, Float32Type())):
        assert b.constant(6, own) is b.constant(6, other)
