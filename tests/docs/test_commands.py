"""Every console block of the README and the docs that starts with `$ lpc` runs as it is printed.

A command must succeed; where the block shows `error: …` after it, it must fail with that line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lpc.compiler import demo

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```console\n(\$ lpc .*?)^```", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[object]:
    for page in PAGES:
        if page.exists():
            for block in BLOCK.findall(page.read_text()):
                yield pytest.param(block, id=f"{page.name}: {block.splitlines()[0][2:60]}")


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment whose first `lpc` is the one under test, in a folder with the demo's files."""
    launcher = tmp_path / "bin" / "lpc"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lpc.compiler.cli "$@"\n')
    launcher.chmod(0o755)
    for name, source in (("digits.onnx", "digits_int8.onnx"), ("model.onnx", "digits_int8.onnx")):
        with demo.resource(source) as path:
            (tmp_path / name).write_bytes(path.read_bytes())
    environment = {**os.environ, "PATH": f"{launcher.parent}{os.pathsep}{os.environ['PATH']}"}
    result = _run("lpc demo --save .", tmp_path, environment)
    assert result.returncode == 0, result.stderr
    return environment


@pytest.mark.parametrize("block", list(blocks()))
def test_commands_of_a_block(block: str, tmp_path: Path, shell: dict[str, str]) -> None:
    lines = block.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("$ "):
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        result = _run(line[2:], tmp_path, shell)
        if following.startswith("error: "):
            assert result.returncode == 1
            assert following in result.stderr.splitlines()
        else:
            assert result.returncode == 0, f"{line}\n{result.stderr}"


def _run(
    command: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
