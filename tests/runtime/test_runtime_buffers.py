"""Runs from buffer to buffer: any object with memory of its own, and no numpy."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any

import lpc.runtime as lpr
import numpy as np
import pytest
from tiny_models import BIAS, LENGTH, expected, x

BYTES = 4 * LENGTH


def mapped(data: bytes) -> mmap:
    memory = mmap(-1, len(data))
    memory[:] = data
    return memory


INPUTS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "array": lambda data: array("i", data),
    "mmap": mapped,
    "part of a memoryview": lambda data: memoryview(bytes(8) + data)[8:],
    "numpy array": lambda data: np.frombuffer(data, np.int32).reshape(1, LENGTH),
}
OUTPUTS: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(BYTES),
    "array": lambda: array("i", bytes(BYTES)),
    "mmap": lambda: mmap(-1, BYTES),
    "part of a memoryview": lambda: memoryview(bytearray(BYTES + 8))[4:-4],
    "numpy array": lambda: np.zeros((1, LENGTH), np.int32),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("given", INPUTS)
def test_buffers_of_any_kind(library: Path, given: str, output: str) -> None:
    model = lpr.load(library, num_threads=1, target="sse42")
    result = OUTPUTS[output]()
    model.run_buffers({"x": INPUTS[given](x().tobytes())}, {"y": result})
    actual = np.frombuffer(bytes(memoryview(result)), np.int32).reshape(1, LENGTH)
    np.testing.assert_array_equal(actual, expected(x(), BIAS["sse42"]))


def test_buffers_are_let_go(library: Path) -> None:
    model, result = lpr.load(library, num_threads=1, target="sse42"), bytearray(BYTES)
    model.run_buffers({"x": x().tobytes()}, {"y": result})
    result.append(1)  # which Python refuses while somebody holds the buffer
    with pytest.raises(lpr.LpcRuntimeError):
        model.run_buffers({"x": x().tobytes()}, {"y": result})
    result.append(2)


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "a short input": (bytes(BYTES - 4), bytearray(BYTES), f"input 'x': expected {BYTES} bytes"),
    "a long output": (bytes(BYTES), bytearray(BYTES + 4), f"output 'y': expected {BYTES} bytes"),
    "a number": (3, bytearray(BYTES), "input 'x': a bytes-like object is required"),
    "a list": ([1] * LENGTH, bytearray(BYTES), "input 'x': a bytes-like object is required"),
    "a read-only output": (bytes(BYTES), bytes(BYTES), "output 'y': "),
    "every second byte": (memoryview(bytes(2 * BYTES))[::2], bytearray(BYTES), "input 'x': "),
    "an odd address": (
        memoryview(bytes(BYTES + 1))[1:], bytearray(BYTES),
        "input 'x': not aligned to elements of 4 bytes; copy it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_other_objects_are_refused(library: Path, what: str) -> None:
    given, output, message = REFUSED[what]
    with pytest.raises(lpr.LpcRuntimeError) as caught:
        lpr.load(library).run_buffers({"x": given}, {"y": output})
    assert str(caught.value).startswith(f"{library}: {message}")


@pytest.mark.parametrize("names", [({}, {"y": 0}), ({"x": 0}, {}), ({"x": 0}, {"z": 0})])
def test_all_buffers_are_named(library: Path, names: tuple[dict[str, int], dict[str, int]]) -> None:
    with pytest.raises(lpr.LpcRuntimeError, match=r"(missing|unknown) (in|out)put '[xyz]'"):
        lpr.load(library).run_buffers(*names)


def test_numpy_is_not_imported(library: Path) -> None:
    code = (
        "import sys, lpc.runtime as lpr; model = lpr.load(sys.argv[1], target='sse42'); "
        "given, result = (bytearray(s.nbytes) for s in (model.inputs[0], model.outputs[0])); "
        "model.run_buffers({'x': given}, {'y': result}); "
        "assert 'numpy' not in sys.modules; print(result.hex())"
    )
    command = [sys.executable, "-c", code, str(library)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wanted = expected(np.zeros((1, LENGTH), np.int32), BIAS["sse42"])
    assert bytes.fromhex(found) == wanted.tobytes()
