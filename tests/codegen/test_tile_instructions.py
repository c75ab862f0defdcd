"""Two models of the tile unit, one behind machine code and one behind the isa level, are the same.

Random programs of tile instructions, many of them wrong, run as a kernel on the unit in C
(tests/emulator/tiles.c, behind the instructions' encodings) and in the interpreter on the one in
numpy. Both refuse the same programs, and the others write the same bytes.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from emulation import TILES, invoke_for, is_emulated
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.builder import KernelBuilder
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.dialects import tile
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.interpreters.loop import Address, Memory, loop_functions
from lpc.compiler.interpreters.tiles import TileError, TileUnit
from test_instructions import call, loaded
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import Interpreter
from xdsl.interpreters.func import FuncFunctions

TARGET = by_name(TILES)
SIZE, SLOT = 4096, 1024


def random_program(g: np.random.Generator, wrong: float) -> FuncOp:
    """Loads, products and stores; a part `wrong` of all choices is made without thinking."""
    b = KernelBuilder("kernel", 2)
    m, k, n = (int(g.integers(1, 17)) for _ in range(3))
    roles = [(m, 4 * n), (m, 4 * n), (m, 4 * k), (k, 4 * n), (m, 4 * k), (k, 4 * n)]
    shapes = [s if g.random() > wrong / 4 else (int(g.integers(1, 17)), 4) for s in roles]
    if g.random() > wrong / 8:
        b.emit(tile.ConfigureOp([*shapes, (0, 0), (0, 0)]))

    def number(*good: int) -> int:
        return int(g.integers(0, 8)) if g.random() < wrong / 4 else int(g.choice(good))

    for register in range(6):
        stride, offset = int(g.integers(0, 129)), int(g.integers(0, 1024))
        memory = (b.buffers[0], b.index(offset), b.index(stride))
        b.emit(tile.InstructionOp("tileloadd", [number(register)], memory))
    for _ in range(4):
        registers = [number(0, 1), number(2, 4), number(3, 5)]
        b.emit(tile.InstructionOp("tdpbusd", registers))
    for register in range(4):
        memory = (b.buffers[1], b.index(register * SLOT), b.index(64))
        b.emit(tile.InstructionOp("tilestored", [number(register)], memory))
    if g.random() > wrong / 8:
        b.emit(tile.InstructionOp("tilerelease", []))
    return b.finish()


def in_numpy(kernel: FuncOp, source: Array) -> Array | None:
    """What the program writes; None if it is refused, or leaves the unit in use."""
    result, unit = np.full(SIZE, 0xA5, np.uint8), TileUnit()
    interpreter = Interpreter(ModuleOp([kernel.clone()]))
    for functions in (FuncFunctions(), loop_functions(unit)):
        interpreter.register_implementations(functions)
    memories = Memory("source", source, False), Memory("result", result, True)
    try:
        interpreter.call_op(kernel, (*(Address(memory, 0) for memory in memories), 0, 1))
    except TileError:
        return None
    return result if unit.released else None


def in_machine_code(kernel: FuncOp, source: Array) -> Array | None:
    result = np.full(SIZE, 0xA5, np.uint8)
    address = loaded(ModuleOp([kernel]), TARGET)
    table = (ctypes.c_void_p * 2)(source.ctypes.data, result.ctypes.data)
    invoke = invoke_for(TILES)
    assert invoke is not None
    try:
        invoke(address, ctypes.addressof(table), 0, 1)
    except RuntimeError:  # a TileFault, or one of the emulator
        return None
    return result


@given(st.integers(0, 2**32 - 1), st.sampled_from((0.0, 0.0, 1.0)))
@settings(max_examples=60)
def test_both_models_agree(seed: int, wrong: float) -> None:
    if not is_emulated(TILES):
        pytest.skip("this CPU has tile registers, and would not survive wrong programs")
    g = np.random.default_rng(seed)
    kernel, source = random_program(g, wrong), g.integers(0, 256, SIZE).astype(np.uint8)
    expected = in_numpy(kernel, source)
    actual = in_machine_code(kernel, source)
    assert (actual is None) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(actual, expected)
    elif not wrong:
        raise AssertionError("a good program was refused")


@pytest.mark.parametrize("seed", range(3))
def test_good_programs_run_where_there_are_tile_registers(seed: int) -> None:
    """The same on silicon, where there is some; else in software."""
    g = np.random.default_rng(seed)
    kernel, source = random_program(g, 0.0), g.integers(0, 256, SIZE).astype(np.uint8)
    expected, result = in_numpy(kernel, source), np.full(SIZE, 0xA5, np.uint8)
    assert expected is not None
    call(loaded(ModuleOp([kernel]), TARGET), TARGET, [source, result], 1)
    np.testing.assert_array_equal(result, expected)
