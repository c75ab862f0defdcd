"""Trained networks at the isa level, in the interpreter, with the tile unit in numpy.

Every layer, those in tile registers and those in vectors, equals the interpreter of the graph bit
for bit. `test_real_models.py` runs the same networks as machine code, with the tile unit in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lpc.compiler import demo, driver
from lpc.compiler.codegen.lower import LoweredProgram, lower_to_loop
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.collector import collector_paused
from lpc.compiler.compilation import graph_at
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.interpreters.loop import run_program
from lpc.compiler.passes.pack_weights import PackWeights
from lpc.compiler.passes.prove_accumulation import ProveAccumulation
from lpc.compiler.passes.select_instructions import SelectInstructions
from lpc.compiler.signature import library_info
from xdsl.dialects.builtin import ModuleOp

TARGET = by_name("amx_int8")
#: Keyword spotting, ResNet-8, visual wake words, streaming wake word.
MODELS = ("kws_int8_qdq", "ic_int8_qdq", "vww_int8_qdq", "sww_int8_qdq")


def at_isa(module: ModuleOp) -> LoweredProgram:
    context = driver.new_context()
    driver.run_passes(module, context, driver.TO_PACKED)
    for one in (PackWeights(TARGET.name), ProveAccumulation()):
        one.apply(context, module)
    program = lower_to_loop(module, TARGET)
    SelectInstructions(TARGET.name).apply(context, program.module)
    return program


def check(module: ModuleOp, inputs: list[Array]) -> int:
    """The number of steps in tile registers."""
    info, expected = library_info(module), run_graph(module, inputs)
    with collector_paused():
        program = at_isa(module)
        actual = run_program(program, info, inputs)
    for value, wanted in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(value, wanted, strict=True)
    return sum(step.exec_type.startswith("tile_gemm") for step in program.steps)


@pytest.mark.parametrize("name", MODELS)
def test_trained_networks(name: str, models_dir: Path) -> None:
    module = graph_at("int8", models_dir / "onnx" / f"{name}.onnx")
    g = np.random.default_rng(0)
    inputs = [
        g.integers(-128, 128, tensor.shape).astype(tensor.dtype)
        for tensor in library_info(module).inputs
    ]
    assert check(module, inputs) >= 2


def test_bundled_model() -> None:
    with demo.resource("digits_int8.onnx") as path, demo.resource("digits.npz") as data:
        module = graph_at("int8", path, {demo.INPUT: demo.IMAGE})
        digit = np.load(data)["test_x"][:1]
    check(module, [digit])
