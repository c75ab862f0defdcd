"""Bad input: exit code 1, one line on stderr that names what is wrong, nothing half-written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_models import BAD
from click.testing import Result
from invoking import Invoke

BATCH_1 = ("--input-shape", "input:1,1,8,8")


def assert_one_line(result: Result, *words: str) -> None:
    assert result.exit_code == 1, result.stderr
    # Besides the progress of work that took seconds before it went wrong.
    (line,) = (line for line in result.stderr.splitlines() if not line.startswith("["))
    assert line.startswith("error: ")
    assert "unexpected" not in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize("name", BAD)
def test_bad_model(invoke: Invoke, tmp_path: Path, name: str) -> None:
    build, words = BAD[name]
    model = tmp_path / "model.onnx"
    model.write_bytes(build())
    result = invoke("compile", model, "-o", tmp_path / "model.so", "--target", "avx2")
    assert_one_line(result, str(model), *words)
    assert list(tmp_path.iterdir()) == [model]


@pytest.mark.parametrize("command", ["compile", "run", "benchmark"])
def test_no_such_model(invoke: Invoke, tmp_path: Path, command: str) -> None:
    assert_one_line(invoke(command, tmp_path / "model.onnx"), "model.onnx", "no such file")


def test_unknown_suffix(invoke: Invoke, tmp_path: Path) -> None:
    model = tmp_path / "model.txt"
    model.touch()
    assert_one_line(invoke("compile", model), "'.txt'", ".onnx")


def test_unknown_target(invoke: Invoke, digits: Path) -> None:
    assert_one_line(invoke("compile", digits, "--target", "avx2,neon"), "'neon'", "avx512_vnni")


def test_unknown_input_name(invoke: Invoke, digits: Path) -> None:
    result = invoke("compile", digits, "--stop-after", "import", "--input-shape", "image:1,1,8,8")
    assert_one_line(result, "'image'", "input")


def test_input_shape_that_contradicts_the_model(invoke: Invoke, digits: Path) -> None:
    result = invoke("compile", digits, "--stop-after", "import", "--input-shape", "input:1,3,8,8")
    assert_one_line(result, "input:1,3,8,8", "does not fit")


def test_a_level_of_several_targets(invoke: Invoke, digits: Path) -> None:
    arguments = ("--stop-after", "packed", "--target", "avx2,sse42")
    assert_one_line(invoke("compile", digits, *arguments), "packed", "one target")


@pytest.mark.parametrize("output", ["nowhere/digits.so", "folder"])
@pytest.mark.parametrize("more", [(), ("--stop-after", "int8")])
def test_unwritable_output(
    invoke: Invoke, digits: Path, tmp_path: Path, output: str, more: tuple[str, ...]
) -> None:
    (tmp_path / "folder").mkdir()
    before = set(tmp_path.rglob("*"))
    result = invoke("compile", digits, *BATCH_1, "-o", tmp_path / output, *more)
    assert_one_line(result, output, "cannot write")
    assert set(tmp_path.rglob("*")) == before


def test_missing_linker(
    invoke: Invoke, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("LPC_LINKER", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    output = tmp_path / "digits.so"
    assert_one_line(invoke("compile", digits, *BATCH_1, "-o", output), "linker", "install")
    assert not output.exists()


def test_failing_linker(
    invoke: Invoke, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPC_LINKER", "false")
    output = tmp_path / "digits.so"
    assert_one_line(invoke("compile", digits, *BATCH_1, "-o", output), "linker", "false")
    assert set(tmp_path.iterdir()) == {digits}


def test_target_that_the_library_lacks(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    library = tmp_path / "digits.so"
    compiled = invoke("compile", digits, *BATCH_1, "-o", library, "--target", "sse42")
    assert compiled.exit_code == 0, compiled.stderr
    assert_one_line(invoke("run", library, "--target", "avx2"), "avx2", "sse42")


def test_a_cpu_without_the_target(
    invoke: Invoke, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lpc.compiler.codegen import host

    monkeypatch.setattr(host, "cpu_features", lambda: frozenset({"ssse3"}))
    assert_one_line(invoke("run", digits, *BATCH_1, "--target", "avx2"), "CPU", "avx2")
    assert_one_line(invoke("run", digits, *BATCH_1), "CPU", "native")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"input": np.zeros((1, 1, 8, 8))}, ("'input'", "float64", "float32")),
        ({"input": np.zeros((2, 1, 8, 8), np.float32)}, ("'input'", "[2, 1, 8, 8]")),
        ({"image": np.zeros((1, 1, 8, 8), np.float32)}, ("'input'", "image")),
    ],
    ids=["dtype", "shape", "name"],
)
def test_wrong_arrays(
    invoke: Invoke,
    digits_library: Path,
    tmp_path: Path,
    arrays: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    source, output = tmp_path / "x.npz", tmp_path / "y.npz"
    np.savez(source, **arrays)
    result = invoke("run", digits_library, "--input", source, "--output", output)
    assert_one_line(result, *words)
    assert not output.exists()


@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\x03\x04 no zip", b"\x93NUMPY\x01"])
def test_file_that_holds_no_arrays(
    invoke: Invoke, digits_library: Path, tmp_path: Path, content: bytes
) -> None:
    source = tmp_path / "x.npz"
    source.write_bytes(content)
    assert_one_line(invoke("run", digits_library, "--input", source), "x.npz", "not an npz")


def test_truncated_library(invoke: Invoke, digits_library: Path, tmp_path: Path) -> None:
    library = tmp_path / "digits.so"
    library.write_bytes(digits_library.read_bytes()[:5000])
    assert_one_line(invoke("run", library), "digits.so", "truncated")


def test_elf_that_is_no_library_of_lpc(invoke: Invoke, tmp_path: Path) -> None:
    library = tmp_path / "other.so"
    library.write_bytes(b"\x7fELF" + bytes(2))
    assert_one_line(invoke("run", library), "other.so", "not a library")


def test_shapes_of_a_library_are_fixed(invoke: Invoke, digits_library: Path) -> None:
    assert_one_line(invoke("run", digits_library, *BATCH_1), "fixed")
    assert_one_line(invoke("benchmark", digits_library, "-b", "2"), "-b")


def test_unwritable_report_folder(invoke: Invoke, digits_library: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    arguments = ("-niter", "1", "-report_type", "no_counters", "-report_folder", file)
    assert_one_line(invoke("benchmark", digits_library, *arguments), "cannot write")
