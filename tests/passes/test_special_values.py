"""What passes do with NaN, infinities, denormals and −0 in float tensors: nothing.

Every pass that is exact on numbers is exact on these: random chains around quantization, compared
after each pass, then as packed kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.driver import TO_INT8, TO_PACKED, TO_SPLIT
from nets import Net, outputs, run_passes
from xdsl.ir import SSAValue

SEEDS = st.integers(0, 2**32 - 1)
SHAPE = (1, 4, 6, 6)
SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 1e-45, 3e38, -3e38, 0.25, -1.0], np.float32
)


def special(generator: np.random.Generator, shape: tuple[int, ...] = SHAPE) -> Array:
    """Numbers, of which a third are special."""
    x = generator.normal(0, 20, shape).astype(np.float32)
    return np.where(generator.random(shape) < 1 / 3, generator.choice(SPECIAL, shape), x)


def _unary(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    kind = g.choice(["relu", "abs", "neg", "sigmoid", "hard_swish", "tanh"])
    return net(graph.UnaryOp(str(kind), x))


def _clip(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    low = float(g.choice([-3.0, 0.0]))
    return net(graph.UnaryOp("clip", x, low, float(g.choice([1.0, 6.0]))))


def _bound(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    kind = graph.MaximumOp if g.random() < 0.5 else graph.MinimumOp
    bound = net.constant(g.choice(np.array([-1, 0, 5], np.float32), 1))
    return net(kind(x, bound) if g.random() < 0.5 else kind(bound, x))


def _binary(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    kinds: list[Any] = [graph.AddOp, graph.SubOp, graph.MulOp, graph.DivOp]
    constant = net.constant(g.uniform(0.5, 2, 1).astype(np.float32))
    return net(kinds[int(g.integers(4))](x, constant))


def _max_pool(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    return net(graph.MaxPoolOp(x, (2, 3), pads=(1, 1, 0, 1)))


def _transpose(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    return net(graph.TransposeOp(x, (0, 2, 3, 1) if g.random() < 0.5 else (0, 3, 1, 2)))


def _pad(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    return net(graph.PadOp(x, (0, 0, 1, 0), (0, 0, 0, 1), float(g.choice(SPECIAL))))


def _concat(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    return net(graph.ConcatOp([x, _unary(net, x, g)], 1))


def _quantized(net: Net, x: SSAValue, g: np.random.Generator) -> SSAValue:
    return net.requantized(x, float(g.choice([0.05, 0.25])), int(g.integers(0, 256)))


STEPS = (
    _unary, _clip, _bound, _binary, _max_pool, _transpose, _pad, _concat, _quantized,
)  # fmt: skip


def same(actual: Array, expected: Array) -> bool:
    """Bit for bit, but for the payload of a NaN."""
    both_nan = (actual != actual) & (expected != expected)
    signs = np.signbit(actual) == np.signbit(expected) if actual.dtype == np.float32 else True
    return bool(np.all(both_nan | ((actual == expected) & signs)))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6))
def test_passes_keep_special_values(seed: int, steps: list[Any]) -> None:
    generator = np.random.default_rng(seed)
    net = Net((SHAPE, np.float32))
    value: SSAValue = net.inputs[0]
    for step in steps:
        value = step(net, value, generator)
    ends = [value, net.quantize(value, 0.1, int(generator.integers(0, 256)))]
    module = net.module(*ends[int(generator.integers(3)) - 1 :][:1])
    x = special(generator)
    expected = outputs(module, x)[0]
    for name in (*TO_SPLIT, *TO_INT8, *TO_PACKED):
        module = run_passes(module, name)
        assert same(outputs(module, x)[0], expected), f"{name} of {[s.__name__ for s in steps]}"


@pytest.mark.parametrize("limits", [(0.0, 2.0), (-1.0, 1.0), (-2.0, 0.0)])
@pytest.mark.parametrize("levels", [256, 255, 16])
def test_fake_quantize_of_special_values(limits: tuple[float, float], levels: int) -> None:
    """NaN is the lowest level, as it is the lowest code; no ties, which splitting may move."""
    net, ends = Net((SPECIAL.shape, np.float32)), np.asarray(limits, np.float32)
    module = net.module(net(graph.FakeQuantizeOp(net.inputs[0], levels, *ends, *ends)))
    x = np.where(np.isin(SPECIAL, [0.25, -1.0]), np.float32(np.nan), SPECIAL)
    expected = outputs(module, x)[0]
    assert expected[0] == expected.min()
    after = outputs(run_passes(module, "split-fake-quantize"), x)[0]
    np.testing.assert_allclose(after, expected, rtol=1e-6, atol=1e-7)
