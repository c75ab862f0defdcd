"""Every instruction row, executed on this CPU (or in the emulator), has its stated semantics."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from emulation import invoke_for
from lpc.compiler.codegen import machine
from lpc.compiler.codegen.builder import KernelBuilder
from lpc.compiler.codegen.emitter import emit_kernels, module_text
from lpc.compiler.codegen.instructions import INSTRUCTIONS, Instruction
from lpc.compiler.codegen.linker import find_linker, link_library
from lpc.compiler.codegen.targets import TARGETS, Target, by_name
from lpc.compiler.dialects import loop
from lpc.compiler.dialects.loop import vector_of
from lpc.compiler.dialects.tensors import Array
from xdsl.dialects.builtin import IntegerType, ModuleOp

COUNT = 2000
_KEPT: list[ctypes.CDLL] = []


def vector_type(text: str) -> tuple[int, int]:
    """ "<64 x i8>" → (64 lanes, 8 bits)."""
    lanes, bits = text.strip("<>").split(" x i")
    return int(lanes), int(bits)


def kernel_of(row: Instruction) -> ModuleOp:
    """out[unit] = row(operand0[unit], …), one register per unit."""
    b = KernelBuilder("kernel", len(row.operands) + 1)
    with b.unit_loop() as unit:
        values = []
        for base, text in zip(b.buffers, row.operands, strict=False):
            lanes, bits = vector_type(text)
            kind = vector_of(IntegerType(bits), lanes)
            values.append(b.load(base, b.mul(unit, lanes * bits // 8), kind))
        lanes, bits = vector_type(row.result)
        kind = vector_of(IntegerType(bits), lanes)
        result = b.emit(loop.InstructionOp(row.name, values, kind))
        b.store(result, b.buffers[-1], b.mul(unit, lanes * bits // 8))
    return ModuleOp([b.finish()])


def loaded(module: ModuleOp, target: Target) -> int:
    """Address of the module's function `kernel`, linked as in a library."""
    content = machine.object_code(module_text(emit_kernels(module, target)), target)
    with TemporaryDirectory() as folder:
        objects, library = Path(folder) / "kernel.o", Path(folder) / "kernel.so"
        objects.write_bytes(content)
        link_library(find_linker(), library, library.name, [objects], ["kernel"])
        _KEPT.append(ctypes.CDLL(str(library)))
    return int(ctypes.cast(_KEPT[-1].kernel, ctypes.c_void_p).value or 0)


def call(address: int, target: Target, buffers: Sequence[Array], units: int) -> None:
    table = (ctypes.c_void_p * len(buffers))(*(a.ctypes.data for a in buffers))
    invoke = invoke_for(target.name)
    if invoke is not None:
        invoke(address, ctypes.addressof(table), 0, units)
        return
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    signature(address)(ctypes.addressof(table), 0, units)


def operand(g: np.random.Generator, text: str) -> Array:
    """Registers of random elements, half of them extreme; some registers extreme throughout."""
    lanes, bits = vector_type(text)
    info = np.iinfo(f"i{bits // 8}")
    shape = (COUNT, lanes)
    values = g.integers(info.min, info.max, shape, info.dtype, endpoint=True)
    ends = np.array([info.min, info.min + 1, -1, 0, 1, info.max - 1, info.max], info.dtype)
    values = np.where(g.random(shape) < 0.5, g.choice(ends, shape), values)
    values[: COUNT // 4] = g.choice(ends, (COUNT // 4, 1))
    return np.ascontiguousarray(values.astype(info.dtype))


#: Encodings differ between targets, so a row runs on each that introduces it.
CASES = [(row, name) for row in INSTRUCTIONS for name in (row.target, row.also) if name]


@pytest.mark.parametrize(("row", "name"), CASES, ids=lambda v: getattr(v, "name", v))
def test_row(row: Instruction, name: str) -> None:
    g, target = np.random.default_rng(11), by_name(name)
    operands = [operand(g, text) for text in row.operands]
    lanes, bits = vector_type(row.result)
    result = np.zeros((COUNT, lanes), f"i{bits // 8}")
    call(loaded(kernel_of(row), target), target, [*operands, result], COUNT)
    expected = row.semantics(*(a.reshape(-1) for a in operands)).reshape(result.shape)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("row", "name"), CASES, ids=lambda v: getattr(v, "name", v))
def test_row_is_the_instruction_that_it_names(row: Instruction, name: str) -> None:
    """LLVM may take another one for an intrinsic; SSE spells them without v."""
    target = by_name(name)
    text = machine.assembly(module_text(emit_kernels(kernel_of(row), target)), target)
    assert f"{row.name.split('.')[0].removeprefix('v')}\t" in text


def test_multiply_add_saturates_where_its_precondition_fails() -> None:
    """255·127 + 255·127 does not fit 16 bits: the reason for the proofs in contractions."""
    row = next(row for row in INSTRUCTIONS if row.name == "vpmaddubsw.128")
    a, b = np.full(16, 255, np.uint8), np.full(16, 127, np.int8)
    assert (row.semantics(a, b) == 32767).all()
    assert 2 * 255 * 127 > 32767


def test_every_target_finds_its_rows() -> None:
    names = {row.name for row in INSTRUCTIONS}
    for target in TARGETS:
        sizes = [bits for bits in (128, 256, 512) if bits <= 8 * target.vector_bytes]
        widths = (f"{target.dot4}.{bits}" for bits in sizes)
        assert target.dot4 is None or names.issuperset(widths)
        assert f"vpmaddwd.{8 * target.vector_bytes}" in names
        assert f"vpmaddubsw.{8 * target.vector_bytes}" in names
