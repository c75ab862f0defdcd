"""Every console block of the README and the docs that starts with `$ lpc` runs as it is printed.

The blocks of a page run in order, in one folder that holds the bundled model as `digits.onnx`. A
command must succeed; where the block shows `error: …` after it, it must fail with that line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lpc.compiler import demo

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```console\n(\$ lpc .*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = {
    page: found
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.exists() and (found := BLOCK.findall(page.read_text()))
}


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment whose first `lpc` is the one under test."""
    launcher = tmp_path / "bin" / "lpc"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lpc.compiler.cli "$@"\n')
    launcher.chmod(0o755)
    return {**os.environ, "PATH": f"{launcher.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("page", BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page(page: Path, tmp_path: Path, shell: dict[str, str]) -> None:
    with demo.resource("digits_int8.onnx") as model:
        (tmp_path / "digits.onnx").write_bytes(model.read_bytes())
    for block in BLOCKS[page]:
        lines = block.splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if line.startswith("$ "):
                _check(line[2:], following, tmp_path, shell)


def _check(command: str, following: str, folder: Path, environment: dict[str, str]) -> None:
    result = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if following.startswith("error: "):
        assert result.returncode == 1, command
        assert following in result.stderr.splitlines()
    else:
        assert result.returncode == 0, f"{command}\n{result.stderr}"
