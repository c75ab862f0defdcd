"""Codes of 255 against weights at the ends of their range, for many K: exact on every target.

The expected values are integers of numpy, not the interpreter's: that is compared with them, too.
"""

from __future__ import annotations

import numpy as np
import pytest
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array
from support import Bench

#: Around steps of four inputs and vectors of 16 to 64 bytes, up to 512 channels of a 3×3 window.
MANY = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 63, 64, 65, 127, 257, 1152, 4608)
FEW = (7, 147)
#: The least and greatest weight. The smaller ones are what pairs and chains can just take.
ALL = (-128, 127)
LIMITED = ((-127, 127), (-127, 1), (-64, 64), (-43, 42), (-32, 32), (-16, 16))
CASES = [(k, ALL) for k in MANY] + [(k, limits) for limits in LIMITED for k in FEW]
#: More than one vector of channels everywhere, and the last not full.
OUTPUTS = 21
EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)


def weights_of(k: int, limits: tuple[int, int], outputs: int = OUTPUTS) -> Array:
    """s8 [outputs, k]: all the least, all the greatest, and both in several orders."""
    low, high = limits
    generator, place = np.random.default_rng(k), np.arange(k)
    rows = [np.full(k, high), np.full(k, low), np.full(k, max(low, -127))]
    rows += [np.where(place // size % 2, low, high) for size in (1, 2, 4)]
    rows.append(generator.choice(limits, k))
    return np.stack([rows[o % len(rows)] for o in range(outputs)]).astype(np.int8)


def codes_of(weights: Array) -> Array:
    """u8 [inputs, k]: all 255, none, and for or against the signs of some channels."""
    signs = weights[3:7] > 0
    k = weights.shape[1]
    rows = [np.full((1, k), True), np.full((1, k), False), signs, ~signs]
    return np.where(np.concatenate(rows), 255, 0).astype(np.uint8)


def exact(codes: Array, weights: Array) -> Array:
    """[inputs, outputs]; no sum here can leave 32 bits."""
    return np.asarray(codes.astype(np.int64) @ weights.astype(np.int64).T).astype(np.int32)


@EACH_TARGET
def test_pointwise_convolutions(target: Target) -> None:
    bench = Bench()
    for k, limits in CASES:
        weights = weights_of(k, limits)
        codes = codes_of(weights)
        x, w = bench.input(codes[None, None]), bench.constant(weights[:, :, None, None])
        sums = bench(graph.QConv2dOp(x, w, layout="nhwc"))
        bench.output(sums, f"K = {k}, {limits}", exact=exact(codes, weights)[None, None])
    bench.check([target])


@EACH_TARGET
@pytest.mark.parametrize("groups", [1, 3])
def test_windows_of_three_by_three(target: Target, groups: int) -> None:
    bench = Bench()
    for k, limits in CASES if groups == 1 else CASES[::3]:
        channels = -(-k // 9)
        weights = weights_of(9 * channels, limits)
        codes = codes_of(weights)
        images = codes.reshape(-1, 3, 3, channels)
        x = bench.input(np.concatenate([images] * groups, axis=3))
        w = bench.constant(weights.reshape(-1, 3, 3, channels).transpose(0, 3, 1, 2).copy())
        op = graph.QConv2dOp(x, w, groups=groups, layout="nhwc")
        expected = exact(codes, weights).reshape(-1, 1, 1, OUTPUTS)
        bench.output(bench(op), f"{channels} channels, {groups=}, {limits}", exact=expected)
    bench.check([target])


@EACH_TARGET
def test_products_with_constant_weights(target: Target) -> None:
    bench = Bench()
    for k, limits in CASES:
        weights = weights_of(k, limits)
        codes = codes_of(weights)
        x, w = bench.input(codes), bench.constant(weights.T.copy())
        op = graph.QMatMulOp(x, w)
        bench.output(bench(op), f"K = {k}, {limits}", exact=exact(codes, weights))
    bench.check([target])


@EACH_TARGET
def test_depthwise_convolutions(target: Target) -> None:
    """A channel for each pair of codes and weights: every form meets all its extremes."""
    bench = Bench()
    for kernel in ((1, 1), (1, 3), (2, 2), (3, 3), (5, 5), (7, 7)):
        for limits in (ALL, *LIMITED[:3]):
            k = kernel[0] * kernel[1]
            weights = weights_of(k, limits, 7)
            codes = codes_of(weights)
            channels = len(codes) * len(weights)
            # [codes, weights, k] as [1, kh, kw, channels] and [channels, 1, kh, kw]
            pixels = np.repeat(codes, len(weights), axis=0).T.reshape(1, *kernel, channels)
            filters = np.tile(weights, (len(codes), 1)).reshape(channels, 1, *kernel)
            x, w = bench.input(pixels), bench.constant(filters)
            op = graph.QConv2dOp(x, w, groups=channels, layout="nhwc")
            expected = exact(codes, weights).reshape(1, 1, 1, channels)
            bench.output(bench(op), f"{kernel}, {limits}", exact=expected)
    bench.check([target])


@EACH_TARGET
def test_products_of_activations(target: Target) -> None:
    """Differences from the zero points reach ±255 on both sides."""
    bench = Bench()
    for k in MANY:
        right = weights_of(k, ALL)
        left = codes_of(right)
        for a_zero, b_zero in ((0, 0), (255, -128), (0, 127)):
            a, b = bench.input(left[None]), bench.input(right.T[None].copy())
            op = graph.QMatMulOp(a, b, a_zero_point=a_zero, b_zero_point=b_zero)
            expected = exact(left.astype(np.int64) - a_zero, right.astype(np.int64) - b_zero)
            bench.output(bench(op), f"K = {k}, {a_zero}, {b_zero}", exact=expected[None])
    bench.check([target])
