"""One library for all tests here: it holds a program for each target."""

from __future__ import annotations

from pathlib import Path

import pytest
from lpc.compiler.codegen.host import runs_here
from lpc.compiler.codegen.library import write_library
from lpc.compiler.codegen.targets import TARGETS
from tiny_models import BIAS, INFO, program


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fat") / "fat.so"
    write_library(path, [program(name, bias) for name, bias in reversed(BIAS.items())], INFO)
    return path


@pytest.fixture(scope="session")
def best() -> str:
    """The newest target of this CPU."""
    return [target.name for target in TARGETS if runs_here(target)][-1]


@pytest.fixture(autouse=True)
def _no_target_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LPC_TARGET", raising=False)
