"""Every chain of real networks, on the inputs that drive it to its bounds: 255 where the weight is
positive and 0 where it is negative, and the reverse."""

from __future__ import annotations

from pathlib import Path

import pytest
from chain_semantics import adversarial_inputs, assert_chains_exact
from lpc.compiler import demo, driver
from lpc.compiler.codegen.targets import TARGETS, Target
from lpc.compiler.contractions.packing import panels_of
from lpc.compiler.contractions.unpack import constants_of, geometry_of, packed_gemm
from lpc.compiler.dialects import graph
from lpc.compiler.passes.pack_weights import PackWeights
from xdsl.context import Context

OLDER = [target for target in TARGETS if target.dot4 is None]
NETWORKS = ("kws_int8_qdq", "ic_int8_qdq", "vww_int8_qdq", "ad_int8_qdq", "sww_int8_qdq")


def assert_network_exact(
    model: Path, target: Target, shapes: dict[str, tuple[int, ...]] | None = None
) -> None:
    module = driver.load_model(model, shapes)
    passes = (*driver.TO_SPLIT, *driver.TO_INT8, *driver.TO_PACKED)
    driver.run_passes(module, driver.new_context(), passes)
    PackWeights(target.name).apply(Context(), module)
    blocks = 0
    for op in list(module.walk()):
        if not isinstance(op, graph.PackedWeightsOp):
            continue
        data, order = constants_of(op)
        if not order:
            continue
        packed = packed_gemm(op, data, order)
        assert packed.orders is not None
        panels = panels_of(geometry_of(op)[0], packed)
        for panel, steps in zip(panels, packed.orders, strict=True):
            assert_chains_exact(panel, steps.counts, adversarial_inputs(panel))
            blocks += 1
    assert blocks


@pytest.mark.parametrize("target", OLDER, ids=lambda t: t.name)
def test_demo_network(target: Target, tmp_path: Path) -> None:
    model = tmp_path / "digits.onnx"
    with demo.resource("digits_int8.onnx") as path:
        model.write_bytes(path.read_bytes())
    assert_network_exact(model, target, {"input": (1, 1, 8, 8)})


@pytest.mark.parametrize("name", NETWORKS)
def test_trained_networks(name: str, models_dir: Path) -> None:
    assert_network_exact(models_dir / "onnx" / f"{name}.onnx", OLDER[1])
