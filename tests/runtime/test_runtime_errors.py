"""What is wrong with a library, a CPU or a call is said in one line, before anything crashes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lpc.runtime as lpr
import numpy as np
import pytest
from lpc.compiler.codegen import features, tables
from lpc.compiler.codegen.jit import JitLibrary
from tiny_models import BIAS, INFO, LENGTH, program, x


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(lpr.LpcRuntimeError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_file(tmp_path: Path) -> None:
    message = refused(lambda: lpr.load(tmp_path / "none.so"))
    assert message.endswith("none.so: cannot read: No such file or directory")


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF", bytes(5000)])
def test_not_a_library(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.so"
    path.write_bytes(content)
    assert "not a library made by lpc" in refused(lambda: lpr.load(path))


@pytest.mark.parametrize("part", [64, 0.1, 0.3, 0.5, 0.7])
def test_truncated_library(library: Path, tmp_path: Path, part: float) -> None:
    content = library.read_bytes()
    path = tmp_path / "model.so"
    path.write_bytes(content[: int(part if part > 1 else part * len(content))])
    message = refused(lambda: lpr.load(path))
    assert "truncated" in message or "cannot load" in message


def test_foreign_library(tmp_path: Path) -> None:
    with open("/proc/self/maps") as maps:
        libc = next(line.split()[-1] for line in maps if "libc.so.6" in line or "libc-2" in line)
    assert "not a library made by lpc (it lacks lpc_abi_version)" in refused(lambda: lpr.load(libc))


def test_other_abi_version(library: Path) -> None:
    answer = ctypes.CFUNCTYPE(ctypes.c_int32)(lambda: 99)
    pointer = ctypes.cast(answer, ctypes.c_void_p).value or 0
    message = refused(lambda: lpr.Model(lambda name: pointer, "old.so"))
    assert message == ("old.so: has ABI version 99, this runtime needs 1; compile the model again")


def test_unknown_target(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = f"; it was compiled for {', '.join(BIAS)}"
    wanted = f"{library}: target 'z80': lpc knows no such target{compiled}"
    assert refused(lambda: lpr.load(library, target="z80")) == wanted
    wanted = f"{library}: target 'z80': the library has no such target{compiled}"
    assert refused(lambda: lpr.load(library, target="z80", invoke=lambda *_: 0)) == wanted
    monkeypatch.setenv("LPC_TARGET", "z80")
    wanted = f"{library}: LPC_TARGET=z80: lpc knows no such target{compiled}"
    assert refused(lambda: lpr.load(library)) == wanted


def test_target_that_the_library_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    jit = JitLibrary(program("sse42", 1), INFO)
    compiled = "the library has no such target; it was compiled for sse42"
    wanted = f"m.so: target 'avx2': {compiled}"
    assert refused(lambda: lpr.Model(jit.address, "m.so", target="avx2")) == wanted
    monkeypatch.setenv("LPC_TARGET", "avx2")
    assert refused(lambda: lpr.Model(jit.address, "m.so")) == f"m.so: LPC_TARGET=avx2: {compiled}"
    assert lpr.Model(jit.address, "m.so", target="sse42").target == "sse42"


@pytest.fixture
def _cpu_without_vnni(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An operating system that would have to save registers which do not exist."""
    rows = tuple(
        replace(row, saved=1 << 30) if row.name == "avx512_vnni" else row
        for row in features.FEATURES
    )
    monkeypatch.setattr(tables, "FEATURES", rows)
    tables.support_object.cache_clear()
    yield
    tables.support_object.cache_clear()


@pytest.mark.usefixtures("_cpu_without_vnni")
def test_cpu_without_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    jit = JitLibrary(program("avx512_vnni", 1), INFO)
    assert refused(lambda: lpr.Model(jit.address, "m.so")) == (
        "m.so: this CPU or operating system lacks the target's ISA; it was compiled for avx512_vnni"
    )
    monkeypatch.setenv("LPC_TARGET", "avx512_vnni")
    assert refused(lambda: lpr.Model(jit.address, "m.so")) == (
        "m.so: LPC_TARGET=avx512_vnni: this CPU or operating system lacks the target's ISA; "
        "it was compiled for avx512_vnni"
    )
    run = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32, *(ctypes.c_void_p,) * 3, ctypes.c_int32)
    assert run(jit.address("lpc_run"))(0, None, None, None, 1) == -5


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "missing input 'x'; the model's inputs: 'x'"),
        ({"x": x(), "z": x()}, "unknown input 'z'; the model's inputs: 'x'"),
        ({"x": x().astype(np.float32)}, "input 'x': expected int32 [1, 148], got float32 [1, 148]"),
        ({"x": x()[0]}, "input 'x': expected int32 [1, 148], got int32 [148]"),
        ({"x": [1, 2]}, "input 'x': expected int32 [1, 148], got int64 [2]"),
    ],
)
def test_wrong_inputs(library: Path, inputs: dict[str, Any], reason: str) -> None:
    assert refused(lambda: lpr.load(library).run(inputs)) == f"{library}: {reason}"


def test_wrong_outputs(library: Path) -> None:
    model = lpr.load(library)
    strided = np.zeros((1, 2 * LENGTH), np.int32)[:, ::2]
    frozen = np.zeros((1, LENGTH), np.int32)
    frozen.flags.writeable = False
    for bad in (strided, frozen):
        message = refused(partial(model.run, {"x": x()}, out={"y": bad}))
        assert message.endswith("output 'y': needs a writable contiguous array")
    assert "unknown output 'z'" in refused(lambda: model.run({"x": x()}, out={"z": frozen}))


def test_wrong_number_of_arguments_and_threads(library: Path) -> None:
    assert "2 inputs given, 1 expected" in refused(lambda: lpr.load(library)(x(), x()))
    assert (
        refused(lambda: lpr.load(library, num_threads=0))
        == "num_threads is 0; at least 1 is needed"
    )


def test_c_calls_are_checked(library: Path) -> None:
    lib = ctypes.CDLL(str(library))
    lib.lpc_error_message.restype = ctypes.c_char_p
    lib.lpc_workspace_size.restype = lib.lpc_step_count.restype = ctypes.c_int64
    lib.lpc_input_bytes.restype = lib.lpc_output_bytes.restype = ctypes.c_int64
    room = np.zeros(lib.lpc_workspace_size(0) + 128, np.uint8)
    workspace = room.ctypes.data + -room.ctypes.data % 64
    table = (ctypes.c_void_p * 1)(x().ctypes.data)
    holed = (ctypes.c_void_p * 1)(None)

    def run(target: int, inputs: Any, outputs: Any, scratch: int | None, threads: int) -> int:
        return int(lib.lpc_run(target, inputs, outputs, ctypes.c_void_p(scratch), threads))

    assert run(0, None, table, workspace, 1) == -1
    assert run(0, holed, table, workspace, 1) == -1
    assert run(0, table, holed, workspace, 1) == -1
    assert run(0, table, table, None, 1) == -1
    assert run(0, table, table, workspace + 32, 1) == -2
    assert run(0, table, table, workspace, 0) == -3
    assert run(len(BIAS), table, table, workspace, 1) == -4
    assert run(-1, table, table, workspace, 1) == -4
    assert lib.lpc_workspace_size(7) == lib.lpc_step_count(7) == -4
    assert lib.lpc_input_bytes(0) == lib.lpc_output_bytes(0) == 4 * LENGTH
    assert lib.lpc_input_bytes(1) == lib.lpc_output_bytes(-1) == -1
    assert lib.lpc_target_count() == len(BIAS)
    messages = {lib.lpc_error_message(code) for code in range(-7, 1)}
    assert len(messages) == 8
