"""Packed weights are the same weights, and the network computes the same, for every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.targets import TARGETS
from lpc.compiler.contractions.unpack import constants_of, unpack
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.graph import ints
from lpc.compiler.dialects.tensors import Array, shape_of, value_dtype
from lpc.compiler.driver import TO_PACKED
from lpc.compiler.passes.pack_weights import PackWeights
from nets import Net, codes, outputs, run_passes
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

SEEDS = st.integers(0, 2**32 - 1)
KERNELS = ((1, 1), (1, 3), (3, 1), (2, 2), (3, 3), (5, 4), (7, 7))


def packed(module: ModuleOp, target: str) -> ModuleOp:
    copy = module.clone()
    PackWeights(target).apply(Context(), copy)
    copy.verify()
    return copy


def weights_of(module: ModuleOp) -> list[graph.PackedWeightsOp]:
    return [op for op in module.walk() if isinstance(op, graph.PackedWeightsOp)]


def assert_packs(module: ModuleOp, weight: Array, x: Array) -> None:
    """On every target: the weights come back, and the result is the unpacked network's."""
    fused = run_passes(module, *TO_PACKED)
    expected = outputs(module, x)[0]
    for target in TARGETS:
        own = packed(fused, target.name)
        (op,) = weights_of(own)
        data, order = constants_of(op)
        in_forms = op.scheme.data == "gemm" and target.dot4 is None and reads_codes(op)
        assert bool(order) == (in_forms and op.form.data != "halves")
        unpacked = unpack(op, data, order)
        assert unpacked.dtype == value_dtype(op.result)
        np.testing.assert_array_equal(unpacked, weight)
        np.testing.assert_array_equal(outputs(own, x)[0], expected)


def reads_codes(op: graph.PackedWeightsOp) -> bool:
    anchor = next(iter(op.result.uses)).operation
    return isinstance(anchor, graph.QConv2dOp | graph.QMatMulOp)


def signed_codes(generator: np.random.Generator, shape: tuple[int, ...], spread: float) -> Array:
    """From nearly all zero to full range: every form of dot product has weights that choose it."""
    values = np.clip(np.rint(generator.normal(0, spread, shape)), -128, 127)
    return values.astype(np.int8)


@settings(max_examples=25)
@given(
    seed=SEEDS,
    kernel=st.sampled_from(KERNELS),
    groups=st.sampled_from((1, 1, 1, 2, 3)),
    inputs=st.integers(1, 9),
    outputs_=st.sampled_from((1, 2, 5, 8, 11, 17)),
    dilation=st.sampled_from((1, 1, 2)),
    spread=st.sampled_from((1, 20, 60, 500)),
)
def test_int8_convolution(
    seed: int,
    kernel: tuple[int, int],
    groups: int,
    inputs: int,
    outputs_: int,
    dilation: int,
    spread: int,
) -> None:
    generator = np.random.default_rng(seed)
    weight = signed_codes(generator, (outputs_ * groups, inputs, *kernel), spread)
    side = 6 * dilation + 2
    x = codes(generator, (1, inputs * groups, side, side))
    net = Net((x.shape, np.uint8))
    op = graph.QConv2dOp(
        net.inputs[0],
        net.constant(weight),
        input_zero_point=int(generator.integers(0, 256)),
        pads=(kernel[0] // 2, 0, 1, kernel[1] // 2),
        dilations=(dilation, dilation),
        groups=groups,
    )
    assert_packs(net.module(net(op)), weight, x)


@settings(max_examples=20)
@given(
    seed=SEEDS,
    kernel=st.sampled_from(KERNELS),
    channels=st.sampled_from((1, 3, 15, 16, 17, 33, 100)),
    quantized=st.booleans(),
    spread=st.sampled_from((10, 60, 500)),
)
def test_depthwise(
    seed: int, kernel: tuple[int, int], channels: int, quantized: bool, spread: int
) -> None:
    generator = np.random.default_rng(seed)
    weight = signed_codes(generator, (channels, 1, *kernel), spread)
    dtype = np.uint8 if quantized else np.float32
    x = codes(generator, (1, channels, 8, 8)).astype(dtype)
    net = Net((x.shape, dtype))
    if quantized:
        op: Any = graph.QConv2dOp(net.inputs[0], net.constant(weight), groups=channels)
        if channels > 1:
            assert_packs(net.module(net(op)), weight, x)
        return
    filters = net.constant(weight.astype(np.float32))
    module = net.module(net(graph.Conv2dOp(net.inputs[0], filters, groups=channels)))
    own = packed(run_passes(module, *TO_PACKED), "avx2")
    np.testing.assert_array_equal(outputs(own, x)[0], outputs(module, x)[0])


@settings(max_examples=20)
@given(
    seed=SEEDS,
    rows=st.integers(1, 5),
    k=st.integers(1, 70),
    n=st.sampled_from((1, 7, 16, 33)),
    quantized=st.booleans(),
    spread=st.sampled_from((1, 40, 500)),
)
def test_matmul(seed: int, rows: int, k: int, n: int, quantized: bool, spread: int) -> None:
    generator = np.random.default_rng(seed)
    weight = signed_codes(generator, (k, n), spread)
    x = codes(generator, (rows, k))
    if not quantized:
        x, weight = x.astype(np.float32), weight.astype(np.float32)
    net = Net((x.shape, x.dtype))
    kind: Any = graph.QMatMulOp if quantized else graph.MatMulOp
    assert_packs(net.module(net(kind(net.inputs[0], net.constant(weight)))), weight, x)


@settings(max_examples=20)
@given(seed=SEEDS, unsigned=st.booleans(), per_channel=st.booleans(), depthwise=st.booleans())
def test_weight_zero_points_become_terms(
    seed: int, unsigned: bool, per_channel: bool, depthwise: bool
) -> None:
    """w − z in [−255, 255] as one, two or three terms; the op's own zero point is 0 after that."""
    generator = np.random.default_rng(seed)
    info = np.iinfo(np.uint8 if unsigned else np.int8)
    channels, groups = 6, 6 if depthwise else 1
    weight = codes(generator, (channels, 6 // groups, 3, 3), info.dtype)
    zero_point = generator.choice([info.min, 0, 1, info.max], channels if per_channel else 1)
    x = codes(generator, (1, 6, 5, 5))
    net = Net((x.shape, np.uint8))
    op = graph.QConv2dOp(
        net.inputs[0],
        net.constant(weight),
        input_zero_point=9,
        weight_zero_point=zero_point,
        groups=groups,
    )
    module = net.module(net(op))
    shifted = weight.astype(np.int32) - zero_point.reshape(-1, 1, 1, 1)
    assert_packs(module, shifted, x)
    own = packed(run_passes(module, *TO_PACKED), "avx2")
    (anchor,) = (o for o in own.walk() if isinstance(o, graph.QConv2dOp))
    assert ints(anchor.weight_zero_point) == (0,)
    (op_,) = weights_of(own)
    assert op_.terms.value.data == 1 + (shifted.max() > 127 or shifted.min() < -128) + (
        shifted.max() > 254
    )


@pytest.mark.parametrize(("channels", "merged"), [(3, 1), (8, 1), (16, 1), (17, 0)])
def test_a_kernel_row_is_one_run_where_pixels_are_dense(channels: int, merged: int) -> None:
    """17 channels are padded to 32 in memory, so the taps of a row do not touch."""
    generator = np.random.default_rng(0)
    net = Net(((1, channels, 6, 6), np.uint8))
    weight = net.constant(codes(generator, (4, channels, 3, 3), np.int8))
    module = net.module(net(graph.QConv2dOp(net.inputs[0], weight)))
    (op,) = weights_of(packed(run_passes(module, *TO_PACKED), "avx512_vnni"))
    assert op.merged.value.data == merged
    assert shape_of(op.result) == (4, channels, 3, 3)
