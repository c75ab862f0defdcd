"""One inference of whole networks on an emulated CPU: equal to the interpreter bit for bit, and
most of what is executed are multiply-adds on vectors. Part of `make test-emulated`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import lpc.compiler as lpcc
import lpc.runtime as lpr
import numpy as np
import pytest
from emulation import emulator, only_target
from hostile import run
from lpc.compiler.codegen.targets import Target, by_name
from lpc.compiler.compilation import graph_at
from lpc.compiler.interpreters.graph import run_graph
from watched import share_of_dots, share_of_vectors

from benchmarks import zoo
from benchmarks.builder import calibration_inputs
from benchmarks.networks import NETWORKS

pytestmark = pytest.mark.skipif(only_target() is None, reason="part of make test-emulated")


#: Share of multiply-adds on vectors among all instructions: where a four-way dot product reads a
#: broadcast from memory, where it does not, and without one.
LEAST_DOTS = {"resnet50": (0.45, 0.4, 0.25), "mobilenet_v2": (0.3, 0.3, 0.15)}


def least_shares(name: str, target: Target) -> tuple[float, float]:
    """Of multiply-adds, and of instructions on vectors."""
    broadcasting, plain, none = LEAST_DOTS[name]
    if target.tile_dot4:
        return 0.0, 0.6  # tile registers, a thousand multiply-adds at a time
    if target.dot4 is None:
        return none, 0.7
    return (broadcasting if target.masks else plain), 0.7


@pytest.mark.parametrize("name", LEAST_DOTS)
def test_network(name: str, tmp_path: Path) -> None:
    emulator()
    target, model = str(only_target()), zoo.model_path(name, "int8")
    (x,) = calibration_inputs(1, NETWORKS[name].shape, seed=5)
    expected = run_graph(graph_at("int8", model), [x[None]])
    library = tmp_path / "network.so"
    lpcc.compile(model, library, target=target)
    executed: Counter[str] = Counter()
    actual = run(lpr.load(library, 1, target, emulator().call), [x[None]], opcodes=executed)
    np.testing.assert_array_equal(actual[0], expected[0], strict=True)
    dots, vectors = least_shares(name, by_name(target))
    assert share_of_vectors(executed) > vectors
    assert share_of_dots(executed) > dots
