"""hoist-quantize changes no bit of any result, not even for infinities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, operations, outputs, run_passes
from test_sink_dequantize import MOVES, SHAPE, _move
from xdsl.ir import SSAValue

SEEDS = st.integers(0, 2**32 - 1)


def _reals(generator: np.random.Generator) -> np.ndarray:
    x = generator.normal(0, 20, SHAPE).astype(np.float32)
    x.reshape(-1)[:4] = np.inf, -np.inf, 0.0, -0.0
    return x


@pytest.mark.parametrize("kind", MOVES)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, zero_point=st.integers(-128, 127), scale=st.floats(2.0**-6, 2.0, width=32))
def test_moves_above_and_keeps_bits(kind: str, seed: int, zero_point: int, scale: float) -> None:
    net = Net((SHAPE, np.float32))
    moved = _move(net, kind, net.inputs[0])
    module = net.module(net.quantize(moved, scale, zero_point, np.int8))
    hoisted = run_passes(module, "hoist-quantize")
    assert operations(hoisted)[0] == "quantize"
    x = _reals(np.random.default_rng(seed))
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(hoisted, x)[0])


def _clamp(net: Net, kind: str, low: float, high: float) -> SSAValue:
    x = net.inputs[0]
    match kind:
        case "relu":
            return net(graph.UnaryOp("relu", x))
        case "clip":
            return net(graph.UnaryOp("clip", x, low, high))
        case "maximum":
            return net(graph.MaximumOp(net.constant(np.array([low], np.float32)), x))
        case _:
            return net(graph.MinimumOp(x, net.constant(np.array([high], np.float32))))


BOUND = st.floats(-30, 30, width=32)


@pytest.mark.parametrize("kind", ["relu", "clip", "maximum", "minimum"])
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, bounds=st.tuples(BOUND, BOUND), zero_point=st.integers(0, 255))
def test_clamps_become_ranges(
    kind: str, seed: int, bounds: tuple[float, float], zero_point: int
) -> None:
    net = Net((SHAPE, np.float32))
    clamped = _clamp(net, kind, min(bounds), max(bounds))
    module = net.module(net.quantize(clamped, 0.2, zero_point))
    hoisted = run_passes(module, "hoist-quantize")
    assert operations(hoisted) == ["quantize"]
    x = _reals(np.random.default_rng(seed))
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(hoisted, x)[0])
