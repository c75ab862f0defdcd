"""unflatten-matmul changes no bit: linear layers between reshapes, with what rides on them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import element_type_of
from nets import Net, codes, operations, outputs, run_passes
from xdsl.ir import SSAValue

SIZES = st.integers(1, 5)


@settings(max_examples=30, deadline=None)
@given(
    leading=st.lists(SIZES, min_size=1, max_size=3),
    inner=SIZES,
    columns=SIZES,
    flattened=st.booleans(),
    per_channel=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_linear_layer(
    leading: list[int], inner: int, columns: int, flattened: bool, per_channel: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    rows = int(np.prod(leading))
    given_shape = (*leading, inner) if flattened else (rows, inner)
    net = Net((given_shape, np.uint8))
    a: SSAValue = net.inputs[0]
    if flattened:
        a = net(graph.ReshapeOp(a, (rows, inner)))
    weight = net.constant(codes(generator, (inner, columns), np.int8))
    sums = net(graph.QMatMulOp(a, weight, None, a_zero_point=128, b_zero_point=[0]))
    multiplier = generator.uniform(0.001, 0.01, columns if per_channel else 1)
    ui8 = element_type_of(np.dtype(np.uint8))
    q = net(graph.RequantizeOp(sums, multiplier.astype(np.float32), 120, ui8, axis=1))
    wide = net(graph.ReshapeOp(q, (*leading, columns)))
    table = generator.permutation(256).astype(np.uint8)
    module = net.module(net(graph.LutOp(wide, table)))
    changed = run_passes(module, "unflatten-matmul", "canonicalize")
    assert operations(changed)[-3:] == ["qmatmul", "requantize", "lut"]
    x = codes(generator, given_shape)
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(changed, x)[0])
