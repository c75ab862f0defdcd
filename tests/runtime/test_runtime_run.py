"""Compiled steps run in order, on any number of threads, from any number of callers."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lpc.runtime as lpr
import numpy as np
import pytest
from lpc.compiler.codegen.host import runs_here
from lpc.compiler.codegen.jit import JitLibrary
from lpc.compiler.codegen.library import write_library
from lpc.compiler.codegen.targets import by_name
from tiny_models import (
    BIAS,
    INFO,
    UNITS,
    expected,
    held_step,
    program,
    program_of,
    trace_step,
    x,
)

FE_UPWARD = 0x800
DEFAULT_MXCSR = 0x1F80


@pytest.mark.parametrize("threads", [1, 2, 4, 300])
def test_threads_do_not_change_the_result(library: Path, threads: int) -> None:
    model = lpr.load(library, num_threads=threads, target="sse42")
    for seed in range(20):
        given = x(seed)
        np.testing.assert_array_equal(model.run({"x": given})["y"], expected(given, BIAS["sse42"]))


def test_default_thread_count_and_shorthand_call(library: Path, best: str) -> None:
    model = lpr.load(library)
    assert model.num_threads == lpr.available_threads()
    assert model.target == best
    np.testing.assert_array_equal(model(x()), expected(x(), BIAS[best]))


def test_specs_and_metadata(library: Path) -> None:
    model = lpr.load(library)
    assert model.inputs == (lpr.TensorSpec("x", "int32", (1, 4 * UNITS)),)
    assert model.outputs == (lpr.TensorSpec("y", "int32", (1, 4 * UNITS)),)
    assert model.inputs[0].dtype == np.int32
    assert model.inputs[0].nbytes == 16 * UNITS
    assert model.metadata["model_name"] == "tiny"
    assert [target["name"] for target in model.metadata["targets"]] == list(BIAS)
    assert [layer["name"] for layer in model.metadata["layers"]] == [n for n, _ in INFO.layers]


def test_one_model_from_eight_python_threads(library: Path) -> None:
    model = lpr.load(library, num_threads=2, target="sse42")

    def work(seed: int) -> bool:
        given = x(seed)
        wanted = expected(given, BIAS["sse42"])
        return all(np.array_equal(model(given), wanted) for _ in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_outputs_go_to_the_given_array(library: Path) -> None:
    model = lpr.load(library, num_threads=1, target="sse42")
    out = np.zeros((1, 4 * UNITS), np.int32)
    results = model.run({"x": x()}, out={"y": out})
    assert results["y"] is out
    np.testing.assert_array_equal(out, expected(x(), BIAS["sse42"]))


def test_a_forked_process_has_a_workspace_of_its_own(library: Path) -> None:
    model = lpr.load(library, num_threads=1, target="sse42")
    model.run({"x": x()})
    (_, memory), *_ = model._workspaces
    memory[0] = 1
    child = os.fork()
    if child == 0:
        memory[0] = 2
        os._exit(0)
    os.waitpid(child, 0)
    assert memory[0] == 1


def test_read_only_inputs_are_not_copied(library: Path) -> None:
    seen = []

    def invoke(pointer: int, inputs: int, *rest: int) -> int:
        seen.append(ctypes.c_void_p.from_address(inputs).value)
        return 0

    given = x()
    given.flags.writeable = False
    lpr.load(library, target="sse42", invoke=invoke).run({"x": given})
    assert seen == [given.ctypes.data]


def test_strided_inputs_are_copied(library: Path) -> None:
    model = lpr.load(library, num_threads=1, target="sse42")
    strided = np.repeat(x(), 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(model(strided), expected(x(), BIAS["sse42"]))


@pytest.mark.parametrize(("threads", "most"), [(1, 8), (2, 8), (3, 8), (8, 3), (2, 1), (64, 64)])
def test_units_are_cut_into_contiguous_parts(threads: int, most: int) -> None:
    """Each unit is computed in one call, whose bounds are those of pieces; one call if alone."""
    jit = JitLibrary(program_of("sse42", (trace_step("sse42", most),)), INFO)
    model = lpr.Model(jit.address, "trace", num_threads=threads)
    count = min(threads, most, UNITS)
    pieces = min(16 * count, UNITS) if count > 1 else 1
    bounds = {UNITS * piece // pieces for piece in range(pieces + 1)}
    for _ in range(20):
        trace = np.asarray(model(x())).reshape(UNITS, 4)[:, :2]
        calls = np.unique(trace, axis=0)
        assert set(calls.flat) <= bounds
        np.testing.assert_array_equal(np.repeat(calls, np.diff(calls)[:, 0], axis=0), trace)


def test_a_thread_takes_what_another_has_not_begun() -> None:
    jit = JitLibrary(program_of("sse42", (held_step("sse42"),)), INFO)
    model = lpr.Model(jit.address, "held", num_threads=2)
    for _ in range(5):
        out = np.zeros((1, 4 * UNITS), np.int32)
        model.run({"x": x()}, {"y": out})
        assert (out.reshape(UNITS, 4)[:, 0] == 1).all()


def test_the_callers_rounding_mode_neither_matters_nor_changes() -> None:
    libm = ctypes.CDLL("libm.so.6")
    jit = JitLibrary(program_of("sse42", (trace_step("sse42", 2),)), INFO)
    model = lpr.Model(jit.address, "trace", num_threads=2)
    before = libm.fegetround()
    libm.fesetround(FE_UPWARD)
    try:
        control = np.asarray(model(x())).reshape(UNITS, 4)[:, 2]
        after = libm.fegetround()
    finally:
        libm.fesetround(before)
    assert set(control & 0xFFC0) == {DEFAULT_MXCSR}
    assert after == FE_UPWARD


def test_custom_executor_runs_any_target(library: Path) -> None:
    calls = []

    def invoke(pointer: int, *arguments: int) -> int:
        calls.append(arguments)
        signature = ctypes.CFUNCTYPE(
            ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32
        )
        status: int = signature(pointer)(*arguments)
        return status | 1 << 40  # as a raw register: upper half unspecified

    model = lpr.load(library, num_threads=1, target="avx512_vnni", invoke=invoke)
    np.testing.assert_array_equal(model(x()), expected(x(), BIAS["avx512_vnni"]))
    assert len(calls) == 1
    with pytest.raises(lpr.LpcRuntimeError, match="cannot profile under a custom executor"):
        model.profile({"x": x()})


@pytest.mark.parametrize("name", list(BIAS))
def test_environment_names_the_target(
    library: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPC_TARGET", name)
    if not runs_here(by_name(name)):
        with pytest.raises(lpr.LpcRuntimeError, match="lacks the target's ISA"):
            lpr.load(library)
        return
    model = lpr.load(library, num_threads=1)
    assert model.target == name
    np.testing.assert_array_equal(model(x()), expected(x(), BIAS[name]))
    assert lpr.load(library, target="sse42").target == "sse42"


def test_jit_runs_without_a_library_file() -> None:
    jit = JitLibrary(program("sse42", 3), INFO)
    model = lpr.Model(jit.address, "tiny", num_threads=2)
    np.testing.assert_array_equal(model(x()), expected(x(), 3))


def test_a_library_compiled_again_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "model.so"
    for bias in (1, 2):
        write_library(path, [program("sse42", bias)], INFO)
        np.testing.assert_array_equal(lpr.load(path)(x()), expected(x(), bias))


_FORK = """
import os, sys
import lpc.runtime as lpr
import numpy as np
model = lpr.load(sys.argv[1], num_threads=2, target="sse42")
x = np.arange(148, dtype=np.int32).reshape(1, 148)
y = model(x)
child = os.fork()
same = np.array_equal(model(x), y)
if child == 0:
    os._exit(0 if same else 1)
sys.exit(os.waitpid(child, 0)[1] or not same)
"""


def test_a_forked_child_starts_its_own_threads(library: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FORK, str(library)], timeout=60, check=False)
    assert done.returncode == 0
