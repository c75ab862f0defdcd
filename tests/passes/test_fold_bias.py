"""fold-bias adds the same numbers; small integers as values make sums exact in any order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, operations, outputs, run_passes


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    conv=st.booleans(),
    dequantized=st.booleans(),
    scalar=st.booleans(),
    swapped=st.booleans(),
)
def test_same_sums(seed: int, conv: bool, dequantized: bool, scalar: bool, swapped: bool) -> None:
    generator = np.random.default_rng(seed)

    def integers(*shape: int) -> np.ndarray:
        return generator.integers(-8, 9, shape).astype(np.float32)

    shape = (1, 3, 4, 4) if conv else (2, 3)
    net = Net((shape, np.float32))
    (x,) = net.inputs
    if conv:
        y = net(graph.Conv2dOp(x, net.constant(integers(5, 3, 2, 2))))
    else:
        y = net(graph.MatMulOp(x, net.constant(integers(3, 5))))
    wanted = () if scalar else (5, 1, 1) if conv else (5,)
    values = generator.integers(-100, 100, wanted).astype(np.int32)
    scale = np.float32(0.5) if scalar else (2.0 ** generator.integers(-3, 3, 5)).astype(np.float32)
    bias = (
        net.dequantize(net.constant(values), scale, axis=0)
        if dequantized
        else net.constant(values.astype(np.float32))
    )
    module = net.module(net(graph.AddOp(bias, y) if swapped else graph.AddOp(y, bias)))
    folded = run_passes(module, "fold-bias")
    contraction = "conv2d" if conv else "matmul"
    assert operations(folded) == (["dequantize"] if dequantized else []) + [contraction]
    x_value = integers(*shape)
    np.testing.assert_array_equal(outputs(module, x_value)[0], outputs(folded, x_value)[0])
