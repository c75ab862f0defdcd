"""The `lpc opt` tool: passes run, files that are wrong are reported, exit codes tell which."""

from __future__ import annotations

from pathlib import Path

import pytest
from lpc.compiler.opt import main
from lpc.compiler.passes import PASS_NAMES, load_pass

MODULE = """
func.func @f(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = graph.reshape %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %y : tensor<2x3xf32>
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "module.mlir"
    path.write_text(MODULE)
    return path


def test_runs_passes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file), "-p", "canonicalize{fold_dequantize=true},fold-bias"]) == 0
    assert "graph.reshape" not in capsys.readouterr().out


@pytest.mark.parametrize("pipeline", ["no-such-pass", "canonicalize{no_such_option=1}", "a{"])
def test_misuse(file: Path, pipeline: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file), "-p", pipeline]) == 2
    assert capsys.readouterr().err.startswith("lpc opt: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("func.func @f() { nonsense }", "nonsense is not registered"),
        (
            MODULE.replace("x: tensor<2x3", "x: tensor<5").replace("(tensor<2x3", "(tensor<5"),
            "reshape",
        ),
        (MODULE.replace("%x :", "%z :"), "%z"),
        ("%0 = graph.constant {} : tensor<2xf32>", "graph.constant needs a dense 'value'"),
    ],
)
def test_wrong_file(
    tmp_path: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.mlir"
    path.write_text(text)
    assert main([str(path)]) == 1
    assert reason in capsys.readouterr().err


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere.mlir")]) == 1
    assert "nowhere.mlir" in capsys.readouterr().err


@pytest.mark.parametrize("name", PASS_NAMES)
def test_every_registered_pass_exists(name: str) -> None:
    assert load_pass(name).name == name


def test_unknown_pass() -> None:
    with pytest.raises(KeyError):
        load_pass("rewriting")
