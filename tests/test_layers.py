"""Data flows one way: frontends → passes → code generation; nothing below knows what is above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

COMPILER = Path(__file__).resolve().parents[1] / "compiler"
#: Folder → what it must not import.
FORBIDDEN = {
    "dialects": ("passes", "codegen", "frontends", "interpreters", "contractions", "driver"),
    "search": ("passes", "codegen.kernels", "codegen.lower", "contractions", "frontends", "driver"),
    "contractions": ("passes", "codegen.kernels", "codegen.builder", "frontends", "driver"),
    "interpreters": ("passes", "codegen.kernels", "codegen.builder", "frontends", "driver"),
    "frontends": ("codegen", "driver"),
    "passes": (
        *("codegen.builder", "codegen.emitter", "codegen.generate", "codegen.kernels"),
        *("codegen.lower", "codegen.machine", "frontends", "driver"),
    ),
    "codegen": ("frontends", "driver", "cli", *(f"passes.{name}" for name in ("fuse_epilogue",
        "assign_layouts", "plan_memory", "pack_weights", "prove_accumulation"))),
}  # fmt: skip


def imports_of(file: Path) -> Iterator[str]:
    """Absolute names, from `lpc.compiler` on, of what a file imports from the package."""
    package = file.relative_to(COMPILER).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            stem = ".".join(filter(None, base))
            yield stem
            yield from (f"{stem}.{alias.name}".lstrip(".") for alias in node.names)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_one_way(folder: str) -> None:
    for file in sorted((COMPILER / folder).rglob("*.py")):
        for name in imports_of(file):
            for forbidden in FORBIDDEN[folder]:
                wrong = name == forbidden or name.startswith(f"{forbidden}.")
                assert not wrong, f"{file.relative_to(COMPILER)} imports {name}"
