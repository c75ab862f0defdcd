"""A library's own choice of target, executed on emulated CPUs of several ages.

The library asks cpuid and xgetbv of the CPU model, picks a target, and then runs it there, where an
instruction that the model lacks would fault. One process holds one CPU model, so each runs aside.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lpc.compiler as lpcc
import numpy as np
import pytest
from emulation import emulator
from lpc.compiler import demo
from lpc.compiler.codegen.targets import TARGETS

DISPATCH = """
import ctypes, sys
import numpy as np
import lpc.runtime as lpr
from avx512emu import Emulator

path, cpu, data = sys.argv[1:]
emulator, library = Emulator(cpu), ctypes.CDLL(path)
library.lpc_error_message.restype = library.lpc_target_name.restype = ctypes.c_char_p
ctypes.CDLL(None).clearenv()  # getenv() of this machine's libc compares with AVX-512
index = ctypes.c_int32(emulator.call(library.lpc_select, None)).value
if index < 0:
    print(library.lpc_error_message(ctypes.c_int32(index)).decode())
    sys.exit()
target = library.lpc_target_name(index).decode()
model = lpr.load(path, target=target, num_threads=1, invoke=emulator.call)
print(target, model(np.load(data)["test_x"][:1]).argmax())
"""

#: CPU model of tests/emulator/avx512emu.py → what a library with all targets runs there.
CHOICES = {
    "penryn": None,
    "lynnfield": "sse42",
    "haswell": "avx2",
    "skylake_x": "avx512",
    "icelake": "avx512_vnni",
    "tigerlake": "avx512_vnni",
    "arrow_lake": "avx_vnni",
    "sapphire_rapids": "avx512_vnni",
    "haswell without xsave": "sse42",
    "haswell without ymm": "sse42",
    "skylake_x without zmm": "avx2",
    "icelake without upper zmm": "avx2",
}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One with all targets, and one for new CPUs alone."""
    folder = tmp_path_factory.mktemp("dispatch")
    paths = {}
    for name, targets in (
        ("all", ",".join(target.name for target in TARGETS)),
        ("new", "avx_vnni,avx512"),
    ):
        paths[name] = folder / f"{name}.so"
        with demo.resource("digits_int8.onnx") as model:
            shapes = {demo.INPUT: demo.IMAGE}
            lpcc.compile(model, paths[name], target=targets, input_shapes=shapes)
    return paths


def dispatched(library: Path, cpu: str) -> list[str]:
    """Target and answer, or the words of the error."""
    emulator()
    with demo.resource("digits.npz") as data:
        result = subprocess.run(
            [sys.executable, "-c", DISPATCH, str(library), cpu, str(data)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent / "emulator",
            env={**os.environ, "LD_BIND_NOW": "1"},
        )
    return result.stdout.split()


def answer() -> str:
    with demo.resource("digits.npz") as data:
        return str(int(np.load(data)["test_y"][0]))


@pytest.mark.parametrize("cpu", CHOICES)
def test_the_best_target_of_a_cpu(cpu: str, libraries: dict[str, Path]) -> None:
    chosen, words = CHOICES[cpu], dispatched(libraries["all"], cpu)
    if chosen is None:
        assert " ".join(words) == "this CPU or operating system lacks the target's ISA"
    else:
        assert words == [chosen, answer()]


@pytest.mark.parametrize(
    ("cpu", "chosen"),
    [
        ("skylake_x", "avx512"),
        ("icelake", "avx512"),
        ("arrow_lake", "avx_vnni"),
        ("sapphire_rapids", "avx_vnni"),
    ],
)
def test_targets_that_do_not_imply_each_other(
    cpu: str, chosen: str, libraries: dict[str, Path]
) -> None:
    assert dispatched(libraries["new"], cpu) == [chosen, answer()]


@pytest.mark.parametrize("cpu", ["haswell", "skylake_x without zmm"])
def test_a_cpu_below_all_targets(cpu: str, libraries: dict[str, Path]) -> None:
    words = dispatched(libraries["new"], cpu)
    assert " ".join(words) == "this CPU or operating system lacks the target's ISA"
