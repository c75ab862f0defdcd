"""The CPUID mask: a process and its threads see the chosen level, and nothing else changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import masking

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


@pytest.mark.parametrize("isa", HIDDEN)
def test_mask_hides_exactly_the_newer_features(isa: masking.Isa, probe: Path) -> None:
    try:
        environment = masking.mask_environment(isa)
    except masking.MaskUnavailableError as reason:
        pytest.skip(str(reason))
    real = features(probe, {})
    masked = features(probe, environment)
    assert masked == {name: "0" if name in HIDDEN[isa] else value for name, value in real.items()}


def test_native_needs_no_mask() -> None:
    assert masking.mask_environment("native") == {}


def test_without_compiler_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPC_BENCHMARK_CACHE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(masking.MaskUnavailableError, match="no C compiler"):
        masking.mask_library()
