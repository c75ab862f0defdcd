"""The CPUID mask: a process and its threads see the chosen level, and nothing else changes.

A probe stands for the engine: as it is where cpuid faults, patched where it does not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from benchmarks import masking, patching, zoo
from benchmarks.engines import Job, is_installed
from benchmarks.peers import Worker

PROBE = r"""
#include <cpuid.h>
#include <pthread.h>
#include <stdio.h>
static void *show(void *unused)
{
    unsigned a, b, c, d, features;
    __cpuid(1, a, b, features, d);
    __cpuid_count(7, 0, a, b, c, d);
    printf("avx %u avx2 %u avx512f %u vnni %u amx %u\n", features >> 28 & 1, b >> 5 & 1,
           b >> 16 & 1, c >> 11 & 1, d >> 24 & 1);
    return unused;
}
int main(void)
{
    pthread_t thread;
    unsigned operand;
    __asm__ volatile("movl $0xa20fa20f, %0" : "=r"(operand)); /* no instruction cpuid */
    if (operand != 0xa20fa20f)
        return 1;
    show(NULL);
    pthread_create(&thread, NULL, show, NULL);
    pthread_join(thread, NULL);
    return 0;
}
"""

HIDDEN = {
    "sse42": {"avx", "avx2", "avx512f", "vnni", "amx"},
    "avx2": {"avx512f", "vnni", "amx"},
    "avx512": {"vnni", "amx"},
    "avx512_vnni": {"amx"},
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints what cpuid says, in its main thread and in another."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.c").write_text(PROBE)
    program = folder / "probe"
    subprocess.run(["cc", folder / "probe.c", "-o", program, "-pthread"], check=True)
    return program


def features(program: Path, environment: dict[str, str]) -> dict[str, str]:
    """Name → "0" or "1"; the two threads must agree."""
    done = subprocess.run([program], env=os.environ | environment, capture_output=True, text=True)
    main_thread, other_thread = done.stdout.splitlines()
    assert main_thread == other_thread
    words = main_thread.split()
    return dict(zip(words[::2], words[1::2], strict=True))


@pytest.fixture(params=["faulting", "patched"])
def masked_probe(request: pytest.FixtureRequest, probe: Path, tmp_path: Path) -> Path:
    """The probe in the form that the mask of this machine, or of another, works on."""
    if request.param == "faulting":
        if not masking.has_cpuid_faulting():
            pytest.skip("this CPU or hypervisor does not offer CPUID faulting")
        return probe
    if shutil.which("objdump") is None:
        pytest.skip("no objdump")
    program = tmp_path / "probe"
    program.write_bytes(patching.patched(probe, probe.read_bytes()))
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("isa", HIDDEN)
def test_mask_hides_exactly_the_newer_features(
    isa: masking.Isa, probe: Path, masked_probe: Path
) -> None:
    real = features(probe, {})
    masked = features(masked_probe, masking.preload(isa))
    assert masked == {name: "0" if name in HIDDEN[isa] else value for name, value in real.items()}


def test_a_trap_is_not_taken_for_a_question(probe: Path, tmp_path: Path) -> None:
    """ud2, which compilers emit as a trap, still ends the process."""
    source = tmp_path / "trap.c"
    source.write_text("int main(void) { __builtin_trap(); }")
    subprocess.run(["cc", source, "-o", tmp_path / "trap"], check=True)
    done = subprocess.run([tmp_path / "trap"], env=os.environ | masking.preload("avx2"))
    assert done.returncode == -signal.SIGILL


def test_patched_peers_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path))
    monkeypatch.setattr(masking, "has_cpuid_faulting", lambda: False)
    monkeypatch.setattr(patching, "PEERS", ("click",))  # a package without libraries
    folder = Path(masking.mask_environment("avx2")["PYTHONPATH"])
    assert folder.is_relative_to(tmp_path)
    assert (folder / "click" / "__init__.py").exists()


def test_masked_onnxruntime_saturates(tmp_path: Path) -> None:
    """Without VNNI it multiplies with vpmaddubsw, which the native code of a newer CPU avoids."""
    patched = patching.patched_folder(zoo.cache_folder())
    known = masking.has_cpuid_faulting() or patched.exists()
    if not is_installed("onnxruntime") or not known:
        pytest.skip("needs onnxruntime, patched by an earlier run of the benchmarks")
    value = helper.make_tensor_value_info
    node = helper.make_node("MatMulInteger", ["codes", "weight"], ["sums"])
    cast = helper.make_node("Cast", ["x"], ["codes"], to=TensorProto.UINT8)
    weight = helper.make_tensor("weight", TensorProto.INT8, [64, 16], np.full(1024, 127, np.int8))
    graph = helper.make_graph(
        [cast, node],
        "saturating",
        [value("x", TensorProto.FLOAT, [1, 64])],
        [value("sums", TensorProto.INT32, [1, 16])],
        [weight],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets)
    zoo.save(model, tmp_path / "saturating.onnx")
    np.save(tmp_path / "x.npy", np.full((1, 64), 255, np.float32))
    job = Job(str(tmp_path / "saturating.onnx"), str(tmp_path / "x.npy"), 1)
    with Worker("onnxruntime", job, "avx2") as worker:
        assert set(worker.output()) == {32 * 32767}  # exact: 64 * 255 * 127


def test_native_needs_no_mask() -> None:
    assert masking.mask_environment("native") == {}


def test_without_compiler_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(masking.MaskUnavailableError, match="no C compiler"):
        masking.mask_library()
