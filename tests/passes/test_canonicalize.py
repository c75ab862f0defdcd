"""canonicalize changes no value, only the ops that compute it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import shape_of
from nets import Net, operations, outputs, run_passes
from xdsl.ir import SSAValue

SEEDS = st.integers(0, 2**32 - 1)


def _reshaped(net: Net, x: SSAValue, generator: np.random.Generator) -> SSAValue:
    shape = [int(d) for d in shape_of(x) if d != 1]
    for _ in range(generator.integers(0, 3)):
        shape.insert(generator.integers(0, len(shape) + 1), 1)
    return net(graph.ReshapeOp(x, shape))


def _transposed(net: Net, x: SSAValue, generator: np.random.Generator) -> SSAValue:
    return net(graph.TransposeOp(x, [int(p) for p in generator.permutation(len(shape_of(x)))]))


def _clamped(net: Net, x: SSAValue, generator: np.random.Generator) -> SSAValue:
    low, high = sorted(generator.choice([-2.0, -0.5, 0.0, 0.25, 1.0, 6.0], 2, replace=False))
    if generator.random() < 0.4:
        return net(graph.UnaryOp("relu", x))
    return net(graph.UnaryOp("clip", x, float(low), float(high)))


def _neutral(net: Net, x: SSAValue, generator: np.random.Generator) -> SSAValue:
    op, value = [(graph.AddOp, 0), (graph.SubOp, 0), (graph.MulOp, 1), (graph.DivOp, 1)][
        generator.integers(0, 4)
    ]
    return net(op(x, net.constant(np.array(value, np.float32))))


def _broadcast(net: Net, x: SSAValue, generator: np.random.Generator) -> SSAValue:
    row = net.constant(generator.normal(size=shape_of(x)[-1:]).astype(np.float32))
    return net(graph.MulOp(x, net(graph.BroadcastOp(row, shape_of(x)))))


def _twice(net: Net, x: SSAValue, generator: np.random.Generator) -> SSAValue:
    left, right = (net(graph.UnaryOp("sigmoid", x)) for _ in range(2))
    return net(graph.SubOp(left, net(graph.MulOp(right, net.constant(np.array(0.5, np.float32))))))


Step = Callable[[Net, SSAValue, np.random.Generator], SSAValue]
STEPS: tuple[Step, ...] = (_reshaped, _transposed, _clamped, _neutral, _broadcast, _twice)


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=8))
def test_random_chains_keep_their_value(seed: int, steps: list[Step]) -> None:
    generator = np.random.default_rng(seed)
    net = Net(((1, 3, 2, 4), np.float32))
    value: SSAValue = net.inputs[0]
    for step in steps:
        value = step(net, value, generator)
    module = net.module(value)
    simpler = run_passes(module, "canonicalize")
    x = generator.normal(scale=3, size=(1, 3, 2, 4)).astype(np.float32)
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(simpler, x)[0])
    assert len(operations(simpler)) <= len(operations(module))


def _bounded(net: Net, x: SSAValue, generator: np.random.Generator) -> SSAValue:
    bound = net.constant(generator.choice([-1.0, 0.0, 5.0], 1).astype(np.float32))
    kind = graph.MaximumOp if generator.random() < 0.5 else graph.MinimumOp
    return net(kind(x, bound) if generator.random() < 0.5 else kind(bound, x))


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, steps=st.lists(st.sampled_from((_clamped, _bounded)), min_size=2, max_size=4))
def test_merged_clamps_agree_on_every_kind_of_float(seed: int, steps: list[Step]) -> None:
    """NaN and −0 included: what a clamp makes of them depends on the order of its operands."""
    generator = np.random.default_rng(seed)
    net = Net(((1, 8), np.float32))
    value: SSAValue = net.inputs[0]
    for step in steps:
        value = step(net, value, generator)
    module = net.module(value)
    x = np.array([[np.nan, -0.0, 0.0, np.inf, -np.inf, -1.0, 5.0, 0.5]], np.float32)
    before, after = outputs(module, x)[0], outputs(run_passes(module, "canonicalize"), x)[0]
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(np.signbit(before), np.signbit(after))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(("sigmoid", "gelu", "exp", "relu")))
def test_folded_constants_are_what_the_interpreter_computes(seed: int, kind: str) -> None:
    array = np.random.default_rng(seed).normal(size=(2, 5)).astype(np.float32)
    net = Net()
    value = net(graph.SoftmaxOp(net(graph.UnaryOp(kind, net.constant(array))), 1))
    module = net.module(net(graph.ReduceOp("sum", value, [0], False)))
    folded = run_passes(module, "canonicalize")
    assert operations(folded) == []
    assert outputs(module)[0].tobytes() == outputs(folded)[0].tobytes()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("first", [0, 1])
def test_gather(stride: int, first: int) -> None:
    net = Net(((6, 2), np.float32))
    indices = net.constant(np.arange(first, 6, stride, dtype=np.int64).reshape(1, -1))
    module = net.module(net(graph.GatherOp(net.inputs[0], indices, 0)))
    simpler = run_passes(module, "canonicalize")
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(simpler, x)[0])
    assert ("gather" in operations(simpler)) == (stride == 2)
