"""hoist-quantize changes no bit of any result, not even for infinities and NaN."""

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


def _accumulators(generator: np.random.Generator) -> np.ndarray:
    """What gives reals that are never NaN."""
    x = generator.normal(0, 2000, SHAPE).astype(np.int32)
    x.reshape(-1)[:3] = np.iinfo(np.int32).max, np.iinfo(np.int32).min, 0
    return x


@pytest.mark.parametrize("kind", MOVES)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, zero_point=st.integers(-128, 127), scale=st.floats(2.0**-6, 2.0, width=32))
def test_moves_above_and_keeps_bits(kind: str, seed: int, zero_point: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    if kind == "max_pool":
        net, x = Net((SHAPE, np.int32)), _accumulators(generator)
        source = net.dequantize(net.inputs[0], 0.01)
    else:
        net, x = Net((SHAPE, np.float32)), _reals(generator)
        source = net.inputs[0]
    module = net.module(net.quantize(_move(net, kind, source), scale, zero_point, np.int8))
    hoisted = run_passes(module, "hoist-quantize")
    assert operations(hoisted)[kind == "max_pool"] == "quantize"
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(hoisted, x)[0])


def _clamp(net: Net, kind: str, x: SSAValue, low: float, high: float) -> SSAValue:
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
    net = Net((SHAPE, np.int32))
    clamped = _clamp(net, kind, net.dequantize(net.inputs[0], 0.01), min(bounds), max(bounds))
    module = net.module(net.quantize(clamped, 0.2, zero_point))
    hoisted = run_passes(module, "hoist-quantize")
    assert operations(hoisted) == ["dequantize", "quantize"]
    x = _accumulators(np.random.default_rng(seed))
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(hoisted, x)[0])


@pytest.mark.parametrize("kind", ["relu", "clip", "maximum", "minimum"])
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, bounds=st.tuples(BOUND, BOUND), zero_point=st.integers(0, 255))
def test_clamps_of_floats_become_ranges_where_a_nan_does_not_tell(
    kind: str, seed: int, bounds: tuple[float, float], zero_point: int
) -> None:
    net = Net((SHAPE, np.float32))
    clamped = _clamp(net, kind, net.inputs[0], min(bounds), max(bounds))
    module = net.module(net.quantize(clamped, 0.2, zero_point))
    hoisted = run_passes(module, "hoist-quantize")
    if kind == "relu" and zero_point == 0:
        assert operations(hoisted) == ["quantize"]
    x = _reals(np.random.default_rng(seed))
    x.reshape(-1)[4:7] = np.nan
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(hoisted, x)[0])
