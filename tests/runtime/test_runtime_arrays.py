"""What numpy arrays a model takes: any memory order, any alignment; no other dtype or shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lpc.runtime as lpr
import numpy as np
import pytest
from tiny_models import BIAS, LENGTH, expected, x

ODD: dict[str, Callable[[np.ndarray], Any]] = {
    "every second element": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[:, ::-1].copy()[:, ::-1],
    "column-major": lambda a: np.asfortranarray(np.repeat(a, 3, axis=0))[1:2],
    "one element for all": lambda a: np.broadcast_to(a[:, :1], a.shape),
    "between bytes": lambda a: displaced(a),
    "read-only": lambda a: np.frombuffer(a.tobytes(), np.int32).reshape(a.shape),
    "nested lists": lambda a: a.tolist(),
}


def displaced(array: np.ndarray) -> np.ndarray:
    """At an odd address."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    result = memory[1:].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


@pytest.mark.parametrize("kind", ODD)
def test_odd_arrays_are_copied(library: Path, kind: str) -> None:
    model = lpr.load(library, num_threads=1, target="sse42")
    given = ODD[kind](x())
    if kind == "nested lists":  # of Python's integers
        with pytest.raises(lpr.LpcRuntimeError, match=r"expected int32 \[1, 148\], got int64"):
            model.run({"x": given})
        return
    wanted = expected(np.asarray(given), BIAS["sse42"])
    np.testing.assert_array_equal(model.run({"x": given})["y"], wanted)


REFUSED: dict[str, Any] = {
    "float64 [1, 148]": np.zeros((1, LENGTH)),
    "uint32 [1, 148]": np.zeros((1, LENGTH), np.uint32),
    ">i4 [1, 148]": np.zeros((1, LENGTH), ">i4"),
    "object [1, 148]": np.zeros((1, LENGTH), object),
    "int32 [148, 1]": np.zeros((LENGTH, 1), np.int32),
    "int32 [1, 1, 148]": np.zeros((1, 1, LENGTH), np.int32),
    "int32 [0, 148]": np.zeros((0, LENGTH), np.int32),
    "int32 []": np.int32(3),
    "object []": None,
    "<U5 []": "image",
    "nothing that is an array": [[1, 2], [3]],
}


@pytest.mark.parametrize("got", REFUSED)
def test_other_arrays_are_refused(library: Path, got: str) -> None:
    with pytest.raises(lpr.LpcRuntimeError) as caught:
        lpr.load(library, target="sse42").run({"x": REFUSED[got]})
    assert str(caught.value) == f"{library}: input 'x': expected int32 [1, 148], got {got}"


def test_outputs_are_written_in_place_or_refused(library: Path) -> None:
    model = lpr.load(library, num_threads=1, target="sse42")
    for kind in ("every second element", "backwards", "between bytes", "read-only"):
        with pytest.raises(lpr.LpcRuntimeError, match="needs a writable contiguous array"):
            model.run({"x": x()}, {"y": ODD[kind](x())})
    with pytest.raises(lpr.LpcRuntimeError, match=r"expected int32 \[1, 148\], got float32"):
        model.run({"x": x()}, {"y": np.zeros((1, LENGTH), np.float32)})


def test_a_bad_thread_count_is_an_error(library: Path) -> None:
    model = lpr.load(library, target="sse42")
    model.num_threads = 0
    with pytest.raises(lpr.LpcRuntimeError, match="the thread count is less than one"):
        model.run({"x": x()})
