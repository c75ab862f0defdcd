"""concat-in-place changes no result, and parts of one tensor do not overlap."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.layout import LANES, Layout
from lpc.compiler.dialects.tensors import shape_of, type_of
from lpc.compiler.passes.places import place_of, tensors_in
from nets import Net, codes, outputs, run_passes
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

PASSES = ("fuse-epilogue", "concat-in-place", "assign-layouts", "plan-memory")


def grown(g: np.random.Generator) -> ModuleOp:
    """Tables and concatenations of what there is so far, some of it returned."""
    net = Net(((1, 2, 3, int(g.choice((5, 16, 32)))), np.uint8))
    tensors: list[SSAValue] = [net.inputs[0]]
    for _ in range(int(g.integers(3, 14))):
        picked = tensors[int(g.integers(len(tensors)))]
        if g.random() < 0.5:
            table = g.integers(0, 256, 256).astype(np.uint8)
            tensors.append(net(graph.LutOp(picked, table)))
        else:
            count = int(g.integers(1, 4))
            parts = [tensors[int(i)] for i in g.integers(0, len(tensors), count)]
            tensors.append(net(graph.ConcatOp(parts, 3)))
    results = [t for t in tensors[1:] if not list(t.uses) or g.random() < 0.1]
    return net.module(*results)


def main(module: ModuleOp) -> FuncOp:
    func = next(iter(module.body.block.ops))
    assert isinstance(func, FuncOp)
    return func


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_same_results_and_disjoint_parts(seed: int) -> None:
    g = np.random.default_rng(seed)
    module = grown(g)
    array = codes(g, shape_of(main(module).body.block.args[0]), np.uint8)
    placed = run_passes(module, *PASSES)
    for a, b in zip(outputs(module, array), outputs(placed, array), strict=True):
        assert a.tobytes() == b.tobytes()
    wholes: dict[SSAValue, list[tuple[int, int]]] = {}
    for op in main(placed).body.block.ops:
        if isinstance(op, graph.KernelOp):
            place, layout = place_of(op.outputs[0]), Layout.of_type(type_of(op.outputs[0]))
            written = (
                -(-layout.c // LANES) * LANES if layout.channel_stride % LANES == 0 else layout.c
            )
            wholes.setdefault(place.whole, []).append((place.channel, place.channel + written))
            assert layout.channel_stride == Layout.of_type(type_of(place.whole)).channel_stride
            _check_offset(op)
    for whole, ranges in wholes.items():
        assert max(end for _, end in ranges) <= Layout.of_type(type_of(whole)).channel_stride
        assert all(end <= begin for (_, end), (begin, _) in pairwise(sorted(ranges)))
        assert all(place_of(tensor).whole is whole for tensor in tensors_in(whole))


def _check_offset(kernel: graph.KernelOp) -> None:
    """A part lies so many bytes behind the first part of its whole."""
    place = place_of(kernel.outputs[0])
    for other in tensors_in(place.whole):
        if isinstance(other.owner, graph.KernelOp) and place_of(other).channel == 0:
            assert _attribute(kernel, "placement") == _attribute(other.owner, "placement")
            start = int(str(_attribute(other.owner, "offset")))
            assert int(str(_attribute(kernel, "offset"))) == start + place.channel


def _attribute(kernel: graph.KernelOp, name: str) -> int | str:
    attribute = kernel.attributes[name]
    if isinstance(attribute, IntegerAttr):
        return int(attribute.value.data)
    assert isinstance(attribute, StringAttr)
    return attribute.data


def test_a_dense_block_is_one_tensor() -> None:
    net = Net(((1, 2, 3, 32), np.uint8))
    table = np.arange(256, dtype=np.uint8)
    features = [net(graph.LutOp(net.inputs[0], table))]
    for _ in range(5):
        joined = net(graph.ConcatOp(features, 3)) if len(features) > 1 else features[0]
        features.append(net(graph.LutOp(joined, table[::-1].copy())))
    module = net.module(features[-1])
    placed = run_passes(module, *PASSES)
    kernels = [op for op in main(placed).body.block.ops if isinstance(op, graph.KernelOp)]
    assert len(kernels) == len(features)
    assert len({place_of(kernel.outputs[0]).whole for kernel in kernels[:-1]}) == 1
