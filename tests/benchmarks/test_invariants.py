"""What holds for every quantized network, seen on those of the zoo (design: Invariants).

Nothing is compiled: the graph and the list of steps say it all."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from lpc.compiler import driver
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.dialects import graph, loop
from lpc.compiler.dialects.layout import SLACK, Layout
from lpc.compiler.dialects.tensors import type_of, value_dtype
from lpc.compiler.frontends.onnx import load_onnx
from lpc.compiler.passes.places import place_of
from lpc.compiler.passes.rewriting import returned_values, view_source
from lpc.compiler.signature import main_function, source_layers
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from benchmarks import zoo
from benchmarks.builder import NetworkBuilder
from benchmarks.networks import MINI, NETWORKS
from benchmarks.qdq import quantize

NAMES = (*MINI, "mobilenet_v2", "resnet50")
CONTRACTIONS = {"Conv", "Gemm", "MatMul"}
FUSED = {
    "Add", "Relu", "Clip", "Sigmoid", "HardSwish", "HardSigmoid", "Div", "Erf", "QuantizeLinear",
    "DequantizeLinear",
}  # fmt: skip
# What moves elements to where no channels-last image is, and then has no kernel to ride in.
MOVED = {"mini_shuffle": "", "mini_transformer": "embedded", "mini_bert": ""}
# Read by several concatenations, each of which wants it on another grid.
REUSED = re.compile(r"denseblock\..*concat\.output\.codes\.QuantizeLinear")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zoo")


@cache
def imported(name: str, folder: Path) -> ModuleOp:
    """The network, the large ones for small images: the layers are the same."""
    shape = MINI[name].shape if name in MINI else (3, 64, 64)
    builder = NetworkBuilder(name, shape, 0, "fold", 1)
    path = folder / f"{name}.onnx"
    zoo.save(quantize(builder.finish(NETWORKS[name].build(builder))), path)
    return load_onnx(path, warn=lambda _: None)


@cache
def int8(name: str, folder: Path) -> ModuleOp:
    module = imported(name, folder).clone()
    driver.run_passes(module, driver.new_context(), (*driver.TO_SPLIT, *driver.TO_INT8))
    return module


@cache
def packed(name: str, folder: Path) -> ModuleOp:
    module = int8(name, folder).clone()
    driver.run_passes(module, driver.new_context(), driver.TO_PACKED)
    return module


def steps(name: str, folder: Path) -> list[tuple[str, str]]:
    """(layer, exec_type) of what runs, in order."""
    module, target = packed(name, folder).clone(), by_name("avx512_vnni")
    levels = driver.target_levels(module, target, driver.new_context(), lambda *_: None)
    lowered = next(level for level in levels if level.name == "loop").module
    rows = []
    for op in lowered.body.block.ops:
        if isinstance(op, loop.StepOp):
            layer, kind = (op.properties_.data[key] for key in ("layer", "exec_type"))
            assert isinstance(layer, StringAttr)
            assert isinstance(kind, StringAttr)
            rows.append((layer.data, kind.data))
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_integer_after_int8(name: str, folder: Path) -> None:
    for op in int8(name, folder).walk():
        assert not isinstance(op, graph.FakeQuantizeOp | graph.Conv2dOp | graph.MatMulOp)
        if isinstance(op, graph.QuantizeOp):
            # Of the input, or of an elementwise sum or product: not of what was codes before.
            assert not isinstance(op.input.owner, graph.DequantizeOp)
        if isinstance(op, graph.DequantizeOp):
            users = {type(use.operation) for use in op.result.uses}
            assert not users & {graph.QuantizeOp, graph.QConv2dOp, graph.QMatMulOp}


@pytest.mark.parametrize("name", NAMES)
def test_counters(name: str, folder: Path) -> None:
    executed = defaultdict(list)
    ran = steps(name, folder)
    for layer, kind in ran:
        executed[layer].append(kind)
    for layer, kind in source_layers(imported(name, folder)):
        got = executed.get(layer, [])
        if kind in CONTRACTIONS:
            work = [g for g in got if g.startswith(("gemm_", "conv_", "matmul_"))]
            assert len(work) == 1, layer
            assert all(g.endswith("_I8") for g in got), layer
        elif kind in FUSED and not layer.startswith("input."):
            if layer == MOVED.get(name) or REUSED.fullmatch(layer):
                continue
            assert not got, f"{kind} {layer} runs as {got}"
    kinds = [kind.split("_")[0] for _, kind in ran]
    first = next(i for i, kind in enumerate(kinds) if kind in ("gemm", "conv"))
    assert "reorder" not in kinds[first:] or name in MOVED
    floats = [kind.removesuffix("_avx512_vnni_FP32") for _, kind in ran if kind.endswith("FP32")]
    assert floats[0] == "eltwise"
    assert set(floats[1:]) <= {"layer_norm", "softmax"}


def lives(func: FuncOp) -> list[tuple[int, int, int, int]]:
    """(first byte, end, first kernel, last kernel) of every tensor with memory of its own in the
    workspace."""
    block = func.body.block
    first: dict[SSAValue, int] = {}
    last: dict[SSAValue, int] = {}
    starts: dict[SSAValue, int] = {}
    returned = {view_source(value) for value in returned_values(block)}
    for number, op in enumerate(block.ops):
        if not isinstance(op, graph.KernelOp):
            continue
        for operand in op.operands:
            last[place_of(operand).whole] = number
        place, item = place_of(op.outputs[0]), value_dtype(op.outputs[0]).itemsize
        placement, offset = (op.attributes[key] for key in ("placement", "offset"))
        assert isinstance(placement, StringAttr)
        assert isinstance(offset, IntegerAttr)
        assert (placement.data == "output") == (place.whole in returned)
        if placement.data == "workspace":
            start = offset.value.data - place.channel * item
            assert starts.setdefault(place.whole, start) == start
            first.setdefault(place.whole, number)
            last[place.whole] = number
    result = []
    for value, start in starts.items():
        size = Layout.of_type(type_of(value)).size * value_dtype(value).itemsize
        result.append((start, start + size + SLACK, first[value], last[value]))
    return result


@pytest.mark.parametrize("name", NAMES)
def test_workspace(name: str, folder: Path) -> None:
    func = main_function(packed(name, folder))
    tensors = lives(func)
    size = func.attributes["workspace_size"]
    assert isinstance(size, IntegerAttr)
    assert -(-max(end for _, end, _, _ in tensors) // 64) * 64 == size.value.data
    for number, (start, end, first, last) in enumerate(tensors):
        assert start % 64 == 0
        for other_start, other_end, other_first, other_last in tensors[:number]:
            together = first <= other_last and other_first <= last
            assert not together or end <= other_start or other_end <= start
    total = sum(end - start for start, end, _, _ in tensors)
    assert size.value.data < total / 2  # memory is shared


@pytest.mark.parametrize("name", NAMES)
def test_everything_rides_in_a_kernel(name: str, folder: Path) -> None:
    outside = {
        type(op)
        for op in main_function(packed(name, folder)).body.block.ops
        if isinstance(op, graph.GraphOp)
    }
    assert outside <= {graph.ConstantOp, graph.ReshapeOp, graph.ConcatOp}  # the last two are views
