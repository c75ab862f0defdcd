"""fold-channel-shuffle moves the same elements to the same places."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import shape_of
from nets import Net, codes, operations, outputs, run_passes


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    before=st.sampled_from(((), (1,), (2, 3))),
    parts=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    after=st.sampled_from(((), (5,), (2, 3))),
    data=st.data(),
)
def test_same_elements(
    seed: int,
    before: tuple[int, ...],
    parts: list[int],
    after: tuple[int, ...],
    data: st.DataObject,
) -> None:
    generator = np.random.default_rng(seed)
    first, size = len(before), int(np.prod(parts))
    array = codes(generator, (*before, size, *after), np.uint8)
    net = Net((array.shape, np.uint8))
    inner = data.draw(st.permutations(range(len(parts))))
    permutation = [
        *range(first),
        *(first + p for p in inner),
        *range(first + len(parts), first + len(parts) + len(after)),
    ]
    split = net(graph.ReshapeOp(net.inputs[0], (*before, *parts, *after)))
    moved = net(graph.TransposeOp(split, permutation))
    joined = net(graph.ReshapeOp(moved, (*before, size, *after)))
    cut = int(generator.integers(0, size))
    shape = shape_of(joined)
    results = []
    for low, high in ((0, cut), (cut, size)):
        if high > low:
            starts, limits = [0] * len(shape), list(shape)
            starts[first], limits[first] = low, high
            results.append(net(graph.SliceOp(joined, starts, limits, [1] * len(shape))))
    module = net.module(*results)
    folded = run_passes(module, "fold-channel-shuffle")
    for a, b in zip(outputs(module, array), outputs(folded, array), strict=True):
        assert a.tobytes() == b.tobytes()
    if min(parts) > 1:  # parts of one element could be pieces of any axis
        assert set(operations(folded)) <= {"gather", "reshape"}
