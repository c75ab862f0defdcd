"""innermost-channels changes no bit, and after it all channels with constants are innermost."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of
from lpc.compiler.driver import TO_FUSED
from lpc.compiler.passes.innermost_channels import channel_axis_of
from nets import Net, outputs, run_passes, ui8
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue


def channels_are_innermost(module: ModuleOp) -> bool:
    axes = {op: channel_axis_of(op) for op in module.walk()}
    return all(a is None or a == len(shape_of(op.operands[0])) - 1 for op, a in axes.items())


def random_grid(g: np.random.Generator, x: SSAValue) -> tuple[Array, Array, int]:
    axis = int(g.integers(len(shape_of(x))))
    scales, zero_points = (int(g.choice([1, shape_of(x)[axis]])) for _ in range(2))
    scale = g.uniform(0.01, 0.2, scales).astype(np.float32)
    return scale, g.integers(0, 256, zero_points).astype(np.int32), axis


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_codes_along_any_axis(seed: int) -> None:
    g = np.random.default_rng(seed)
    shape = tuple(int(d) for d in g.integers(1, 5, int(g.integers(1, 6))))
    net = Net((shape, np.float32))
    value: SSAValue = net.inputs[0]
    for _ in range(2):
        scale, zero_point, axis = random_grid(g, value)
        value = net(graph.QuantizeOp(value, scale, zero_point, ui8, axis))
        scale, zero_point, axis = random_grid(g, value)
        value = net.dequantize(value, scale, zero_point, axis)
    module = net.module(value)
    x = g.uniform(-9, 9, shape).astype(np.float32)
    (expected,) = outputs(module, x)
    for names in (("innermost-channels", "canonicalize"), TO_FUSED):
        after = run_passes(module, *names)
        assert channels_are_innermost(after)
        assert np.array_equal(outputs(after, x)[0], expected)
