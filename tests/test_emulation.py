"""The emulator: it must show what this project uses it for, and notice what would be wrong.

Code for a target must not contain what only newer CPUs have: the oldest CPU model with all that the
target requires shows that. One process holds one CPU model, so they run aside.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path

import lpc.compiler as lpcc
import lpc.runtime as lpr
import numpy as np
import pytest
from emulated import PLAIN_LIBC
from emulation import CPU_MODELS, EMULATED, TILES, emulator, is_emulated
from lpc.compiler import demo
from lpc.compiler.codegen.targets import by_name
from watched import check_opcodes

#: Targets, and CPU models on which their code must fault.
LACKING = [
    ("avx2", "lynnfield"),
    ("avx512", "lynnfield"),
    ("avx512", "haswell"),
    ("avx512_vnni", "lynnfield"),
    ("avx512_vnni", "haswell"),
    ("avx512_vnni", "skylake_x"),
    ("avx_vnni", "haswell"),
    ("avx_vnni", "icelake"),
    ("avx10", "haswell"),
    ("avx10", "icelake"),
    ("amx_int8", "skylake_x"),
]
KEPT: list[mmap.mmap] = []

ON_MODEL = """
import sys
import numpy as np
import lpc.runtime as lpr
from avx512emu import EmuFault, Emulator

library, cpu_model, target, data, tests = sys.argv[1:]
emulator = Emulator(cpu_model)
if tests:
    sys.path.append(tests)
    import tile_unit

    tile_unit.attach(emulator)
model = lpr.load(library, target=target, num_threads=1, invoke=emulator.call)
try:
    print(model(np.load(data)["test_x"][:1]).argmax())
except EmuFault as fault:
    print(fault)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emulated") / "digits.so"
    with demo.resource("digits_int8.onnx") as model:
        shapes = {demo.INPUT: demo.IMAGE}
        lpcc.compile(model, path, target=",".join(CPU_MODELS), input_shapes=shapes)
    return path


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    with demo.resource("digits.npz") as path:
        return np.asarray(np.load(path)["test_x"])


@pytest.mark.parametrize("target", EMULATED)
def test_emulated_results_are_those_of_silicon(
    target: str, library: Path, digits: np.ndarray
) -> None:
    if is_emulated(target):
        pytest.skip(f"this CPU does not run {target}")
    emulated = lpr.load(library, target=target, num_threads=1, invoke=emulator().call)
    native = lpr.load(library, target=target, num_threads=1)
    for x in digits[:20, None]:
        np.testing.assert_array_equal(emulated(x), native(x))


def test_instructions_that_ran(library: Path, digits: np.ndarray) -> None:
    counts: dict[str, dict[str, int]] = {name: {} for name in EMULATED}
    for target in EMULATED:
        own = counts[target]
        model = lpr.load(
            library,
            target=target,
            num_threads=1,
            invoke=lambda *arguments, own=own: emulator().call(*arguments, hist=own),
        )
        model(digits[:1])
    dots = {t: sum(n for k, n in counts[t].items() if "VPDPBUSD" in k) for t in EMULATED}
    for target in EMULATED:
        assert (dots[target] > 100) == (by_name(target).dot4 == "vpdpbusd"), target


@pytest.mark.parametrize(("target", "cpu_model"), [*CPU_MODELS.items(), *LACKING])
def test_code_needs_its_cpu_model_and_no_more(target: str, cpu_model: str, library: Path) -> None:
    """The oldest model that has what a target requires runs it; what lacks any of it does not."""
    said = on_model(library, cpu_model, target, tiles=target == TILES)
    if CPU_MODELS[target] == cpu_model:
        with demo.resource("digits.npz") as data:
            assert said == str(int(np.load(data)["test_y"][0]))
    else:
        assert "invalid opcode" in said


def test_no_model_has_tile_registers(library: Path) -> None:
    """What runs the code of amx_int8 is the tile unit in software."""
    assert "invalid opcode" in on_model(library, CPU_MODELS[TILES], TILES, tiles=False)


def on_model(library: Path, cpu_model: str, target: str, tiles: bool) -> str:
    """The digit that is recognized, or the fault; with a tile unit or without."""
    emulator()
    folder = Path(__file__).parent
    with demo.resource("digits.npz") as data:
        words = [library, cpu_model, target, data, folder if tiles else ""]
        result = subprocess.run(
            [sys.executable, "-c", ON_MODEL, *map(str, words)],
            capture_output=True, text=True, check=True, cwd=folder / "emulator",
            env={**os.environ, "GLIBC_TUNABLES": PLAIN_LIBC},
        )  # fmt: skip
    return result.stdout.strip()


def executable(code: str) -> ctypes.c_void_p:
    """Machine code in hexadecimal, as a function."""
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex(code))
    KEPT.append(memory)
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))


READ_A_BYTE = "8a07" + "c3"  # mov (%rdi), %al
FLUSH_DENORMALS = "6840800000" + "0fae1424" + "58" + "c3"  # push $0x8040; ldmxcsr (%rsp)
LOAD_ONE = "d9e8" + "ddd8" + "c3"  # fld1; fstp %st(0)


@pytest.mark.parametrize("offset", [-1, 0, 3, 4])
def test_a_byte_beside_a_buffer_is_noticed(offset: int) -> None:
    """In the middle of an array: no page protects what lies beside the four bytes."""
    array = np.arange(100, 112, dtype=np.uint8)
    function, address = executable(READ_A_BYTE), array[4:].ctypes.data + offset
    if 0 <= offset < 4:
        answer = emulator().call(function, address, strict=[array[4:8]])
        assert answer & 0xFF == 104 + offset
        return
    with pytest.raises(RuntimeError, match="outside allowed ranges: read of 1 bytes"):
        emulator().call(function, address, strict=[array[4:8]])


def test_a_changed_mxcsr_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="register mxcsr not preserved"):
        emulator().call(executable(FLUSH_DENORMALS))


def test_x87_is_noticed() -> None:
    executed: dict[str, int] = {}
    emulator().call(executable(LOAD_ONE), hist=executed)
    with pytest.raises(AssertionError, match=r"x87 or MMX instructions: .*FLD1"):
        check_opcodes(executed)


def test_a_byte_is_inserted_from_where_the_instruction_says() -> None:
    """The decoder of the emulated CPU needs help with the displacement of EVEX vpinsrb."""
    code = (
        "62a14d00eff6"  # vpxord %xmm22, %xmm22, %xmm22
        "62e34d0020772101"  # vpinsrb $1, 0x21(%rdi), %xmm22, %xmm22
        "62e17c081136"  # vmovups %xmm22, (%rsi)
        "c3"
    )
    function = executable(code)
    source, result = np.arange(128, dtype=np.uint8), np.full(16, 99, np.uint8)
    emulator().call(function, source.ctypes.data, result.ctypes.data)
    assert result.tolist() == [0, 0x21] + [0] * 14
