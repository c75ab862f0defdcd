"""loop and isa levels mean what the graph means: the interpreters agree on every kernel family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from lpc.compiler import driver
from lpc.compiler.codegen.builder import KernelBuilder, i8
from lpc.compiler.codegen.lower import LoweredProgram, lower_to_loop
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.contractions import gathered_tile, layer
from lpc.compiler.dialects import graph, tile
from lpc.compiler.dialects.loop import DotChainOp, ScratchOp, vector_of
from lpc.compiler.dialects.tensors import Array, shape_of, ui8
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.interpreters.loop import (
    AccessError,
    Address,
    Memory,
    loop_functions,
    run_program,
)
from lpc.compiler.passes import pack_weights, winograd
from lpc.compiler.passes.select_instructions import SelectInstructions
from lpc.compiler.signature import library_info
from support import Bench, extreme_codes
from xdsl.dialects.builtin import ModuleOp, i32
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import Interpreter
from xdsl.interpreters.func import FuncFunctions
from xdsl.interpreters.scf import ScfFunctions
from xdsl.ir import SSAValue

Family = Callable[[Bench, np.random.Generator], SSAValue]


def weights(g: np.random.Generator, *shape: int) -> Array:
    return extreme_codes(g, shape, np.int8)


def convolution(bench: Bench, g: np.random.Generator) -> SSAValue:
    """Two layers: halo, padded channels, residual epilogue."""
    x = bench.input(extreme_codes(g, (1, 3, 3, 5), np.uint8))
    first = graph.QConv2dOp(
        x,
        bench.constant(weights(g, 6, 5, 3, 3)),
        input_zero_point=7,
        pads=(1, 1, 1, 1),
        layout="nhwc",
    )
    codes = bench(graph.RequantizeOp(bench(first), 4e-4, 120, ui8, 3))
    second = graph.QConv2dOp(codes, bench.constant(weights(g, 17, 6, 2, 2)), layout="nhwc")
    codes = bench(graph.RequantizeOp(bench(second), 6e-4, 90, ui8, 3))
    other = bench.input(extreme_codes(g, shape_of(codes), np.uint8))
    total = graph.AddOp(
        bench(graph.DequantizeOp(codes, 0.03, 5, 3)), bench(graph.DequantizeOp(other, 0.02, 9, 3))
    )
    return bench(graph.QuantizeOp(bench(graph.UnaryOp("relu", bench(total))), 0.04, 0, ui8, 3))


def convolution_in_halves(bench: Bench, g: np.random.Generator) -> SSAValue:
    return convolution(bench, g)


def gathered(bench: Bench, g: np.random.Generator) -> SSAValue:
    """Two runs of 17 inputs, tiles of two sizes, and no four of them."""
    x = bench.input(extreme_codes(g, (1, 2, 10, 17), np.uint8))
    weight = np.rint(g.normal(0, 40, (18, 17, 2, 1))).clip(-128, 127).astype(np.int8)
    w = bench.constant(weight)
    return bench(graph.QConv2dOp(x, w, input_zero_point=7, layout="nhwc"))


def winograd_points(bench: Bench, g: np.random.Generator) -> SSAValue:
    """Ragged tiles of two images, padded channels, and the input in the epilogue."""
    x = bench.input(extreme_codes(g, (2, 3, 5, 16), np.uint8))
    op = graph.QConv2dOp(
        x,
        bench.constant(weights(g, 16, 16, 3, 3)),
        input_zero_point=7,
        pads=(1,) * 4,
        layout="nhwc",
    )
    codes = bench(graph.RequantizeOp(bench(op), 4e-4, 120, ui8, 3))
    total = graph.AddOp(
        bench(graph.DequantizeOp(codes, 0.03, 5, 3)), bench(graph.DequantizeOp(x, 0.02, 9, 3))
    )
    return bench(graph.QuantizeOp(bench(total), 0.04, 0, ui8, 3))


def winograd_taps(bench: Bench, g: np.random.Generator) -> SSAValue:
    """Weights are transformed at run time; several groups of tiles."""
    x = bench.input(extreme_codes(g, (1, 6, 18, 17), np.uint8))
    w = bench.constant(weights(g, 16, 17, 3, 3))
    return bench(graph.QConv2dOp(x, w, input_zero_point=255, layout="nhwc"))


def grouped(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(extreme_codes(g, (1, 2, 3, 6), np.uint8))
    w = bench.constant(weights(g, 4, 3, 1, 2))
    return bench(graph.QConv2dOp(x, w, input_zero_point=128, groups=2, layout="nhwc"))


def depthwise(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(extreme_codes(g, (1, 3, 4, 5), np.uint8))
    w = bench.constant(weights(g, 5, 1, 3, 3))
    op = graph.QConv2dOp(x, w, input_zero_point=3, pads=(1, 1, 1, 1), groups=5, layout="nhwc")
    return bench(graph.RequantizeOp(bench(op), np.full(5, 2e-3), 100, ui8, 3))


def matmul(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(extreme_codes(g, (3, 9), np.uint8))
    return bench(graph.QMatMulOp(x, bench.constant(weights(g, 9, 7)), a_zero_point=9))


def float_matmul(bench: Bench, g: np.random.Generator) -> SSAValue:
    """Small integers, whose sums are exact in every order; several blocks that prefetch."""
    x = bench.input(g.integers(-9, 10, (7, 9)).astype(np.float32))
    weight = g.integers(-9, 10, (9, 70)).astype(np.float32)
    return bench(graph.MatMulOp(x, bench.constant(weight)))


def product(bench: Bench, g: np.random.Generator) -> SSAValue:
    a, b = (bench.input(extreme_codes(g, s, np.uint8)) for s in ((2, 3, 5), (2, 5, 4)))
    return bench(graph.QMatMulOp(a, b, a_zero_point=9, b_zero_point=200))


def max_pool(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(extreme_codes(g, (1, 3, 4, 18), np.uint8))
    return bench(graph.MaxPoolOp(x, (2, 2), pads=(1, 0, 0, 1), layout="nhwc"))


def average_pool(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(g.standard_normal((1, 3, 3, 3)).astype(np.float32))
    return bench(graph.AvgPoolOp(x, (2, 2), pads=(1, 1, 0, 0), layout="nhwc"))


def sum_pool(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(extreme_codes(g, (1, 3, 3, 4), np.uint8))
    return bench(graph.QSumPoolOp(x, (3, 3), input_zero_point=128, layout="nhwc"))


def elementwise(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input((g.standard_normal((2, 19)) * 4).astype(np.float32))
    value = bench(graph.UnaryOp("gelu", x))
    value = bench(graph.MulOp(value, bench.constant(g.standard_normal(19).astype(np.float32))))
    codes = bench(graph.QuantizeOp(value, 0.02, 30, ui8, 1))
    return bench(graph.LutOp(codes, weights(g, 256)))


def speculation(bench: Bench, g: np.random.Generator) -> SSAValue:
    """Approximated first; a NaN, and some of so many steps, are computed again."""
    x = (g.standard_normal((2, 83)) * 4).astype(np.float32)
    x[1, 40] = np.nan
    value = bench(graph.UnaryOp("silu", bench.input(x)))
    return bench(graph.QuantizeOp(value, 0.002, 140, ui8, 1))


def softmax(bench: Bench, g: np.random.Generator) -> SSAValue:
    codes = bench.input(extreme_codes(g, (2, 21), np.uint8))
    return bench(graph.SoftmaxOp(bench(graph.DequantizeOp(codes, 0.05, 3, 0)), 1))


def layer_norm(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(g.standard_normal((2, 20)).astype(np.float32))
    scale, shift = (bench.constant(g.standard_normal(20).astype(np.float32)) for _ in range(2))
    return bench(graph.LayerNormOp(x, scale, shift, 1e-5))


def reduction(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(g.standard_normal((3, 2, 5)).astype(np.float32))
    return bench(graph.ReduceOp("mean", x, [0, 2], False))


def movement(bench: Bench, g: np.random.Generator) -> SSAValue:
    x = bench.input(extreme_codes(g, (2, 3, 5), np.uint8))
    value = bench(graph.TransposeOp(x, (2, 0, 1)))
    value = bench(graph.PadOp(value, (1, 0, 1), (0, 1, 0), 7.0))
    return bench(graph.ConcatOp([value, value], 1))


def gather(bench: Bench, g: np.random.Generator) -> SSAValue:
    table = bench.constant(g.standard_normal((6, 5)).astype(np.float32))
    return bench(graph.GatherOp(table, bench.input(np.array([5, -6, 0], np.int64)), 0))


FAMILIES: tuple[Family, ...] = (
    convolution, convolution_in_halves, gathered, winograd_points, winograd_taps, grouped,
    depthwise, matmul, float_matmul, product, max_pool, average_pool, sum_pool, elementwise,
    speculation, softmax, layer_norm, reduction, movement, gather,
)  # fmt: skip


def lowered(module: ModuleOp, target: Target) -> LoweredProgram:
    context = driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    driver.place(module, target, context)
    for level in driver.target_levels(module, target, context, lambda level, name: None):
        if level.name == "packed":
            return lower_to_loop(module, target)
    raise AssertionError("no packed level")


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_three_levels_agree(
    family: Family, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As small as an interpreter wants them, no layers would be worth it.
    monkeypatch.setattr(winograd, "pays", lambda op, target: True)
    monkeypatch.setattr(pack_weights, "stores_taps", lambda *sizes: family is winograd_taps)
    if family is not convolution_in_halves:
        monkeypatch.setattr(layer, "choices_in_halves", lambda *_: [])
    if family is gathered:
        monkeypatch.setattr(gathered_tile, "FEWEST", 1)
        monkeypatch.setattr(layer, "choices_in_forms", layer.choices_of_teams)
    bench = Bench()
    bench.output(family(bench, np.random.default_rng(12)), family.__name__)
    module = bench.module()
    (expected,) = run_graph(module, bench.arrays)
    info = library_info(module)
    program = lowered(module, target)
    program.module.verify()
    has_scratch = any(isinstance(op, ScratchOp) for op in program.module.walk())
    widens = family in (convolution_in_halves, gathered) and target.dot4 is None
    needs_it = (product, winograd_points, winograd_taps, speculation, softmax)
    in_tiles = any(isinstance(op, tile.StoreOp) for op in program.module.walk())
    assert has_scratch == (widens or in_tiles or family in needs_it)
    (at_loop,) = run_program(program, info, bench.arrays)
    bench.checks[0].compare(at_loop, expected, f"{target.name}, loop")
    SelectInstructions(target.name).apply(driver.new_context(), program.module)
    program.module.verify()
    (at_isa,) = run_program(program, info, bench.arrays)
    bench.checks[0].compare(at_isa, expected, f"{target.name}, isa")


def test_float_products_agree_between_loop_and_isa() -> None:
    """fp32 contractions have no one result, but all levels of one target have the same."""
    for target in TARGETS[:2]:
        bench, g = Bench(), np.random.default_rng(13)
        x = bench.input(g.standard_normal((1, 3, 3, 5)).astype(np.float32))
        weight = bench.constant(g.standard_normal((7, 5, 2, 2)).astype(np.float32))
        bench.output(bench(graph.Conv2dOp(x, weight, layout="nhwc")), "convolution")
        module = bench.module()
        expected = run_graph(module, bench.arrays)[0]
        info, program = library_info(module), lowered(module, target)
        at_loop = run_program(program, info, bench.arrays)[0]
        SelectInstructions(target.name).apply(driver.new_context(), program.module)
        np.testing.assert_array_equal(run_program(program, info, bench.arrays)[0], at_loop)
        np.testing.assert_allclose(at_loop, expected, rtol=1e-4, atol=1e-5)


# --- what the interpreter must notice -------------------------------------------------------------


def call(kernel: FuncOp, *memories: Memory) -> None:
    interpreter = Interpreter(ModuleOp([kernel]))
    for functions in (FuncFunctions(), ScfFunctions(), loop_functions()):
        interpreter.register_implementations(functions)
    interpreter.call_op(kernel, (*(Address(memory, 0) for memory in memories), 0, 1))


def copy_kernel(size: int, count: int | None = None) -> FuncOp:
    b = KernelBuilder("copy", 2)
    kind = vector_of(i8, size)
    value = (
        b.load(b.buffers[0], 0, kind)
        if count is None
        else b.load_part(b.buffers[0], 0, kind, count)
    )
    b.store(value, b.buffers[1], 0, count)
    return b.finish()


def memory(size: int, writable: bool = True) -> Memory:
    return Memory("a tensor", np.arange(size, dtype=np.uint8), writable)


def test_accesses_outside_a_buffer_are_errors() -> None:
    call(copy_kernel(16), memory(16), memory(16))
    with pytest.raises(AccessError, match=r"bytes \[0, 16\) of a tensor, which has 15"):
        call(copy_kernel(16), memory(15), memory(16))
    with pytest.raises(AccessError):
        call(copy_kernel(16), memory(16), memory(15))
    with pytest.raises(AccessError, match="a write to"):
        call(copy_kernel(16), memory(16), memory(16, writable=False))


def test_partial_accesses_touch_only_their_lanes() -> None:
    target = memory(7)
    call(copy_kernel(16, 5), Memory("source", np.full(5, 9, np.uint8), False), target)
    np.testing.assert_array_equal(target.data, [9, 9, 9, 9, 9, 5, 6])


def test_scratch_is_garbage_that_ends() -> None:
    """Nothing may rely on zeros, nor pass its end; two buffers are two."""
    b = KernelBuilder("scratch", 1)
    first, second = b.scratch(4), b.scratch(4)
    b.store(b.load(first, 0, i32), b.buffers[0], 0)
    b.store(b.constant(7, i32), second, 0)
    b.store(b.load(first, 0, i32), b.buffers[0], 4)
    b.store(b.load(second, 0, i32), b.buffers[0], 8)
    out = Memory("words", np.zeros(12, np.uint8), True)
    call(b.finish(), out)
    words = out.data.view(np.int32)
    assert words[0] == words[1] != 0
    assert words[2] == 7
    b = KernelBuilder("scratch", 1)
    b.store(b.load(b.scratch(4), 1, i32), b.buffers[0], 0)
    with pytest.raises(AccessError, match=r"bytes \[1, 5\) of scratch, which has 4"):
        call(b.finish(), memory(4))


def test_a_chain_without_its_proof_is_an_error() -> None:
    """Two pairs of 255·127 do not fit 16 bits; 255·64 + 255·64 does."""
    b = KernelBuilder("chain", 3)
    kind = vector_of(i32, 4)
    a, w = (b.load(buffer, 0, kind) for buffer in b.buffers[:2])
    b.store(b.emit(DotChainOp(b.constant(0, i32, 4), [a], [w])), b.buffers[2], 0)
    kernel = b.finish()
    codes = Memory("codes", np.full(16, 255, np.uint8), False)
    out = Memory("sums", np.zeros(16, np.uint8), True)
    call(kernel, codes, Memory("weights", np.full(16, 64, np.uint8), False), out)
    np.testing.assert_array_equal(out.data.view(np.int32), [4 * 255 * 64] * 4)
    kernel.detach()  # type: ignore[no-untyped-call]
    with pytest.raises(OverflowError, match="16-bit sum"):
        call(kernel, codes, Memory("weights", np.full(16, 127, np.uint8), False), out)
