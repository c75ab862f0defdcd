"""sink-dequantize changes no bit of any result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from nets import Net, codes, operations, outputs, run_passes, si8
from xdsl.ir import SSAValue

SEEDS = st.integers(0, 2**32 - 1)
SHAPE = (2, 3, 4, 6)


def _move(net: Net, kind: str, x: SSAValue) -> SSAValue:
    """One op of that kind on a tensor of SHAPE."""
    match kind:
        case "reshape":
            return net(graph.ReshapeOp(x, (2, 3, 24)))
        case "transpose":
            return net(graph.TransposeOp(x, (0, 3, 1, 2)))
        case "slice":
            return net(graph.SliceOp(x, (0, 1, 0, 1), (2, 3, 4, 6), (1, 1, 2, 3)))
        case "broadcast":
            return net(graph.BroadcastOp(x, (3, *SHAPE)))
        case "gather":
            return net(graph.GatherOp(x, net.constant(np.array([[1, 0], [3, 3]])), 2))
        case "resize":
            return net(graph.ResizeNearestOp(x, (2, 3)))
        case "max_pool":
            return net(graph.MaxPoolOp(x, (3, 2), strides=(1, 2), pads=(2, 1, 0, 0)))
        case "pad":
            return net(graph.PadOp(x, (0, 0, 1, 0), (0, 0, 0, 2), 0.0))
        case _:
            return net(graph.ConcatOp([x, x], 2))


MOVES = (
    "reshape", "transpose", "slice", "broadcast", "gather", "resize", "max_pool", "pad", "concat",
)  # fmt: skip


def _grid(generator: np.random.Generator, per_channel: bool, dtype: type) -> tuple[object, object]:
    channels = SHAPE[1] if per_channel else 1
    info = np.iinfo(dtype)
    scale = generator.uniform(1e-3, 2.0, channels).astype(np.float32)
    return scale, generator.integers(info.min, info.max + 1, channels)


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, per_channel=st.booleans())
def test_moves_below_and_keeps_bits(kind: str, dtype: type, seed: int, per_channel: bool) -> None:
    generator = np.random.default_rng(seed)
    net = Net((SHAPE, dtype))
    real = net.dequantize(net.inputs[0], *_grid(generator, per_channel, dtype))
    module = net.module(_move(net, kind, real))
    sunk = run_passes(module, "sink-dequantize")
    if not (kind == "pad" and per_channel):
        assert operations(sunk)[-1] == "dequantize"
    x = codes(generator, SHAPE, dtype)
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(sunk, x)[0])


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(2.0**-140, 2.0**126, width=32, exclude_min=True),
    zero_point=st.integers(-128, 127),
    qmin=st.integers(-128, 0),
)
def test_cancelled_pairs_were_identities(scale: float, zero_point: int, qmin: int) -> None:
    """Also where scales are so small or large that a code does not come back."""
    net = Net(((256,), np.int8))
    real = net.dequantize(net.inputs[0], scale, zero_point)
    module = net.module(net(graph.QuantizeOp(real, scale, zero_point, si8, qmin=qmin)))
    x = np.arange(-128, 128).astype(np.int8)
    sunk = run_passes(module, "sink-dequantize")
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(sunk, x)[0])


def test_a_chain_of_movers_ends_above_the_dequantize() -> None:
    net = Net((SHAPE, np.uint8))
    x = net.dequantize(net.inputs[0], 0.1, 7)
    x = _move(net, "max_pool", _move(net, "pad", x))
    y = net(graph.TransposeOp(x, (0, 2, 3, 1)))
    sunk = run_passes(net.module(y), "sink-dequantize")
    assert operations(sunk) == ["pad", "max_pool", "transpose", "dequantize"]
