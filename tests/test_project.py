"""The project's own description: every package is installed, and lpc.runtime stands alone."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed() -> None:
    found = {
        ".".join(("lpc", *file.parent.relative_to(ROOT).parts))
        for folder in ("compiler", "runtime")
        for file in (ROOT / folder).rglob("*.py")
    }
    assert set(SETUP["tool"]["setuptools"]["packages"]) == found


def test_every_data_file_is_listed() -> None:
    listed = SETUP["tool"]["setuptools"]["package-data"]
    data = {
        f
        for folder in ("compiler", "runtime")
        for f in (ROOT / folder).rglob("*")
        if f.is_file() and f.suffix not in (".py", ".pyc")
    }
    matched = {
        f
        for package, patterns in listed.items()
        for pattern in patterns
        for f in (ROOT / Path(*package.split(".")[1:])).glob(pattern)
    }
    assert data == matched


def test_runtime_needs_only_numpy() -> None:
    code = (
        "import sys; import lpc.runtime; known = {m.partition('.')[0] for m in sys.modules}; "
        "assert not known & {'xdsl', 'onnx', 'llvmlite', 'click'}, known; "
        "assert 'lpc.compiler' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_runtime_starts_without_costly_modules() -> None:
    """Whoever runs a model waits for what is imported at the top of these files: not for numpy,
    which only arrays need, nor for pathlib, dataclasses, csv and threading (12 ms on Zen 3)."""
    frugal = {"__future__", "collections.abc", "collections", "contextlib", "ctypes", "io", "json"}
    frugal |= {"math", "mmap", "os", "struct", "typing"}
    for file in (ROOT / "runtime").glob("*.py"):
        if file.name == "arrays.py":
            continue
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, ast.Import):
                assert {alias.name for alias in statement.names} <= frugal, file
            elif isinstance(statement, ast.ImportFrom) and not statement.level:
                assert statement.module in frugal, file
