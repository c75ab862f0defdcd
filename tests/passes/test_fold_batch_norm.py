"""fold-batch-norm computes the same function, up to the rounding of the folded parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of
from nets import Net, operations, outputs, run_passes
from xdsl.ir import SSAValue

SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("conv2d", "depthwise", "nhwc", "conv1d", "matmul")


def _normal(generator: np.random.Generator, *shape: int) -> Array:
    return generator.normal(size=shape).astype(np.float32)


def _contraction(net: Net, kind: str, with_bias: bool, g: np.random.Generator) -> SSAValue:
    """Five output channels on axis 1, or 3 for nhwc."""
    bias = net.constant(_normal(g, 5)) if with_bias else None
    (x,) = net.inputs
    if kind == "matmul":
        return net(graph.MatMulOp(x, net.constant(_normal(g, 5, 5)), bias))
    groups, layout = (5, "nchw") if kind == "depthwise" else (1, "nchw")
    layout = "nhwc" if kind == "nhwc" else layout
    rows = 1 if kind == "conv1d" else 2
    weight = net.constant(_normal(g, 5, 5 // groups, rows, 2))
    y = net(graph.Conv2dOp(x, weight, bias, pads=(0, 1, 0, 0), groups=groups, layout=layout))
    if kind == "conv1d":
        n, c, _, w = shape_of(y)
        y = net(graph.ReshapeOp(y, (n, c, w)))
    return y


def _affine(net: Net, y: SSAValue, step: str, axis: int, g: np.random.Generator) -> SSAValue:
    if step == "batch_norm":
        parameters = [_normal(g, 5) for _ in range(3)] + [g.uniform(0.1, 2, 5).astype(np.float32)]
        return net(graph.BatchNormOp(y, [net.constant(p) for p in parameters], 1e-3))
    shape = [5 if i == axis else 1 for i in range(len(shape_of(y)))]
    values = net.constant(g.uniform(0.5, 2, shape).astype(np.float32))
    op = {"mul": graph.MulOp, "add": graph.AddOp, "sub": graph.SubOp, "div": graph.DivOp}[step]
    return net(op(y, values))


INPUTS = {"matmul": (3, 5), "nhwc": (2, 4, 6, 5), "conv1d": (2, 5, 1, 6)}


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    kind=st.sampled_from(KINDS),
    with_bias=st.booleans(),
    steps=st.lists(
        st.sampled_from(("batch_norm", "mul", "add", "sub", "div")), min_size=1, max_size=4
    ),
)
def test_everything_folds(seed: int, kind: str, with_bias: bool, steps: list[str]) -> None:
    generator = np.random.default_rng(seed)
    shape = INPUTS.get(kind, (2, 5, 4, 6))
    axis = 3 if kind == "nhwc" else 1
    net = Net((shape, np.float32))
    value = _contraction(net, kind, with_bias, generator)
    for step in steps:
        step = "mul" if kind == "nhwc" and step == "batch_norm" else step
        value = _affine(net, value, step, axis, generator)
    module = net.module(value)
    folded = run_passes(module, "fold-batch-norm")
    assert set(operations(folded)) <= {"conv2d", "matmul", "reshape"}
    x = _normal(generator, *shape)
    before, after = outputs(module, x)[0], outputs(folded, x)[0]
    # Terms may cancel in the sum, so the error is relative to the largest of them.
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5 * np.abs(before).max() + 1e-4)


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_batch_norm_of_its_own(rank: int) -> None:
    generator = np.random.default_rng(rank)
    shape = (2, 5, 3, 4)[:rank]
    net = Net((shape, np.float32))
    module = net.module(_affine(net, net.inputs[0], "batch_norm", 1, generator))
    split = run_passes(module, "fold-batch-norm")
    assert operations(split) == ["mul", "add"]
    x = _normal(generator, *shape)
    np.testing.assert_allclose(outputs(split, x)[0], outputs(module, x)[0], rtol=1e-5, atol=1e-5)
