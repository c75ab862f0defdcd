"""The library as a file: what it needs, what it shares, how writing it can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import lpc.runtime as lpr
import numpy as np
import pytest
from lpc.compiler.codegen.library import write_header, write_library
from lpc.compiler.codegen.program import Argument, TargetProgram
from lpc.compiler.codegen.tables import EXPORTS
from lpc.compiler.errors import LpcError
from tiny_models import BIAS, INFO, LENGTH, expected, program, weights, x

REPOSITORY = Path(__file__).parents[2]
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    blob = np.zeros(1 << 20, np.uint8)
    blob[64 : 64 + 4 * LENGTH] = weights().view(np.uint8)

    def size(*programs: tuple[TargetProgram, np.ndarray]) -> int:
        path = tmp_path / "model.so"
        write_library(path, [replace(p, weights=w) for p, w in programs], INFO)
        np.testing.assert_array_equal(lpr.load(path, target="sse42")(x()), expected(x(), 1))
        return path.stat().st_size

    first, second = program("sse42", 1), program("avx2", 2)
    other = blob.copy()
    other[-1] = 1
    assert size((first, blob)) < 1.1 * blob.nbytes
    assert size((first, blob), (second, blob.copy())) < 1.1 * blob.nbytes
    assert size((first, blob), (second, other)) > 2 * blob.nbytes


def test_equal_constants_of_different_programs_are_stored_once(tmp_path: Path) -> None:
    """Two programs share 1 MiB, at different offsets; each also has one of its own."""
    g, size = np.random.default_rng(0), 1 << 20
    first, second, shared = (g.integers(0, 256, size, np.uint8) for _ in range(3))
    values = np.zeros(640, np.uint8)
    values[: 4 * LENGTH] = weights().view(np.uint8)

    def with_constants(target: str, *blobs: np.ndarray) -> TargetProgram:
        plain = program(target, BIAS[target])
        scale, rest = plain.steps[0], plain.steps[1:]
        starts = np.cumsum([len(values), *map(len, blobs)])[:-1].tolist()
        arguments = (*scale.arguments[:2], Argument("weights", 0, 0))
        arguments += tuple(Argument("weights", 0, start) for start in starts)
        blob = np.concatenate([values, *blobs, np.zeros(64, np.uint8)])
        steps = (replace(scale, arguments=arguments), *rest)
        return replace(plain, steps=steps, weights=blob, slack=64)

    programs = with_constants("sse42", first, shared), with_constants("avx2", shared, second)
    path = tmp_path / "model.so"
    write_library(path, programs, INFO)
    assert 3 * size < path.stat().st_size < 3.2 * size
    for target in ("sse42", "avx2"):
        model = lpr.load(path, target=target)
        np.testing.assert_array_equal(model(x()), expected(x(), BIAS[target]))
        assert model.metadata["targets"][0]["weights_size"] == 2 * size + 640 + 64


def test_the_same_input_gives_the_same_file(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_library(tmp_path / name / "model.so", [program("sse42", 1)], INFO)
        contents.append((tmp_path / name / "model.so").read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf")
def test_needs_libc_only_and_exports_the_interface_only(library: Path) -> None:
    def readelf(*options: str) -> str:
        command = ["readelf", "-W", *options, str(library)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    needed = [line for line in readelf("-d").splitlines() if "(NEEDED)" in line]
    assert len(needed) == 1
    assert "libc.so.6" in needed[0]
    assert "NODELETE" in readelf("-d")
    symbols = [line.split() for line in readelf("--dyn-syms").splitlines()]
    defined = {words[7] for words in symbols if len(words) == 8 and words[6].isdigit()}
    assert defined == set(exports())
    (stack,) = [line.split() for line in readelf("-l").splitlines() if "GNU_STACK" in line]
    assert "E" not in stack[6:8]


def exports() -> list[str]:
    return [*EXPORTS, *(f"lpc_run_{target}" for target in BIAS)]


def test_header_declares_what_the_library_exports() -> None:
    header = (REPOSITORY / "runtime" / "lpc.h").read_text()
    for name in exports()[: -len(BIAS)]:
        assert f"{name}(" in header


def test_no_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LPC_LINKER", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LpcError, match=r"no linker found .* install binutils"):
        write_library(tmp_path / "model.so", [program("sse42", 1)], INFO)
    assert list(tmp_path.iterdir()) == []


def test_linker_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPC_LINKER", "no-such-linker")
    with pytest.raises(LpcError, match="LPC_LINKER names 'no-such-linker'"):
        write_library(tmp_path / "model.so", [program("sse42", 1)], INFO)
    monkeypatch.setenv("LPC_LINKER", "false")
    with pytest.raises(LpcError, match=r"linker '.*false' failed"):
        write_library(tmp_path / "model.so", [program("sse42", 1)], INFO)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ld", "ld.gold", "ld.lld", "lld", "mold", "cc", "gcc", "clang"])
def test_each_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    monkeypatch.setenv("LPC_LINKER", name)
    path = tmp_path / "model.so"
    write_library(path, [program("sse42", 1)], INFO)
    np.testing.assert_array_equal(lpr.load(path)(x()), expected(x(), 1))


def test_undefined_kernel_is_an_error(tmp_path: Path) -> None:
    broken = program("sse42", 1)
    step = replace(broken.steps[0], symbol="forgotten")
    with pytest.raises(LpcError, match="forgotten"):
        write_library(tmp_path / "model.so", [replace(broken, steps=(step,))], INFO)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.so"
    path.write_text("old")
    monkeypatch.setenv("LPC_LINKER", "false")
    with pytest.raises(LpcError):
        write_library(path, [program("sse42", 1)], INFO)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_output(tmp_path: Path) -> None:
    with pytest.raises(LpcError, match="cannot write"):
        write_library(tmp_path / "none" / "model.so", [program("sse42", 1)], INFO)
    with pytest.raises(LpcError, match="cannot write"):
        write_library(tmp_path, [program("sse42", 1)], INFO)


@needs_cc
def test_c_example(library: Path, tmp_path: Path) -> None:
    source = REPOSITORY / "examples" / "c" / "run_model.c"
    options = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{lpr.include_dir()}"]
    subprocess.run(["cc", *options, source, "-o", tmp_path / "run", "-ldl"], check=True)
    x().tofile(tmp_path / "x.bin")
    environment = {**os.environ, "LPC_TARGET": "sse42"}
    done = subprocess.run(
        [tmp_path / "run", library, tmp_path / "x.bin"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"output0.bin: {4 * LENGTH} bytes, computed by sse42\n"
    output = np.fromfile(tmp_path / "output0.bin", np.int32).reshape(1, LENGTH)
    np.testing.assert_array_equal(output, expected(x(), BIAS["sse42"]))


_LINKED = """
#include <stdio.h>
#include <stdlib.h>
#include "tiny.h"
int main(void) {
    static LPC_TINY_INPUT_0_TYPE x[LPC_TINY_INPUT_0_BYTES / sizeof(LPC_TINY_INPUT_0_TYPE)] = {3};
    static LPC_TINY_OUTPUT_0_TYPE y[LPC_TINY_OUTPUT_0_BYTES / sizeof(LPC_TINY_OUTPUT_0_TYPE)];
    const void *inputs[LPC_TINY_INPUT_COUNT] = {x};
    void *outputs[LPC_TINY_OUTPUT_COUNT] = {y};
    void *workspace = aligned_alloc(64, LPC_TINY_WORKSPACE_SSE42);
    int32_t status = lpc_run_sse42(inputs, outputs, workspace, 1);
    printf("%d %d\\n", (int)status, (int)y[0]);
    return 0;
}
"""


@needs_cc
def test_generated_header(tmp_path: Path) -> None:
    """A program that is linked with the library; both find everything in the generated header."""
    programs = [program("sse42", 1)]
    write_library(tmp_path / "libtiny.so", programs, INFO)
    write_header(tmp_path / "tiny.h", programs, INFO)
    (tmp_path / "main.c").write_text(_LINKED)
    options = ["-std=c11", "-Wall", "-Werror", f"-I{lpr.include_dir()}", "-L.", "-Wl,-rpath,."]
    command = ["cc", *options, "main.c", "-ltiny", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", str(3 * int(weights()[0]) + 1)]
