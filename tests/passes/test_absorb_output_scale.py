"""absorb-output-scale changes no code, whatever the grids, and declines what it cannot prove."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.passes import absorb_output_scale
from nets import Net, outputs, run_passes
from xdsl.dialects.builtin import ModuleOp

PASS = "absorb-output-scale"


def combined(
    generator: np.random.Generator, dtypes: tuple[Any, Any, Any], adds: bool, relu: bool
) -> tuple[ModuleOp, list[Array]]:
    """All pairs of codes: one operand along the rows, the other along the columns."""
    net = Net(((256, 1), dtypes[0]), ((1, 256), dtypes[1]))
    values, codes = [], []
    for x, dtype in zip(net.inputs, dtypes[:2], strict=True):
        info = np.iinfo(dtype)
        codes.append(np.arange(info.min, info.max + 1).astype(dtype))
        zero_point = int(generator.integers(info.min, info.max + 1))
        scale = np.float32(generator.uniform(0.001, 0.1))
        values.append(net(graph.DequantizeOp(x, scale, zero_point, 1)))
    value = net((graph.AddOp if adds else graph.MulOp)(*values))
    if relu:
        value = net(graph.UnaryOp("relu", value))
    info = np.iinfo(dtypes[2])
    scale = np.float32(generator.uniform(0.01, 0.1) * (1 if adds else 0.1))
    zero_point = int(generator.integers(info.min, info.max + 1))
    result = net.quantize(value, scale, zero_point, dtypes[2])
    return net.module(result), [codes[0][:, None], codes[1][None]]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    dtypes=st.tuples(*[st.sampled_from((np.uint8, np.int8))] * 3),
    adds=st.booleans(),
    relu=st.booleans(),
)
def test_every_pair_of_codes_stays_the_same(
    seed: int, dtypes: tuple[Any, Any, Any], adds: bool, relu: bool
) -> None:
    module, codes = combined(np.random.default_rng(seed), dtypes, adds, relu)
    after = run_passes(module, PASS)
    np.testing.assert_array_equal(outputs(after, *codes)[0], outputs(module, *codes)[0])
    (quantize,) = (op for op in after.walk() if isinstance(op, graph.QuantizeOp))
    if quantize.scales[0] == 1:
        assert not [op for op in after.walk() if isinstance(op, graph.UnaryOp)]
        assert not relu or quantize.qmin.value.data >= quantize.zero_points[0]


def test_most_cases_succeed() -> None:
    done = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        module, _ = combined(generator, (np.uint8, np.uint8, np.uint8), seed % 2 == 0, False)
        after = run_passes(module, PASS)
        done += any(isinstance(o, graph.QuantizeOp) and o.scales[0] == 1 for o in after.walk())
    assert done >= 10


def test_without_exact_constants_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absorb_output_scale, "_MOVES", [])
    module, _ = combined(np.random.default_rng(0), (np.uint8, np.uint8, np.uint8), True, True)
    assert str(run_passes(module, PASS)) == str(module)
