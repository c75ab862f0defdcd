"""Sizes beyond what 32 bits count: how addresses are computed, and kernels at work there.

Tensors of more than 2 GiB cost nothing while most of their pages are never touched, so kernels run
for their last units only, and what they compute is compared with a model of few rows."""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Callable
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import tile_unit
from emulation import TILES, is_emulated, targets_tested
from hostile import NORESERVE, in_a_child
from lpc.compiler import driver
from lpc.compiler.codegen.emitter import emit_kernels, module_text
from lpc.compiler.codegen.linker import find_linker, link_library
from lpc.compiler.codegen.program import Step, TargetProgram
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, tensor_type, ui8
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.passes.select_instructions import SelectInstructions
from lpc.compiler.signature import library_info
from support import Bench, extreme_codes, levels_of
from test_loop_interpreter import FAMILIES, Family, lowered
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
_GEP = re.compile(r"getelementptr (?:inbounds )?[^,]+, ptr [^,]+(?P<indices>(?:, i\d+ [^,\n]+)+)")
_NARROW = re.compile(r"^ *(%\S+) = trunc i64 ", re.MULTILINE)
_WIDE = re.compile(r"= [sz]ext i(?:8|16|32) (%\S+) to i64")


@EACH_TARGET
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_addresses_are_computed_in_64_bits(family: Family, target: Target) -> None:
    bench = Bench()
    bench.output(family(bench, np.random.default_rng(12)), family.__name__)
    program = lowered(bench.module(), target)
    SelectInstructions(target.name).apply(driver.new_context(), program.module)
    text = module_text(list(emit_kernels(program.module, target)))
    offsets = _GEP.findall(text)
    assert len(offsets) > 2
    assert len(offsets) == text.count("getelementptr")
    assert all(", i64 " in index and ", i32 " not in index for index in offsets)
    assert not set(_NARROW.findall(text)) & set(_WIDE.findall(text))


WIDTH, CHANNELS = 1024, 16
ROW = WIDTH * CHANNELS
#: Rows of a u8 tensor of more than 2 GiB, and of the small one that ends alike.
MANY, FEW = 2**31 // ROW + 64, 48
#: Rows that are computed, and of those the ones whose inputs all are.
COMPUTED, COMPARED = 40, 16

Layer = Callable[[Bench, np.random.Generator, SSAValue], SSAValue]


def _convolved(
    bench: Bench, g: np.random.Generator, x: SSAValue, kernel: int, groups: int
) -> SSAValue:
    weight = g.integers(-90, 91, (CHANNELS, CHANNELS // groups, kernel, kernel)).astype(np.int8)
    side = kernel // 2
    op = graph.QConv2dOp(
        x,
        bench.constant(weight),
        pads=(0, side, side, side),
        groups=groups,
        layout="nhwc",
    )
    return bench(graph.RequantizeOp(bench(op), 2e-3 / kernel, 120, ui8, 3))


def pointwise(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    return _convolved(bench, g, x, 1, 1)


def window(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    return _convolved(bench, g, x, 3, 1)


def depthwise(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    return _convolved(bench, g, x, 3, CHANNELS)


def residual(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    lhs = bench(graph.DequantizeOp(_convolved(bench, g, x, 1, 1), 0.037, 131, 3))
    total = graph.AddOp(lhs, bench(graph.DequantizeOp(x, 0.051, 7, 3)))
    return bench(graph.QuantizeOp(bench(total), 0.05, 3, ui8, 3))


def max_pool(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    return bench(graph.MaxPoolOp(x, (3, 3), pads=(0, 1, 1, 1), layout="nhwc"))


def real(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    """Floats of more than 8 GiB."""
    return bench(graph.UnaryOp("relu", bench(graph.DequantizeOp(x, 0.051, 70, 3))))


def softmax(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    value = bench(graph.SoftmaxOp(bench(graph.DequantizeOp(x, 0.051, 70, 3)), 3))
    return bench(graph.QuantizeOp(value, 1 / 255, 0, ui8, 3))


def joined(bench: Bench, g: np.random.Generator, x: SSAValue) -> SSAValue:
    return bench(graph.ConcatOp([x, _convolved(bench, g, x, 1, 1)], 3))


LAYERS: tuple[Layer, ...] = (
    pointwise, window, depthwise, residual, max_pool, real, softmax, joined,
)  # fmt: skip


def module_of(layer: Layer, rows: int) -> ModuleOp:
    """The layer on a tensor of so many rows."""
    bench = Bench()
    shape = (1, rows, WIDTH, CHANNELS)
    bench.arrays.append(np.zeros(0, np.uint8))  # to count it; nobody reads so large a one
    x = bench.block.insert_arg(tensor_type(shape, np.uint8), 0)
    bench.output(layer(bench, np.random.default_rng(3), x), layer.__name__)
    return bench.module()


def untouched(size: int) -> Array:
    """u8 [size]: zeros, whose pages exist when they are touched."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
    return np.frombuffer(mmap.mmap(-1, size, flags=flags), np.uint8)


def linked(program: TargetProgram, folder: Path) -> ctypes.CDLL:
    """The kernels as a library, whose functions are called one by one."""
    objects = []
    for number, content in enumerate(program.objects):
        objects.append(folder / f"{number}.o")
        objects[-1].write_bytes(content)
    symbols = sorted({step.symbol for step in program.steps})
    link_library(find_linker(), folder / "kernels.so", "kernels.so", objects, symbols)
    return ctypes.CDLL(str(folder / "kernels.so"))


def run_last_units(program: TargetProgram, kernels: ctypes.CDLL, memory: dict[str, Array]) -> None:
    """Every step, for the share of its units that covers the last rows.

    Units are rows, perhaps of one block of channels after the other: the last ones of a half and of
    a quarter, too. What no unit writes here is padding, which is 0 like all untouched memory."""
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)

    def addresses(step: Step) -> list[int]:
        return [memory[a.kind].ctypes.data + a.offset for a in step.arguments]

    for step in program.steps:
        buffers = (ctypes.c_void_p * len(step.arguments))(*addresses(step))
        units = ceil(step.units * COMPUTED / MANY)
        kernel = ctypes.cast(getattr(kernels, step.symbol), signature)
        for quarter in (1, 2, 3, 4):
            end = step.units * quarter // 4
            kernel(ctypes.addressof(buffers), max(0, end - units), end)


@EACH_TARGET
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_kernels_beyond_2_gib(layer: Layer, target: Target, tmp_path: Path) -> None:
    if not targets_tested([target]) or is_emulated(target.name):
        pytest.skip("tensors of this size are given to silicon alone")
    if target.name == TILES:
        tile_unit.request_permission()  # which a library, unlike `linked`, does by itself
    inputs = extreme_codes(np.random.default_rng(5), (1, FEW, WIDTH, CHANNELS), np.uint8)
    (expected,) = run_graph(module_of(layer, FEW), [inputs])
    module = module_of(layer, MANY)
    info = library_info(module)
    program = levels_of(module, target)["obj"].content
    assert isinstance(program, TargetProgram)
    result = info.outputs[0]
    size = int(np.prod(result.shape)) * np.dtype(result.dtype).itemsize
    assert size > 2**31
    kernels, rows = linked(program, tmp_path), expected[:, -COMPARED:]

    def compare() -> None:
        memory = {
            "input": untouched(MANY * ROW),
            "output": untouched(size),
            "workspace": untouched(max(program.workspace_size, 64)),
            "weights": untouched(len(program.weights)),
        }
        memory["weights"][:] = np.frombuffer(program.weights, np.uint8)
        memory["input"][-inputs.size :] = inputs.reshape(-1)
        run_last_units(program, kernels, memory)
        actual = memory["output"][-rows.nbytes :].view(rows.dtype).reshape(rows.shape)
        np.testing.assert_array_equal(actual, rows)

    in_a_child(compare)
