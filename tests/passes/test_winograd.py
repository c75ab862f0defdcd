"""winograd: interpreter(before) equals interpreter(after), and what it declines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.contractions.unpack import constants_of, unpack
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, shape_of
from lpc.compiler.driver import TO_FUSED
from lpc.compiler.passes import pack_weights, winograd
from nets import Net, codes, operations, outputs, run_passes, ui8
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import BlockArgument, OpResult, SSAValue


@pytest.fixture(autouse=True, scope="module")
def _always_pays() -> Iterator[None]:
    """The graphs of these tests are too small to be worth it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "pays", lambda op, target: True)
        yield


def kernels_of(module: ModuleOp) -> list[graph.KernelOp]:
    return [op for op in module.walk() if isinstance(op, graph.KernelOp)]


def split(module: ModuleOp) -> tuple[ModuleOp, ModuleOp]:
    """As fused, and a copy after the pass."""
    before = run_passes(module, *TO_FUSED)
    after = before.clone()
    winograd.Winograd().apply(Context(), after)
    after.verify()
    return before, after


def convolution(net: Net, x: SSAValue, weight: Array, **properties: Any) -> SSAValue:
    return net(graph.QConv2dOp(x, net.constant(weight), layout="nhwc", **properties))


def weights(g: np.random.Generator, outputs_: int, inputs: int) -> Array:
    return codes(g, (outputs_, inputs, 3, 3), np.int8)


def requantized(net: Net, sums: SSAValue) -> SSAValue:
    return net(graph.RequantizeOp(sums, 3e-4, 120, ui8, 3))


def added(net: Net, a: SSAValue, b: SSAValue) -> SSAValue:
    total = net(graph.AddOp(net.dequantize(a, 0.04, 9, 3), net.dequantize(b, 0.03, 131, 3)))
    return net.quantize(net(graph.UnaryOp("relu", total)), 0.05, 3)


PADS = ((0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (0, 1, 1, 0), (2, 0, 0, 1), (1, 2, 0, 2))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 3),
    rows=st.integers(3, 11),
    columns=st.integers(3, 11),
    inputs=st.sampled_from((16, 17, 24, 32, 50)),
    outputs_=st.sampled_from((16, 32, 48)),
    pads=st.sampled_from(PADS),
    zero_point=st.sampled_from((0, 1, 128, 255)),
    biased=st.booleans(),
    end=st.sampled_from(("sums", "codes", "residual")),
)
def test_same_integers(
    seed: int,
    images: int,
    rows: int,
    columns: int,
    inputs: int,
    outputs_: int,
    pads: tuple[int, ...],
    zero_point: int,
    biased: bool,
    end: str,
) -> None:
    g = np.random.default_rng(seed)
    top, left, bottom, right = pads
    other_shape = (images, rows + top + bottom - 2, columns + left + right - 2, outputs_)
    arrays = [codes(g, (images, rows, columns, inputs))]
    if end == "residual":
        arrays.append(codes(g, other_shape))
    net = Net(*((array.shape, np.uint8) for array in arrays))
    bias = g.integers(-(2**20), 2**20, outputs_).astype(np.int32)
    op = graph.QConv2dOp(
        net.inputs[0],
        net.constant(weights(g, outputs_, inputs)),
        net.constant(bias) if biased else None,
        input_zero_point=zero_point,
        pads=pads,
        layout="nhwc",
    )
    result = net(op)
    if end != "sums":
        result = requantized(net, result)
    if end == "residual":
        result = added(net, result, net.inputs[1])
    module = net.module(result)
    before, after = split(module)
    assert "qconv2d" not in operations(after)
    assert operations(after).count("winograd_qconv2d") == 1
    assert len(kernels_of(after)) == len(kernels_of(before)) + 1
    expected = outputs(module, *arrays)[0]
    np.testing.assert_array_equal(outputs(before, *arrays)[0], expected)
    np.testing.assert_array_equal(outputs(after, *arrays)[0], expected)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    window=st.sampled_from((5, 7)),
    rows=st.integers(7, 18),
    columns=st.integers(7, 18),
    inputs=st.integers(1, 4),
    pads=st.sampled_from((*PADS, (3, 3, 3, 3), (3, 2, 1, 0))),
    zero_point=st.sampled_from((0, 1, 128, 255)),
)
def test_stride_two_of_images(
    seed: int,
    window: int,
    rows: int,
    columns: int,
    inputs: int,
    pads: tuple[int, ...],
    zero_point: int,
) -> None:
    """With stride one, of the channels of 2×2 pixels; odd sides get one more row of padding."""
    g = np.random.default_rng(seed)
    array = codes(g, (2, rows, columns, inputs))
    net = Net((array.shape, np.uint8))
    weight = codes(g, (16, inputs, window, window), np.int8)
    sums = convolution(
        net, net.inputs[0], weight, input_zero_point=zero_point, pads=pads, strides=(2, 2)
    )
    module = net.module(sums)
    _, after = split(module)
    (product,) = (op for op in after.walk() if isinstance(op, graph.WinogradQConv2dOp))
    taps = (window + 1) // 2
    assert shape_of(product.weight) == (16, 4 * inputs, taps, taps)
    assert operations(after).count("constant") == operations(module).count("constant")
    np.testing.assert_array_equal(outputs(after, array)[0], outputs(module, array)[0])


def test_the_input_is_another_operand_too() -> None:
    """The second kernel still takes it, and the transformed input besides."""
    g = np.random.default_rng(0)
    array = codes(g, (1, 6, 7, 32))
    net = Net((array.shape, np.uint8))
    x = net.inputs[0]
    sums = convolution(net, x, weights(g, 32, 32), input_zero_point=9, pads=(1, 1, 1, 1))
    module = net.module(added(net, requantized(net, sums), x))
    _, after = split(module)
    first, second = kernels_of(after)
    assert isinstance(first.inputs[0], BlockArgument)  # of @main
    assert list(second.inputs) == [first.outputs[0], first.inputs[0]]
    np.testing.assert_array_equal(outputs(after, array)[0], outputs(module, array)[0])


def test_two_layers_of_one_input() -> None:
    """Each transforms it for itself: their padding may differ."""
    g = np.random.default_rng(1)
    array = codes(g, (2, 5, 9, 16))
    net = Net((array.shape, np.uint8))
    first = convolution(net, net.inputs[0], weights(g, 16, 16), input_zero_point=9)
    second = convolution(net, net.inputs[0], weights(g, 32, 16), pads=(1, 1, 1, 1))
    module = net.module(first, second)
    _, after = split(module)
    assert operations(after).count("winograd_input") == 2
    for a, b in zip(outputs(after, array), outputs(module, array), strict=True):
        np.testing.assert_array_equal(a, b)


def test_both_kernels_belong_to_the_layer() -> None:
    g = np.random.default_rng(2)
    net = Net(((1, 6, 6, 16), np.uint8))
    sums = convolution(net, net.inputs[0], weights(g, 16, 16))
    assert isinstance(sums, OpResult)
    sums.op.attributes["layer"] = StringAttr("conv")
    _, after = split(net.module(requantized(net, sums)))
    assert [kernel.attributes["layer"] for kernel in kernels_of(after)] == [StringAttr("conv")] * 2


@pytest.mark.parametrize(
    "properties",
    [
        {"strides": (2, 2)},
        {"strides": (1, 2)},
        {"dilations": (2, 2)},
        {"dilations": (1, 2)},
        {"groups": 2},
        {"groups": 32},
        {"weight_zero_point": 1},
        {"weight_zero_point": np.arange(32) == 5},
        {"inputs": 15},
        {"inputs": 3},
        {"outputs_": 24},
        {"outputs_": 8},
        {"window": (1, 3)},
        {"window": (3, 1)},
        {"window": (5, 5)},
        {"window": (1, 1)},
        {"window": (7, 7), "strides": (2, 2)},
        {"window": (7, 7), "strides": (2, 2), "inputs": 5},
        {"window": (7, 7), "inputs": 3},
        {"window": (6, 6), "strides": (2, 2), "inputs": 3},
        {"window": (3, 3), "strides": (2, 2), "inputs": 3},
        {"window": (7, 5), "strides": (2, 2), "inputs": 3},
        {"dtype": np.int8},
        {"weight_dtype": np.uint8},
        {"value": -128, "inputs": 128},
    ],
    ids=str,
)
def test_declined(properties: dict[str, Any]) -> None:
    """One condition at a time is not met; without it, the same layer is taken."""
    assert "winograd_qconv2d" in operations(layer())
    after = layer(**properties)
    assert operations(after).count("qconv2d") == 1
    assert not {"winograd_input", "winograd_qconv2d"} & set(operations(after))


def layer(
    inputs: int = 32,
    outputs_: int = 32,
    window: tuple[int, int] = (3, 3),
    dtype: Any = np.uint8,
    weight_dtype: Any = np.int8,
    value: int = 1,
    **properties: Any,
) -> ModuleOp:
    """A convolution after the pass."""
    net = Net(((1, 8, 8, inputs), dtype))
    shape = (outputs_, inputs // properties.get("groups", 1), *window)
    weight = np.full(shape, value).astype(weight_dtype)
    sums = convolution(net, net.inputs[0], weight, **properties)
    before, after = split(net.module(sums))
    (anchor,) = (op for op in before.walk() if isinstance(op, graph.QConv2dOp))
    assert shape_of(anchor.weight) == shape
    return after


def test_weights_or_bias_computed_at_run_time_are_declined() -> None:
    for computed in ("weight", "bias"):
        shapes: dict[str, Any] = {"weight": ((16, 16, 3, 3), np.int8), "bias": ((16,), np.int32)}
        net = Net(((1, 6, 6, 16), np.uint8), shapes[computed])
        weight = net.constant(np.ones((16, 16, 3, 3), np.int8))
        bias = None
        if computed == "weight":
            weight = net.inputs[1]
        else:
            bias = net.inputs[1]
        op = graph.QConv2dOp(net.inputs[0], weight, bias, layout="nhwc")
        module = net.module(net(op))
        assert not winograd.is_suitable(op)
        _, after = split(module)
        assert "winograd_qconv2d" not in operations(after)


@pytest.mark.parametrize("form", ["points", "taps"])
@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_packed_weights_are_the_same(
    target: Target, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_weights, "stores_taps", lambda *sizes: form == "taps")
    g = np.random.default_rng(3)
    array, weight = codes(g, (1, 7, 6, 19)), weights(g, 48, 19)
    net = Net((array.shape, np.uint8))
    module = net.module(convolution(net, net.inputs[0], weight, input_zero_point=3))
    _, after = split(module)
    pack_weights.PackWeights(target.name).apply(Context(), after)
    after.verify()
    (packed,) = (op for op in after.walk() if isinstance(op, graph.PackedWeightsOp))
    assert (packed.scheme.data, packed.form.data) == ("winograd", form)
    np.testing.assert_array_equal(unpack(packed, *constants_of(packed)), weight)
    np.testing.assert_array_equal(outputs(after, array)[0], outputs(module, array)[0])
