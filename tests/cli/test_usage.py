"""Help, usage errors, start-up: what needs no model."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import Result
from invoking import Invoke
from lpc.compiler import cli as cli_package
from lpc.compiler.codegen.targets import TARGETS

OWN_COMMANDS = [name for name in cli_package.COMMANDS if name != "opt"]


def test_help_lists_every_command(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.stdout for name in cli_package.COMMANDS)
    assert "Examples:" in result.stdout


@pytest.mark.parametrize("name", OWN_COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself_with_an_example(
    invoke: Invoke, name: str, option: str
) -> None:
    result = invoke(name, option)
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"\n    lpc {name}" in result.stdout


def test_opt_has_the_help_of_xdsl() -> None:
    result = _python("-m", "lpc.compiler.cli", "opt", "--help")
    assert result.returncode == 0
    assert "--passes" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["compile"],
        ["compile", "model.onnx", "--frobnicate"],
        ["compile", "model.onnx", "--input-shape", "input=1,2"],
        ["compile", "model.onnx", "--input-shape", "input:1,x"],
        ["compile", "model.onnx", "--input-shape", "input:0"],
        ["compile", "model.onnx", "--stop-after", "moon"],
        ["compile", "model.onnx", "--stop-after", "obj"],
        ["benchmark", "model.onnx", "-niter", "0"],
        ["benchmark", "model.onnx", "-nireq", "2"],
        ["run", "model.onnx", "--threads", "0"],
    ],
)
def test_wrong_usage_exits_with_2(invoke: Invoke, arguments: list[str]) -> None:
    result: Result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: ")


def test_targets_lists_every_row(invoke: Invoke) -> None:
    result = invoke("targets")
    assert result.exit_code == 0
    assert all(target.name in result.stdout for target in TARGETS)
    assert "native = " in result.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lpc.compiler.cli import cli; cli(['--help'], standalone_mode=False); "
        "print([name for name in ('numpy', 'xdsl', 'onnx', 'llvmlite', 'rich') "
        "if name in sys.modules])"
    )
    assert _python("-c", code).stdout.splitlines()[-1] == "[]"


def test_debug_shows_where_an_error_comes_from() -> None:
    result = _python("-m", "lpc.compiler.cli", "compile", "nowhere.onnx", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "nowhere.onnx: no such file" in result.stderr


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
