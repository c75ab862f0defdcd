"""quantize-weights computes at compile time what the interpreter computes at run time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, codes, operations, outputs, run_passes, si8, ui8


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    per_channel=st.booleans(),
    unsigned=st.booleans(),
    requantized=st.booleans(),
)
def test_same_codes(seed: int, per_channel: bool, unsigned: bool, requantized: bool) -> None:
    generator = np.random.default_rng(seed)
    count = 3 if per_channel else 1
    scale = generator.uniform(0.01, 1, count).astype(np.float32)
    zero_point = generator.integers(0, 100, count)
    net = Net()
    if requantized:
        x = net.weights(codes(generator, (4, 3), np.int8), 0.37, axis=1)
    else:
        x = net.constant(generator.normal(scale=20, size=(4, 3)).astype(np.float32))
    quantize = graph.QuantizeOp(x, scale, zero_point, ui8 if unsigned else si8, axis=1, qmin=1)
    module = net.module(net.dequantize(net(quantize), scale, zero_point, axis=1))
    folded = run_passes(module, "quantize-weights")
    assert operations(folded) == ["dequantize"]
    assert outputs(module)[0].tobytes() == outputs(folded)[0].tobytes()
