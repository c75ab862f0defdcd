"""Every `$ lpc …` line in a console block of the README and the docs runs as it is printed.

The commands of a page run in order, in one folder that holds the bundled model as `digits.onnx`. A
command must succeed; where the block shows `error: …` after it, it must fail with that line.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from lpc.compiler import demo
from lpc.compiler.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ lpc (.+)\n(error: .*)?", re.MULTILINE)


def commands(page: Path) -> list[tuple[str, str]]:
    """(arguments, expected error) of every command on the page."""
    text = page.read_text() if page.exists() else ""
    return [found for block in BLOCK.findall(text) for found in COMMAND.findall(block)]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.name
)
def test_commands_of_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with demo.resource("digits_int8.onnx") as model:
        (tmp_path / "digits.onnx").write_bytes(model.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LPC_TUNE_CACHE", str(tmp_path / "tune.json"))
    for arguments, error in commands(page):
        result = CliRunner().invoke(cli, shlex.split(arguments), prog_name="lpc")
        assert result.exit_code == (1 if error else 0), f"lpc {arguments}\n{result.stderr}"
        assert not error or error in result.stderr.splitlines()
