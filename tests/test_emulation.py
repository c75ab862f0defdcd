"""The emulator: it must show what this project uses it for, and notice what would be wrong.

Code for avx512 must not contain VNNI instructions, and code for avx512_vnni must: a CPU model with
AVX-512 but without VNNI tells them apart. One process holds one CPU model, so that one runs aside.
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from pathlib import Path

import lpc.compiler as lpcc
import lpc.runtime as lpr
import numpy as np
import pytest
from emulation import EMULATED, emulator, is_emulated
from lpc.compiler import demo
from lpc.compiler.codegen.targets import by_name

WITHOUT_VNNI = """
import sys
import numpy as np
import lpc.runtime as lpr
from avx512emu import EmuFault, Emulator

library, target, data = sys.argv[1:]
emulator = Emulator("skylake_x")
assert not emulator.has_vnni
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
        lpcc.compile(model, path, target=",".join(EMULATED), input_shapes=shapes)
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


@pytest.mark.parametrize("target", EMULATED)
def test_cpu_without_vnni(target: str, library: Path, digits: np.ndarray) -> None:
    emulator()
    folder = Path(__file__).parent / "emulator"
    with demo.resource("digits.npz") as data:
        result = subprocess.run(
            [sys.executable, "-c", WITHOUT_VNNI, str(library), target, str(data)],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
        )
        answer = int(np.load(data)["test_y"][0])
    if target == "avx512":
        assert result.stdout.strip() == str(answer)
    else:
        assert "invalid opcode" in result.stdout


def test_a_byte_is_inserted_from_where_the_instruction_says() -> None:
    """The decoder of the emulated CPU needs help with the displacement of EVEX vpinsrb."""
    code = bytes.fromhex(
        "62a14d00eff6"  # vpxord %xmm22, %xmm22, %xmm22
        "62e34d0020772101"  # vpinsrb $1, 0x21(%rdi), %xmm22, %xmm22
        "62e17c081136"  # vmovups %xmm22, (%rsi)
        "c3"
    )
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    function = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    source, result = np.arange(128, dtype=np.uint8), np.full(16, 99, np.uint8)
    emulator().call(function, source.ctypes.data, result.ctypes.data)
    assert result.tolist() == [0, 0x21] + [0] * 14
