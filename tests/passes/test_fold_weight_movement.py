"""fold-weight-movement moves codes and their parameters' axis together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, codes, operations, outputs, run_passes


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    axis=st.integers(0, 2),
    per_channel=st.booleans(),
    permutation=st.permutations(range(3)),
    shape=st.sampled_from(((2, 3, 4), (2, 12), (6, 4), (24,), (1, 2, 3, 1, 4), (4, 3, 2))),
)
def test_same_weights(
    seed: int, axis: int, per_channel: bool, permutation: list[int], shape: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(seed)
    count = (2, 3, 4)[axis] if per_channel else 1
    net = Net()
    weights = net.weights(
        codes(generator, (2, 3, 4), np.int8),
        generator.uniform(0.1, 1, count).astype(np.float32),
        generator.integers(-3, 4, count),
        axis,
    )
    moved = net(graph.TransposeOp(weights, permutation))
    module = net.module(net(graph.ReshapeOp(moved, shape)))
    folded = run_passes(module, "fold-weight-movement")
    assert outputs(module)[0].tobytes() == outputs(folded)[0].tobytes()
    assert "transpose" not in operations(folded)
    assert per_channel or operations(folded) == ["dequantize"]
