"""unsign-activations changes no bit, and leaves no si8 value but weights, inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import type_of
from nets import Net, codes, operations, outputs, run_passes, si8
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

SEEDS = st.integers(0, 2**32 - 1)
SHAPE = (1, 4, 6, 6)


def _signed_results(module: ModuleOp) -> list[str]:
    return [
        op.name
        for op in module.walk()
        for result in op.results
        if op.name != "builtin.module" and type_of(result).element_type == si8
    ]


def _integer_layers(net: Net, generator: np.random.Generator, q: SSAValue) -> SSAValue:
    """Ops of every kind that the pass rewrites, in random order, each on codes [1, 4, 6, 6]."""

    def requantize(accumulator: SSAValue) -> SSAValue:
        low = int(generator.integers(-128, 0))
        return net(graph.RequantizeOp(accumulator, 0.01, -5, si8, 1, qmin=low))

    def convolution(q: SSAValue) -> SSAValue:
        w = net.constant(codes(generator, (4, 4, 3, 3), np.int8))
        return requantize(net(graph.QConv2dOp(q, w, input_zero_point=-9, pads=(1, 1, 1, 1))))

    def padded_pool(q: SSAValue) -> SSAValue:
        wide = net(graph.PadOp(q, (0, 0, 1, 1), (0, 0, 1, 1), -7.0))
        return net(graph.MaxPoolOp(wide, (3, 3)))

    def sum_pool(q: SSAValue) -> SSAValue:
        pool = graph.QSumPoolOp(q, (3, 3), input_zero_point=3, pads=(1, 1, 1, 1))
        return requantize(net(pool))

    def table(q: SSAValue) -> SSAValue:
        return net(graph.LutOp(q, codes(generator, (256,), np.int8)))

    def joined(q: SSAValue) -> SSAValue:
        other = net.constant(codes(generator, (1, 2, 6, 6), np.int8))
        part = net(graph.SliceOp(q, (0, 1, 0, 0), (1, 3, 6, 6), (1, 1, 1, 1)))
        return net(graph.ConcatOp([part, other], 1))

    def through_float(q: SSAValue) -> SSAValue:
        return net.quantize(net.dequantize(q, 0.1, 4), 0.07, -3, np.int8)

    def product(q: SSAValue) -> SSAValue:
        transposed = net(graph.TransposeOp(q, (0, 1, 3, 2)))
        op = graph.QMatMulOp(q, transposed, a_zero_point=-1, b_zero_point=6)
        return requantize(net(op))

    layers = [convolution, padded_pool, sum_pool, table, joined, through_float, product]
    for index in generator.permutation(len(layers)):
        q = layers[index](q)
    return q


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_every_op_keeps_its_bits(seed: int) -> None:
    generator = np.random.default_rng(seed)
    net = Net((SHAPE, np.int8))
    q = _integer_layers(net, generator, net.inputs[0])
    module = net.module(q, net.dequantize(q, 0.3, 2))
    unsigned = run_passes(module, "unsign-activations")
    assert operations(unsigned).count("recode") == 2
    assert set(_signed_results(unsigned)) <= {"graph.constant", "graph.recode"}
    x = codes(generator, SHAPE, np.int8)
    for before, after in zip(outputs(module, x), outputs(unsigned, x), strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype


@settings(max_examples=10, deadline=None)
@given(values=st.lists(st.integers(-128, 127), min_size=256, max_size=256))
def test_tables_of_signed_and_unsigned_codes(values: list[int]) -> None:
    for source, target in ((np.int8, np.int8), (np.int8, np.uint8), (np.uint8, np.int8)):
        table: Any = np.array(values, np.int8).view(target)
        net = Net(((256,), source))
        module = net.module(net(graph.LutOp(net.inputs[0], table)))
        x = np.arange(256).astype(np.uint8).view(source)
        unsigned = run_passes(module, "unsign-activations")
        np.testing.assert_array_equal(outputs(module, x)[0], outputs(unsigned, x)[0])


def test_recodes_of_the_model_cancel() -> None:
    net = Net(((4,), np.int8))
    unsigned = net(graph.RecodeOp(net.inputs[0]))
    signed = net(graph.RecodeOp(unsigned))
    module = net.module(net.dequantize(signed, 0.5, 3))
    after = run_passes(module, "unsign-activations")
    assert operations(after) == ["recode", "dequantize"]
    x = np.array([-128, -1, 0, 127], np.int8)
    np.testing.assert_array_equal(outputs(module, x)[0], outputs(after, x)[0])
