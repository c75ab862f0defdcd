"""fuse-requantize moves at most values on the edge between two codes, and those by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, operations, outputs, run_passes, si8

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    per_channel=st.booleans(),
    zero_point=st.integers(-128, 127),
    qmin=st.integers(-128, 0),
)
def test_off_by_one_at_most_on_the_edge(
    seed: int, per_channel: bool, zero_point: int, qmin: int
) -> None:
    generator = np.random.default_rng(seed)
    shape, channels = (4, 8, 500), 8 if per_channel else 1
    net = Net((shape, np.int32))
    scale = generator.uniform(1e-5, 1e-3, channels).astype(np.float32)
    real = net.dequantize(net.inputs[0], scale)
    module = net.module(net(graph.QuantizeOp(real, 0.05, zero_point, si8, qmin=qmin)))
    fused = run_passes(module, "fuse-requantize")
    assert operations(fused) == ["requantize"]
    x = generator.integers(-(2**16), 2**16, shape).astype(np.int32)
    before, after = outputs(module, x)[0].astype(int), outputs(fused, x)[0].astype(int)
    assert np.abs(before - after).max() <= 1
    assert np.mean(before != after) <= 1e-3


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, per_channel=st.booleans(), zero_point=st.integers(-128, 127))
def test_float_bias_is_off_by_one_at_most_on_the_edge(
    seed: int, per_channel: bool, zero_point: int
) -> None:
    generator = np.random.default_rng(seed)
    shape, channels = (4, 8, 500), 8 if per_channel else 1
    net = Net((shape, np.int32))
    scale = generator.uniform(1e-5, 1e-3, channels).astype(np.float32)
    bias = net.constant(generator.normal(0, 2, (1, channels, 1)).astype(np.float32))
    total = net(graph.AddOp(net.dequantize(net.inputs[0], scale), bias))
    step = float(generator.uniform(0.01, 0.1))
    module = net.module(net(graph.QuantizeOp(total, step, zero_point, si8)))
    fused = run_passes(module, "fuse-requantize")
    assert operations(fused) == ["dequantize", "add", "quantize"]
    x = generator.integers(-(2**13), 2**13, shape).astype(np.int32)
    before, after = outputs(module, x)[0].astype(int), outputs(fused, x)[0].astype(int)
    assert np.abs(before - after).max() <= 1
    assert np.mean(before != after) <= 1e-3


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, exponent=st.integers(-12, 0))
def test_exact_when_scales_are_powers_of_two(seed: int, exponent: int) -> None:
    generator = np.random.default_rng(seed)
    net = Net(((4, 100), np.int32))
    real = net.dequantize(net.inputs[0], 2.0**exponent)
    module = net.module(net.quantize(real, 0.25, 3))
    x = generator.integers(-(2**20), 2**20, (4, 100)).astype(np.int32)
    fused = run_passes(module, "fuse-requantize")
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(fused, x)[0])
