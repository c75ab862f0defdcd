"""lpc compile: every level prints, parses again and can be written; the library appears whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoking import Invoke
from lpc.compiler.driver import SHARED_LEVELS, STOP_POINTS, new_context
from xdsl.parser import Parser

BATCH_1 = ("--input-shape", "input:1,1,8,8")


@pytest.mark.parametrize("level", sorted(SHARED_LEVELS))
def test_shared_levels_print_and_parse(invoke: Invoke, digits: Path, level: str) -> None:
    result = invoke("compile", digits, *BATCH_1, "--stop-after", level)
    assert result.exit_code == 0
    Parser(new_context(), result.stdout).parse_module().verify()


def test_a_level_goes_to_a_file(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    output = tmp_path / "int8.mlir"
    result = invoke("compile", digits, *BATCH_1, "--stop-after", "int8", "-o", output)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "graph.qconv2d" in output.read_text()


def test_int8_level_holds_no_float_contraction(invoke: Invoke, digits: Path) -> None:
    text = invoke("compile", digits, *BATCH_1, "--stop-after", "int8").stdout
    assert "graph.conv2d" not in text
    assert "graph.matmul" not in text
    assert text.count("graph.qconv2d") == 8


def test_dump_writes_numbered_levels(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    result = invoke("compile", digits, *BATCH_1, "--stop-after", "int8", "--dump-dir", folder)
    assert result.exit_code == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["00.import.mlir", "01.split.mlir", "02.int8.mlir"]


def test_dump_of_a_whole_compilation(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    arguments = ("-o", tmp_path / "digits.so", "--target", "avx2", "--dump-dir", folder)
    assert invoke("compile", digits, *BATCH_1, *arguments).exit_code == 0
    names = sorted(path.name.split(".")[1] for path in folder.iterdir())
    assert names == sorted(STOP_POINTS)


@pytest.mark.parametrize("level", [level for level in STOP_POINTS if level not in SHARED_LEVELS])
def test_target_levels_are_written(
    invoke: Invoke, digits: Path, tmp_path: Path, level: str
) -> None:
    output = tmp_path / "level"
    arguments = ("--target", "avx2", "--stop-after", level, "-o", output)
    result = invoke("compile", digits, *BATCH_1, *arguments)
    assert result.exit_code == 0, result.stderr
    assert output.stat().st_size > 0


def test_an_open_batch_is_compiled_for_1_with_a_warning(invoke: Invoke, digits: Path) -> None:
    result = invoke("compile", digits, "--stop-after", "import")
    assert result.exit_code == 0
    assert "tensor<1x1x8x8xf32>" in result.stdout
    (warning,) = [line for line in result.stderr.splitlines() if line.startswith("warning:")]
    assert "'input'" in warning
    assert "--input-shape" in warning


def test_input_shape_sets_the_batch(invoke: Invoke, digits: Path) -> None:
    arguments = ("--stop-after", "int8", "--input-shape", "input:3,1,8,8")
    result = invoke("compile", digits, *arguments)
    assert result.exit_code == 0
    assert "tensor<3x1x8x8xf32>" in result.stdout
    assert "warning" not in result.stderr


def test_library_header_and_nothing_else(invoke: Invoke, digits: Path, tmp_path: Path) -> None:
    library, header = tmp_path / "digits.so", tmp_path / "digits.h"
    arguments = ("-o", library, "--header", header, "--target", "sse42,avx2")
    result = invoke("compile", digits, *BATCH_1, *arguments)
    assert result.exit_code == 0, result.stderr
    assert library.read_bytes().startswith(b"\x7fELF")
    assert "lpc_run_avx2" in header.read_text()
    assert "lpc_run_sse42" in header.read_text()
    assert set(tmp_path.iterdir()) == {digits, library, header}
