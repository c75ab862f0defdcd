"""What callers do around a run: odd addresses, a strange MXCSR, many threads at once, fork()."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lpc.runtime as lpr
import numpy as np
import pytest
from emulation import invoke_for, is_emulated, targets_tested
from hostile import guarded
from lpc.compiler.codegen.host import runs_here
from lpc.compiler.codegen.library import write_library
from lpc.compiler.codegen.linker import find_linker, link_library
from lpc.compiler.codegen.objects import emit_object
from lpc.compiler.codegen.program import TargetProgram
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, ui8
from lpc.compiler.interpreters.graph import run_graph
from lpc.compiler.signature import library_info
from support import Bench, extreme_codes, levels_of
from watched import watched
from xdsl.dialects.builtin import ModuleOp

NATIVE = [t for t in TARGETS if runs_here(t)]
EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)


def network() -> tuple[ModuleOp, list[Array]]:
    """Layers that several threads share, floats with denormals among inputs and results, codes of
    both signs; and inputs."""
    g, bench = np.random.default_rng(0), Bench()
    real = g.standard_normal((1, 20, 20, 19)).astype(np.float32)
    tiny = g.uniform(-3e-38, 3e-38, real.shape).astype(np.float32)
    x = bench.input(np.where(g.random(real.shape) < 0.5, real, tiny))
    weight = bench.constant(g.integers(-90, 91, (33, 19, 3, 3)).astype(np.int8))
    codes = bench(graph.QuantizeOp(x, 0.02, 128, ui8, 3))
    sums = bench(graph.QConv2dOp(codes, weight, pads=(1, 1, 1, 1), layout="nhwc"))
    bench.output(bench(graph.RequantizeOp(sums, 1e-4, 120, ui8, 3)), "codes")
    bench.output(bench(graph.QuantizeOp(x, 1e-40, 7, ui8, 3)), "denormal scale")
    half = bench.constant(np.asarray([0.37], np.float32))
    bench.output(bench(graph.MulOp(x, half)), "denormal products")
    bench.output(bench(graph.SoftmaxOp(x, 3)), "softmax")
    other = bench.input(extreme_codes(g, (3, 5, 17), np.int8))
    bench.output(bench(graph.RecodeOp(other)), "recoded")
    return bench.module(), bench.arrays


@pytest.fixture(scope="module")
def expected() -> list[Array]:
    module, arrays = network()
    return list(run_graph(module, arrays))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network for all targets, with files of its inputs and outputs beside it."""
    module, arrays = network()
    path = tmp_path_factory.mktemp("surroundings") / "network.so"
    programs = []
    for target in targets_tested(TARGETS):
        program = levels_of(module.clone(), target)["obj"].content
        assert isinstance(program, TargetProgram)
        programs.append(program)
    write_library(path, programs, library_info(module))
    for side, values in (("input", arrays), ("output", run_graph(module, arrays))):
        for number, value in enumerate(values):
            value.tofile(path.parent / f"{side}{number}.bin")
    return path


def assert_same(actual: Sequence[Array], wanted: Sequence[Array], where: str) -> None:
    for number, (a, b) in enumerate(zip(actual, wanted, strict=True)):
        assert a.tobytes() == b.tobytes(), f"output {number}, {where}"


def load(path: Path, target: Target, threads: int = 1) -> lpr.Model:
    if not targets_tested([target]) or is_emulated(target.name):
        pytest.skip("runs on silicon")
    return lpr.load(path, threads, target.name)


@EACH_TARGET
def test_any_address_of_an_element(target: Target, library: Path, expected: list[Array]) -> None:
    """Inputs and outputs start at every multiple of their element within 64 bytes."""
    model, arrays = load(library, target), network()[1]
    for step in range(64):
        inputs, out = {}, {}
        for spec, array in zip(model.inputs, arrays, strict=True):
            inputs[spec.name] = guarded(spec.shape, spec.dtype, False, step * spec.dtype.itemsize)
            inputs[spec.name][...] = array
        for spec in model.outputs:
            shift = (63 - step) * spec.dtype.itemsize
            out[spec.name] = guarded(spec.shape, spec.dtype, step % 2 == 0, shift)
        assert_same(list(model.run(inputs, out).values()), expected, f"shift {step}")


_WITH_MXCSR = """
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)

; Calls run(table of pointers …) under *mxcsr, and leaves there what the callee left.
define i32 @with_mxcsr(ptr %run, ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads,
                       ptr %mxcsr) {
  %own = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %own)
  call void @llvm.x86.sse.ldmxcsr(ptr %mxcsr)
  %status = call i32 %run(ptr %inputs, ptr %outputs, ptr %workspace, i32 %threads)
  call void @llvm.x86.sse.stmxcsr(ptr %mxcsr)
  call void @llvm.x86.sse.ldmxcsr(ptr %own)
  ret i32 %status
}
"""


@pytest.fixture(scope="module")
def with_mxcsr(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Linked: see `loaded` in test_instructions.py."""
    stub = tmp_path_factory.mktemp("mxcsr") / "stub.o"
    stub.write_bytes(emit_object(_WITH_MXCSR))
    link_library(find_linker(), stub.with_suffix(".so"), "stub.so", [stub], ["with_mxcsr"])
    return ctypes.CDLL(str(stub.with_suffix(".so")))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("mxcsr", [0x9FC0, 0xFFC0, 0x3F80, 0xE040], ids=hex)
@EACH_TARGET
def test_callers_mxcsr(
    target: Target,
    mxcsr: int,
    threads: int,
    library: Path,
    with_mxcsr: ctypes.CDLL,
    expected: list[Array],
) -> None:
    """Flushed denormals, other roundings, unmasked exceptions: no effect, and all left in place."""
    load(library, target)
    pointers = (ctypes.c_void_p,) * 4
    signature = ctypes.CFUNCTYPE(ctypes.c_int32, *pointers, ctypes.c_int32, ctypes.c_void_p)
    stub = ctypes.cast(with_mxcsr.with_mxcsr, signature)
    left = []

    def invoke(entry: int, inputs: int, outputs: int, workspace: int, count: int) -> int:
        word = ctypes.c_uint32(mxcsr)
        status: int = stub(entry, inputs, outputs, workspace, count, ctypes.addressof(word))
        left.append(word.value)
        return status

    model = lpr.load(library, threads, target.name, invoke)
    named = {spec.name: a for spec, a in zip(model.inputs, network()[1], strict=True)}
    for _ in range(3):
        assert_same(list(model.run(named).values()), expected, f"MXCSR {mxcsr:#x}")
    assert left == [mxcsr] * 3


def test_many_python_threads(library: Path, expected: list[Array]) -> None:
    """One model for all, and one for each with other numbers of threads and other targets."""
    if not NATIVE or len(targets_tested(TARGETS)) < len(TARGETS):
        pytest.skip("runs on silicon")
    shared, arrays = lpr.load(library, 2), network()[1]

    def work(number: int) -> None:
        target = NATIVE[number % len(NATIVE)].name
        own = lpr.load(library, 1 + number % 3, target)
        for repeat in range(30):
            model = shared if repeat % 2 else own
            named = {s.name: a for s, a in zip(model.inputs, arrays, strict=True)}
            assert_same(list(model.run(named).values()), expected, f"thread {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


_C_THREADS = """
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lpc.h"

enum { THREADS = 8, RUNS = 30, MOST = 16 };
static int32_t (*run)(int32_t, const void *const *, void *const *, void *, int32_t);
static int32_t target_count, output_count;
static int64_t (*workspace_size)(int32_t), output_bytes[MOST];
static const void *inputs[MOST];
static void *expected[MOST];
static int supported[MOST];

static void *contents(const char *side, int number, int64_t size) {
    char name[64];
    snprintf(name, sizeof name, "%s%d.bin", side, number);
    FILE *file = fopen(name, "rb");
    void *data = malloc(size);
    if (!file || fread(data, 1, size, file) != (size_t)size) exit(2);
    fclose(file);
    return data;
}

static void *work(void *argument) {
    long number = (long)argument, wrong = 0;
    int32_t target = (int32_t)(number % target_count);
    if (!supported[target]) return NULL;
    void *outputs[MOST], *workspace = aligned_alloc(64, workspace_size(target) + 64);
    for (int o = 0; o < output_count; o++) outputs[o] = malloc(output_bytes[o]);
    for (int i = 0; i < RUNS; i++) {
        wrong += run(target, inputs, outputs, workspace, 1 + (int32_t)((number + i) % 4)) != 0;
        for (int o = 0; o < output_count; o++) {
            wrong += memcmp(outputs[o], expected[o], output_bytes[o]) != 0;
            memset(outputs[o], 0xA5, output_bytes[o]);
        }
    }
    return (void *)wrong;
}

int main(int count, char **arguments) {
    void *library = dlopen(arguments[1], RTLD_NOW);
    if (count != 2 || !library) return 2;
#define GET(name) ((__typeof__(name) *)dlsym(library, #name))
    run = GET(lpc_run), workspace_size = GET(lpc_workspace_size);
    target_count = GET(lpc_target_count)(), output_count = GET(lpc_output_count)();
    for (int i = 0; i < GET(lpc_input_count)(); i++)
        inputs[i] = contents("input", i, GET(lpc_input_bytes)(i));
    for (int o = 0; o < output_count; o++) {
        output_bytes[o] = GET(lpc_output_bytes)(o);
        expected[o] = contents("output", o, output_bytes[o]);
    }
    for (int t = 0; t < target_count; t++)
        supported[t] = GET(lpc_select)(GET(lpc_target_name)(t)) == t;
    pthread_t threads[THREADS];
    long wrong = 0;
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (long i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (long)result;
    }
    printf("%ld wrong\\n", wrong);
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_many_c_threads(library: Path) -> None:
    """Each with a workspace, a target and numbers of threads of its own."""
    folder = library.parent
    (folder / "threads.c").write_text(_C_THREADS)
    options = ["-std=gnu11", "-Wall", "-Werror", f"-I{lpr.include_dir()}", "-pthread"]
    subprocess.run(["cc", *options, "threads.c", "-o", "threads", "-ldl"], cwd=folder, check=True)
    command = [folder / "threads", library]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "0 wrong\n")


_FORKING = """
import os, sys, threading
import lpc.runtime as lpr
import numpy as np

path = sys.argv[1]
folder = os.path.dirname(path)
model = lpr.load(path, num_threads=2)

def arrays(side, specs):
    return [np.fromfile(f"{folder}/{side}{i}.bin", s.dtype).reshape(s.shape)
            for i, s in enumerate(specs)]

inputs = dict(zip((s.name for s in model.inputs), arrays("input", model.inputs)))
expected = [a.tobytes() for a in arrays("output", model.outputs)]

def fine(count):
    return all([a.tobytes() for a in model.run(inputs).values()] == expected
               for _ in range(count))

done = threading.Event()

def keep_running():
    while not done.is_set():
        if not fine(1):
            os._exit(3)

threads = [threading.Thread(target=keep_running) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(12):
    child = os.fork()  # while the other threads are somewhere inside a run
    if child == 0:
        os._exit(0 if fine(3) else 1)
    children.append(child)
    fine(1)
failed = [status for child in children if (status := os.waitpid(child, 0)[1])]
done.set()
for thread in threads:
    thread.join()
sys.exit(bool(failed) or not fine(3))
"""


def test_fork_in_the_midst_of_runs(library: Path) -> None:
    """Children of a process whose threads hold the pool get a pool of their own."""
    if len(targets_tested(TARGETS)) < len(TARGETS):
        pytest.skip("runs on silicon")
    command = [sys.executable, "-W", "ignore", "-c", _FORKING, str(library)]
    assert subprocess.run(command, timeout=120, check=False).returncode == 0


@EACH_TARGET
def test_emulated_surroundings(target: Target, library: Path, expected: list[Array]) -> None:
    """The same network where every access is watched, MXCSR is hostile, and addresses are odd."""
    if not targets_tested([target]) or not is_emulated(target.name):
        pytest.skip("runs in the emulator")
    model = lpr.load(library, 1, target.name, invoke_for(target.name))
    inputs: dict[str, Any] = {}
    for spec, array in zip(model.inputs, network()[1], strict=True):
        inputs[spec.name] = guarded(spec.shape, spec.dtype, shift=3 * spec.dtype.itemsize)
        inputs[spec.name][...] = array
    out = {s.name: guarded(s.shape, s.dtype, shift=s.dtype.itemsize) for s in model.outputs}
    size = int(model._plan["workspace_size"])
    workspace = guarded((size,), np.uint8)
    model._workspaces.append((workspace.ctypes.data, workspace))
    model._invoke = watched(library, [workspace, *inputs.values(), *out.values()])
    assert_same(list(model.run(inputs, out).values()), expected, "emulated")
