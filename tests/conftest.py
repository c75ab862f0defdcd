"""Settings and fixtures of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulation import only_target
from hypothesis import settings
from lpc.compiler import parallel
from lpc.compiler.codegen import kernel_code
from watched import RECORD

# The same examples in every run: a change is tested, not luck. LPC_TEST_RANDOM=1 looks for others.
settings.register_profile("lpc", derandomize=not os.environ.get("LPC_TEST_RANDOM"), deadline=None)
settings.load_profile("lpc")


@pytest.fixture(scope="session", autouse=True)
def in_one_process() -> Iterator[None]:
    """Compilations stay in the test's process: other tests keep the other cores busy; and kernels
    are verified."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "idle_cores", lambda: 0)
        # The same IR is verified where all targets are tested.
        patch.setattr(kernel_code, "VERIFIES", only_target() is None)
        yield


@pytest.fixture
def only_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two helpers do all there is to do: nothing is left for the test's process."""
    take_all = parallel.Parallel._take_all
    monkeypatch.setattr(parallel, "idle_cores", lambda: 2)
    monkeypatch.setattr(parallel.Parallel, "_here", None)
    monkeypatch.setattr(
        parallel.Parallel, "_take_all", lambda self, there: there and take_all(self, there)
    )


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of real models: LPC_MODELS, or `shared/models` beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "models"
    folder = Path(os.environ.get("LPC_MODELS", beside))
    if not folder.is_dir():
        pytest.skip("no real models: neither LPC_MODELS nor ../shared/models exists")
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run, one for all processes of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def pytest_sessionfinish() -> None:
    """Also in each process of pytest-xdist."""
    RECORD.write()
