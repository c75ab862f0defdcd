"""Layers that are alike take one choice of tile and forms, and nobody else's."""

from __future__ import annotations

import numpy as np
from lpc.compiler import driver
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.contractions.forms import FORMS
from lpc.compiler.contractions.layer import Layer, models_of, rank_choices
from lpc.compiler.contractions.unpack import constants_of
from lpc.compiler.dialects import graph
from lpc.compiler.passes.pack_weights import layers_of, pack_weights
from nets import Net
from xdsl.dialects.builtin import ModuleOp

TARGET = by_name("avx2")


def module_of(*cases: tuple[int, int, float]) -> ModuleOp:
    """Products of 49 × inputs by inputs × outputs, of Gaussian weights of a deviation."""
    net, results = Net(*(((49, inputs), np.uint8) for inputs, _, _ in cases)), []
    for number, (inputs, outputs, deviation) in enumerate(cases):
        g = np.random.default_rng(number)
        weight = g.normal(0, deviation, (inputs, outputs)).clip(-127, 127).astype(np.int8)
        results.append(net(graph.QMatMulOp(net.inputs[number], net.constant(weight))))
    module, context = net.module(*results), driver.new_context()
    driver.run_passes(module, context, driver.TO_FUSED)
    driver.place(module, TARGET, context)
    return module


def layers(*cases: tuple[int, int, float]) -> list[Layer]:
    return [layer for _, layer in layers_of(module_of(*cases), TARGET)]


def test_shape_and_size_of_weights_make_layers_alike() -> None:
    alike, narrower, smaller, close = (
        (256, 64, 36.0),
        (128, 64, 36.0),
        (256, 64, 20.0),
        (256, 64, 37.0),
    )
    found = layers(alike, narrower, alike, smaller, close, smaller, narrower)
    assert models_of(found) == [0, 1, 0, 3, 0, 3, 1]


def test_alike_layers_are_packed_alike() -> None:
    """In the forms of the first one's choice, although others would choose otherwise."""
    cases = [(64, 64, 47.0)] * 6
    module = module_of(*cases)
    choices = [rank_choices(layer)[0] for _, layer in layers_of(module, TARGET)]
    assert len({(choice.menu, choice.team) for choice in choices}) > 1
    pack_weights(module, TARGET, {})
    packed = [op for op in module.walk() if isinstance(op, graph.PackedWeightsOp)]
    assert len(packed) == len(cases)
    for op in packed:
        _, (_, counts) = constants_of(op)
        used = {form for form, column in zip(FORMS, counts.T, strict=True) if column.any()}
        assert used <= {choices[0].menu.first, choices[0].menu.second}
        assert (op.form.data == "gathered") == (choices[0].team > 0)
