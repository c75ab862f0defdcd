"""prove-accumulation passes what pack-weights made, and fails on anything forged."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
from lpc.compiler.codegen.targets import by_name
from lpc.compiler.contractions import layer
from lpc.compiler.contractions.depthwise import pack_depthwise
from lpc.compiler.contractions.forms import FORMS, OFFSET3, PAIRS, PAIRS2, PAIRS4
from lpc.compiler.contractions.unpack import constants_of, geometry_of, unpack
from lpc.compiler.contractions.winograd import POINTS
from lpc.compiler.contractions.winograd_packing import pack_points, pack_taps, tile_for
from lpc.compiler.dialects import graph
from lpc.compiler.dialects.tensors import Array
from lpc.compiler.driver import TO_FUSED, TO_PACKED, TO_PLACED
from lpc.compiler.passes import pack_weights, winograd
from lpc.compiler.passes.pack_weights import PackWeights
from lpc.compiler.passes.prove_accumulation import ProveAccumulation
from nets import Net, codes, run_passes
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.utils.exceptions import VerifyException


def packed(
    target: str = "avx2", groups: int = 1, bias: int = 0, in_halves: bool = False
) -> ModuleOp:
    """A 3×3 convolution of 8 channels by weights of full range, packed: in chains, if not
    `in_halves`."""
    generator = np.random.default_rng(0)
    net = Net(((1, 8, 6, 6), np.uint8))
    weight = codes(generator, (8, 8 // groups, 3, 3), np.int8)
    constants = [net.constant(weight), net.constant(np.full(8, bias, np.int32))]
    module = net.module(net(graph.QConv2dOp(net.inputs[0], *constants, groups=groups)))
    module = run_passes(module, *TO_PACKED)
    pack(module, target, in_halves)
    return module


def pack(module: ModuleOp, target: str, in_halves: bool = False) -> None:
    """So small a layer would choose halves."""
    choices = layer.choices_in_halves if in_halves else lambda *_: []
    with mock.patch.object(layer, "choices_in_halves", choices):
        PackWeights(target).apply(Context(), module)


def weights_of(module: ModuleOp) -> graph.PackedWeightsOp:
    return next(op for op in module.walk() if isinstance(op, graph.PackedWeightsOp))


def prove(module: ModuleOp) -> None:
    ProveAccumulation().apply(Context(), module)


def constant_of(module: ModuleOp, operand: int) -> Array:
    """What the packed weights are made of."""
    owner = weights_of(module).operands[operand].owner
    assert isinstance(owner, graph.ConstantOp)
    return owner.array


def forge(module: ModuleOp, operand: int, change: Callable[[Array], Array | None]) -> None:
    """Replaces a constant of the packed weights by a changed copy, or by what `change` returns."""
    op, array = weights_of(module), constant_of(module, operand).copy()
    other = change(array)
    constant = graph.ConstantOp(array if other is None else other)
    block = op.parent
    assert block is not None
    block.insert_op_before(constant, op)
    op.operands[operand] = constant.result


@pytest.mark.parametrize("target", ["sse42", "avx2", "avx512", "avx512_vnni"])
@pytest.mark.parametrize("groups", [1, 8])
def test_what_was_packed_is_proved(target: str, groups: int) -> None:
    module = packed(target, groups)
    assert "proved" not in weights_of(module).attributes
    prove(module)
    assert "proved" in weights_of(module).attributes


@pytest.mark.parametrize("target", ["sse42", "avx2", "avx512"])
def test_halves_are_weights_of_eight_bits(target: str) -> None:
    def change(data: Array) -> None:
        data.view(np.int16)[5] = 128

    module = packed(target, in_halves=True)
    assert weights_of(module).form.data == "halves"
    prove(module.clone())
    forge(module, 0, change)
    with pytest.raises(VerifyException, match="16 bits"):
        prove(module)


@pytest.mark.parametrize("form", [PAIRS2, PAIRS4, OFFSET3])
def test_a_cheaper_form_than_the_weights_admit(form: object) -> None:
    def change(counts: Array) -> None:
        column = next(i for i, f in enumerate(FORMS) if f is form)
        total = sum(n * f.chain for n, f in zip(counts[0], FORMS, strict=True))
        counts[:] = 0
        counts[:, column], rest = divmod(total, FORMS[column].chain)
        counts[:, FORMS.index(PAIRS)] = rest

    module = packed()
    forge(module, 2, change)
    with pytest.raises(VerifyException, match="16 bits"):
        prove(module)


@pytest.mark.parametrize("other", [0, -1, 2, 10**6])
def test_an_input_that_is_missing(other: int) -> None:
    """Other inputs instead: again those of another step, none, across two runs, far away."""

    def change(starts: Array) -> None:
        starts[0][starts[0] > 24] = other
        starts[0, 0] = 22 if other == 2 else starts[0, 0]

    module = packed()
    forge(module, 1, change)
    with pytest.raises(VerifyException, match="inputs"):
        prove(module)


def gathered() -> ModuleOp:
    """Two runs of 33 inputs for 24 channels."""
    generator = np.random.default_rng(0)
    net = Net(((1, 33, 9, 9), np.uint8))
    weight = np.rint(generator.normal(0, 40, (24, 33, 2, 1))).clip(-128, 127).astype(np.int8)
    module = net.module(net(graph.QConv2dOp(net.inputs[0], net.constant(weight))))
    module = run_passes(module, *TO_PACKED)
    with mock.patch.object(layer, "choices_in_forms", layer.choices_of_teams):
        PackWeights("avx2").apply(Context(), module)
    assert weights_of(module).form.data == "gathered"
    prove(module.clone())
    return module


@pytest.mark.parametrize("other", [1, -1, 33, 10**6])
def test_an_input_that_is_not_gathered(other: int) -> None:
    """Another instead: one of another step, none, one behind its run, far away."""

    def change(inputs: Array) -> None:
        inputs[0][inputs[0] == 0] = other

    module = gathered()
    forge(module, 1, change)
    with pytest.raises(VerifyException, match="inputs"):
        prove(module)


def test_an_order_of_another_kind() -> None:
    """First inputs of windows, one for each step, where four should be."""
    module = gathered()
    forge(module, 1, lambda inputs: inputs[:, :, 0].copy())
    with pytest.raises(VerifyException, match="inputs"):
        prove(module)


def test_a_weight_of_no_input() -> None:
    """Whatever is read there instead would be multiplied by it."""
    module = gathered()
    (step, place), *_ = np.argwhere(constant_of(module, 1)[0] < 0)
    _, vectors, lanes = weights_of(module).tile.get_values()

    def change(data: Array) -> None:
        data[4 * lanes * vectors * step + place] = 1

    forge(module, 0, change)
    with pytest.raises(VerifyException, match="inputs"):
        prove(module)


def test_weights_moved_into_an_unproved_chain() -> None:
    """The data changed after packing: a pair of 127 and 127 where small weights were proved."""
    generator = np.random.default_rng(1)
    net = Net(((1, 8, 6, 6), np.uint8))
    small = net.constant(generator.integers(-20, 20, (8, 8, 3, 3)).astype(np.int8))
    module = run_passes(net.module(net(graph.QConv2dOp(net.inputs[0], small))), *TO_PACKED)
    pack(module, "avx2")

    def change(data: Array) -> None:
        data[:64] = 127

    forge(module, 0, change)
    with pytest.raises(VerifyException, match="16 bits"):
        prove(module)


def test_a_depthwise_form_that_the_weights_do_not_admit() -> None:
    module = packed(groups=8)
    op = weights_of(module)
    assert op.form.data == "halves"
    weight, block = unpack(op, *constants_of(op)), op.parent
    assert block is not None
    repacked = graph.ConstantOp(pack_depthwise(geometry_of(op)[0], weight, 8))
    block.insert_op_before(repacked, op)
    op.operands[0] = repacked.result
    op.properties["form"] = StringAttr("bytes")
    with pytest.raises(VerifyException, match="16 bits"):
        prove(module)


def test_thirty_two_bits() -> None:
    with pytest.raises(VerifyException, match="32 bits"):
        prove(packed(bias=2**31 - 1))


@pytest.mark.parametrize("form", ["points", "taps"])
def test_sums_of_winograd_fit_with_their_factor(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger weights than those the pass accepted: their sums fit, 64 times them do not."""
    monkeypatch.setattr(winograd, "pays", lambda op, target: True)
    monkeypatch.setattr(pack_weights, "stores_taps", lambda *sizes: form == "taps")
    net = Net(((1, 128, 6, 6), np.uint8))
    small, large = (np.full((16, 128, 3, 3), value, np.int8) for value in (100, 127))
    module = net.module(net(graph.QConv2dOp(net.inputs[0], net.constant(small))))
    module = run_passes(module, *TO_FUSED, "winograd", *TO_PLACED)
    PackWeights("avx2").apply(Context(), module)
    assert weights_of(module).form.data == form
    prove(module)
    pack = pack_taps if form == "taps" else pack_points

    def change(data: Array) -> None:
        data[:] = pack(large, tile_for(by_name("avx2"), 16))

    forge(module, 0, change)
    with pytest.raises(VerifyException, match="32 bits"):
        prove(module)


def test_points_that_are_no_transform_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "pays", lambda op, target: True)
    monkeypatch.setattr(pack_weights, "stores_taps", lambda *sizes: False)
    net = Net(((1, 16, 6, 6), np.uint8))
    weight = np.ones((16, 16, 3, 3), np.int8)
    module = net.module(net(graph.QConv2dOp(net.inputs[0], net.constant(weight))))
    module = run_passes(module, *TO_FUSED, "winograd", *TO_PLACED)
    PackWeights("avx2").apply(Context(), module)

    def change(data: Array) -> None:
        data[7 * len(data) // POINTS + 4] += 1

    forge(module, 0, change)
    with pytest.raises(VerifyException, match="16 bits"):
        prove(module)
