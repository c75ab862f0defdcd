"""split-fake-quantize: the same values, apart from elements within float32 rounding of a tie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, operations, outputs, run_passes
from xdsl.dialects.builtin import ModuleOp

SEEDS = st.integers(0, 2**32 - 1)
LEVELS = st.sampled_from((256, 255, 128, 16, 15, 3))


def _limits(
    generator: np.random.Generator, levels: int, scales: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of grids with a code for zero."""
    first = -generator.integers(0, levels, scales.shape)
    if kind != "asymmetric":
        first = np.full(scales.shape, 0 if kind == "unsigned" else -(levels // 2))
    low = (first * scales.astype(np.float64)).astype(np.float32)
    return low, ((first + levels - 1) * scales.astype(np.float64)).astype(np.float32)


def _module(
    generator: np.random.Generator,
    levels: int,
    kind: str,
    per_channel: bool,
    weights: bool,
) -> tuple[ModuleOp, np.ndarray, np.ndarray]:
    shape = (2, 3, 4, 50)
    channels = (1, 3, 1, 1) if per_channel else (1,)
    scales = generator.uniform(1e-3, 1, channels).astype(np.float32)
    low, high = _limits(generator, levels, scales, kind)
    x = generator.uniform(-0.2, 1.2, shape) * (high - low) + low
    x[0] = np.rint(x[0] / scales * 2) * scales / 2  # ties
    x = x.astype(np.float32)
    net = Net(*([] if weights else [(shape, np.float32)]))
    value = net.constant(x) if weights else net.inputs[0]
    op = graph.FakeQuantizeOp(value, levels, low, high, low * 2, high * 2)
    return net.module(net(op)), x, scales


@settings(max_examples=80, deadline=None)
@given(
    seed=SEEDS,
    levels=LEVELS,
    kind=st.sampled_from(("unsigned", "symmetric", "asymmetric")),
    per_channel=st.booleans(),
    weights=st.booleans(),
)
def test_same_levels(seed: int, levels: int, kind: str, per_channel: bool, weights: bool) -> None:
    generator = np.random.default_rng(seed)
    module, x, scales = _module(generator, levels, kind, per_channel, weights)
    split = run_passes(module, "split-fake-quantize")
    assert operations(split) == (["dequantize"] if weights else ["quantize", "dequantize"])
    inputs = [] if weights else [x]
    steps = (outputs(split, *inputs)[0] - outputs(module, *inputs)[0]) / (2 * scales)
    position = x / scales
    clear = np.abs(position - np.floor(position) - 0.5) > 1e-3
    assert np.abs(steps[clear]).max() < 1e-3
    assert np.abs(steps).max() < 1.001
    if weights:  # these are rounded as fake_quantize does it, ties included
        assert np.abs(steps).max() < 1e-3


@pytest.mark.parametrize(
    ("levels", "low", "high", "element_type"),
    [
        (256, 0.0, 2.55, "ui8"),
        (256, -1.28, 1.27, "si8"),
        (255, -1.27, 1.27, "si8"),
        # more than 0.2 % from symmetric: zero points 127 and 126
        (256, -1.27, 1.28, "ui8"),
        (255, -1.26, 1.28, "ui8"),
        (256, -0.5, 2.05, "ui8"),
    ],
)
def test_choice_of_type(levels: int, low: float, high: float, element_type: str) -> None:
    net = Net(((4,), np.float32))
    limits = [np.array(v, np.float32) for v in (low, high, low, high)]
    module = net.module(net(graph.FakeQuantizeOp(net.inputs[0], levels, *limits)))
    split = run_passes(module, "split-fake-quantize")
    (quantize,) = (op for op in split.walk() if isinstance(op, graph.QuantizeOp))
    assert str(quantize.result.type) == f"tensor<4x{element_type}>"
