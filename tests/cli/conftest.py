"""The command in process: `invoke(*arguments)`; the demo model as a file of a scratch folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from invoking import Invoke
from lpc.compiler import demo
from lpc.compiler.cli import cli


@pytest.fixture
def invoke() -> Invoke:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    path = tmp_path / "digits.onnx"
    with demo.resource("digits_int8.onnx") as source:
        path.write_bytes(source.read_bytes())
    return path


@pytest.fixture(scope="session")
def digits_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model compiled for this CPU, once."""
    path = tmp_path_factory.mktemp("library") / "digits.so"
    with demo.resource("digits_int8.onnx") as source:
        arguments = ["compile", str(source), "-o", str(path), "--input-shape", "input:1,1,8,8"]
        result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.stderr
    return path
