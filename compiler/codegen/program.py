"""What the code generator hands to the library writer: compiled kernels and their order.

A model is compiled once per target (instruction set).  Each `TargetProgram` holds the object code
of all kernels of that target, one read-only weight blob, and the list of `Step`s that make one
inference.  `library.write_library` links any number of programs of the same model into one shared
library; `jit.JitLibrary` loads one of them into the running process.

Every kernel has the C signature

    void symbol(void *const *buffers, int64_t begin, int64_t end)

`buffers[i]` is the resolved address of `arguments[i]`; the kernel computes the units
`begin <= unit < end` of its step.  Units are independent of each other.  A run executes the steps
in order and cuts each one statically into contiguous unit ranges, one per thread, over
`min(threads, max_threads, units)` threads; so results cannot depend on the number of threads.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

ReadableBytes = bytes | bytearray | memoryview | npt.NDArray[Any]


def as_array(blob: ReadableBytes) -> npt.NDArray[np.uint8]:
    """The bytes of a contiguous blob, not copied."""
    return np.frombuffer(blob, np.uint8) if len(blob) else np.zeros(0, np.uint8)


ArgumentKind = Literal["input", "output", "workspace", "weights"]


@dataclass(frozen=True)
class Argument:
    """The address `base + offset`; the base is 64-byte aligned for workspace and weights only.

    `index` numbers the model's inputs or outputs and is 0 for workspace and weights.  Model inputs
    and outputs belong to the caller and have the alignment of their elements, no more.
    """

    kind: ArgumentKind
    index: int
    offset: int


@dataclass(frozen=True)
class Step:
    """One kernel call of an inference, and the row of the counters table it is accounted to.

    `layer` and `layer_type` name a layer of the source model; several steps may share a layer.
    """

    symbol: str
    units: int
    max_threads: int
    arguments: tuple[Argument, ...]
    layer: str
    layer_type: str
    exec_type: str


@dataclass(frozen=True)
class TargetProgram:
    """All that one target needs; `workspace_size` and every offset are in bytes.

    The last `slack` bytes of `weights` belong to no constant: vectors that are read from the end of
    one may reach there.

    `objects` are x86-64 ELF relocatable objects in position-independent code that together define
    all `Step.symbol`s.  Global symbols must be unique among the targets of one library (kernel
    names end in the name of their instruction set); helpers should have internal linkage.
    """

    target: str
    steps: tuple[Step, ...]
    workspace_size: int
    weights: ReadableBytes
    objects: tuple[bytes, ...]
    slack: int = 0


@dataclass(frozen=True)
class TensorInfo:
    """A model input or output: numpy dtype name and static shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LibraryInfo:
    """What is the same for all targets; `layers` are (name, type) in execution (source) order."""

    model_name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[tuple[str, str], ...]
