"""lpc.runtime: load compiled libraries, run and profile them. Needs numpy, and nothing else; to run
from buffer to buffer (`Model.run_buffers`), not even that.

>>> import lpc.runtime as lpr
>>> model = lpr.load("model.so", num_threads=1)
>>> outputs = model.run({"input": x})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .counters import LayerCounter, counters_csv
from .cpu import available_threads
from .errors import LpcRuntimeError
from .library import load
from .model import Model
from .tensors import TensorSpec

if TYPE_CHECKING:  # what a program imports, it waits for
    from pathlib import Path

__all__ = [
    "LayerCounter",
    "LpcRuntimeError",
    "Model",
    "TensorSpec",
    "available_threads",
    "counters_csv",
    "include_dir",
    "load",
]


def include_dir() -> Path:
    """The folder that holds lpc.h."""
    from pathlib import Path

    return Path(__file__).parent
