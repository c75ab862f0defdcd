"""Layers of real networks, packed for every target, on the inputs that drive their sums furthest.

Per output channel: 255 where its weight is positive and 0 where it is negative, and the reverse.
These take every pair and every chain of the channel to its bounds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from chain_semantics import MADDWD, assert_chains_exact, exact, executed, flat
from lpc.compiler import demo, driver
from lpc.compiler.codegen.instructions import BY_NAME
from lpc.compiler.codegen.targets import TARGETS
from lpc.compiler.compilation import graph_at
from lpc.compiler.contractions.forms import PAIRS, StepOrder
from lpc.compiler.contractions.packing import (
    PackedGemm,
    bias_correction,
    blocks_of,
    natural_orders,
    panels_of,
)
from lpc.compiler.contractions.unpack import constants_of, geometry_of, packed_gemm
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array, value_dtype
from lpc.compiler.passes.pack_weights import PackWeights
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

VPDPBUSD = BY_NAME["vpdpbusd.512"].semantics
MODELS = (
    "kws_int8_qdq", "ic_int8_qdq", "vww_int8_qdq", "ad_int8_qdq", "sww_int8_qdq",
    "kws_fakequant_actqdq",
)  # fmt: skip
EACH_TARGET = pytest.mark.parametrize("target", [target.name for target in TARGETS])


@cache
def placed(path: Path) -> ModuleOp:
    """The graph that all targets pack weights of."""
    shapes = {demo.INPUT: demo.IMAGE} if path.name.startswith("digits") else None
    module = graph_at("int8", path, shapes)
    driver.run_passes(module, driver.new_context(), driver.TO_PACKED)
    return module


def packed_layers(path: Path, target: str) -> list[graph.PackedWeightsOp]:
    module = placed(path).clone()
    PackWeights(target).apply(Context(), module)
    layers = [op for op in module.walk() if isinstance(op, graph.PackedWeightsOp)]
    return [op for op in layers if value_dtype(op.result) != np.float32]


def extreme_inputs(weights: Array) -> Array:
    """[2, *weights.shape]"""
    return np.where(np.stack([weights > 0, weights <= 0]), 255, 0).astype(np.uint8)


def as_read(codes: Array, order: StepOrder) -> Array:
    """What each step reads of codes [..., steps, 4] in natural order; for no input, any."""
    places = order.starts if order.starts.ndim == 2 else order.starts[:, None] + np.arange(4)
    places = np.maximum(places, 0)
    return np.asarray(codes.reshape(*codes.shape[:-2], -1)[..., places])


def product(codes: Array, weights: Array) -> Array:
    return np.asarray((codes.astype(np.int64) * weights).sum((-1, -2)))


def four_way_sums(panel: Array, codes: Array) -> Array:
    """VNNI, step after step: [2, channels]."""
    total = np.zeros(codes.shape[0] * codes.shape[1], np.int32)
    for step in range(panel.shape[1]):
        weights = np.broadcast_to(panel[:, step], codes[:, :, step].shape)
        total = VPDPBUSD(total, flat(codes[:, :, step], np.uint8), flat(weights, np.int8))
    return total.reshape(codes.shape[:2])


def assert_gemm_exact(op: graph.PackedWeightsOp) -> None:
    c, _ = geometry_of(op)
    packed: PackedGemm = packed_gemm(op, *constants_of(op))
    correction = bias_correction(c, packed)
    for block, (panel, (first, _)) in enumerate(
        zip(panels_of(c, packed), blocks_of(c, packed.tile), strict=True)
    ):
        real = slice(0, min(len(panel), c.outputs - first))
        if packed.orders is None:
            codes = extreme_inputs(panel)
            np.testing.assert_array_equal(four_way_sums(panel, codes), product(codes, panel))
            continue
        order = packed.orders[block]
        weights = natural_orders(panel, [order], packed.natural_steps)[0]
        codes = extreme_inputs(weights)
        sums = assert_chains_exact(panel, order.counts, as_read(codes, order))[:, real]
        own = correction[first : first + sums.shape[1]]
        np.testing.assert_array_equal(sums + own, product(codes, weights)[:, real])


def assert_depthwise_exact(op: graph.PackedWeightsOp) -> None:
    """Each group of taps is one multiplication."""
    weights = constants_of(op)[0].view(np.int8).reshape(-1, 1, 4)
    codes, zero = extreme_inputs(weights), np.zeros(2, np.int16)
    if not op.form.data:
        np.testing.assert_array_equal(four_way_sums(weights, codes), product(codes, weights))
        return
    a, w = np.broadcast_arrays(codes, weights)
    np.testing.assert_array_equal(executed(PAIRS, a, w, zero), exact(a, w, zero))


def assert_halves_exact(op: graph.PackedWeightsOp) -> None:
    weights = constants_of(op)[0].view(np.int16).reshape(-1, 2)
    for codes in ((255, 255), (255, 0), (0, 255), (0, 0), (1, 254)):
        a = np.broadcast_to(np.asarray(codes, np.int16), weights.shape)
        expected = (a.astype(np.int64) * weights).sum(1)
        np.testing.assert_array_equal(MADDWD(flat(a, np.int16), flat(weights, np.int16)), expected)


def assert_layers_exact(path: Path, target: str) -> None:
    layers = packed_layers(path, target)
    assert layers
    for op in layers:
        if op.form.data == "halves":
            assert_halves_exact(op)
        elif op.scheme.data == "depthwise":
            assert_depthwise_exact(op)
        else:
            assert_gemm_exact(op)


@EACH_TARGET
def test_bundled_network(target: str) -> None:
    with demo.resource("digits_int8.onnx") as path:
        assert_layers_exact(path, target)


@EACH_TARGET
@pytest.mark.parametrize("model", MODELS)
def test_real_networks(model: str, target: str, models_dir: Path) -> None:
    assert_layers_exact(models_dir / "onnx" / f"{model}.onnx", target)
