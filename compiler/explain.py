"""Per layer of the source model: the precision it asks for, the one it gets, and why they differ.

    asked   I8 if every tensor the layer reads is quantized, weights included; else FP32
    got     I8 if it is computed from codes, FP32 if not; fused if nothing of its own is left;
            border for a conversion where 8-bit values begin or end

Asked is read off the graph at level `import`, got off the one at `int8`; both are the same for all
targets. Quantize and dequantize nodes are listed only where they are still work of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from .codegen.targets import Target
from .collector import collector_paused
from .compilation import Shapes, shared_levels, verify
from .dialects import graph
from .dialects.loop import StepOp
from .dialects.tensors import is_code, type_of
from .driver import Progress, levels
from .passes.constant_codes import constant_weights
from .passes.grids import Grid, dequantized
from .passes.kernel_classes import MOVEMENT
from .passes.rewriting import constant_of
from .signature import source_layers

_INTEGER = (
    graph.QConv2dOp,
    graph.QMatMulOp,
    graph.QSumPoolOp,
    graph.RequantizeOp,
    graph.LutOp,
    graph.RecodeOp,
)
_MOVING: tuple[type[Operation], ...] = (*MOVEMENT, graph.MaxPoolOp)
_ELEMENTWISE = (graph.BinaryOp, graph.UnaryOp)
_BORDER = (graph.QuantizeOp, graph.DequantizeOp)


@dataclass(frozen=True)
class Explanation:
    layer: str
    kind: str
    asked: str
    got: str
    why: str


def explain(model: Path, input_shapes: Shapes | None = None) -> list[Explanation]:
    """A row for every layer, in source order; LpcError for a model that does not compile."""
    asked: dict[str, str] = {}
    layers: tuple[tuple[str, str], ...] = ()
    remaining: dict[str, list[Operation]] = {}
    for level in shared_levels(model, input_shapes):
        if level.name == "import":
            layers = source_layers(level.module)
            asked = {layer: _asked(ops) for layer, ops in _by_layer(level.module).items()}
        remaining = _by_layer(level.module)
    rows = []
    for layer, kind in layers:
        ops = remaining.get(layer, [])
        if kind in ("QuantizeLinear", "DequantizeLinear"):
            rows += [_border_row(layer, kind, op) for op in ops if _is_own_work(op)]
        elif layer in asked:
            rows.append(_row(layer, kind, asked[layer], ops))
    return rows


def kernels(
    model: Path, target: Target, input_shapes: Shapes | None, progress: Progress
) -> tuple[dict[str, str], dict[str, str]]:
    """Layer → execType of its kernel, and layer → which way it is computed, and why, on targets
    that have two (`path` of pack-weights). Compiles as far as that takes."""
    paths: dict[str, str] = {}
    with collector_paused(), closing(levels(model, (target,), input_shapes, progress)) as stages:
        for level in stages:
            verify(level)
            if level.name == "packed":
                paths = _paths(level.module)
            elif level.name == "loop":
                return _exec_types(level.module), paths
    raise AssertionError("no level 'loop'")


def _exec_types(module: ModuleOp) -> dict[str, str]:
    steps: list[Any] = [op.properties_.data for op in module.ops if isinstance(op, StepOp)]
    return {step["layer"].data: step["exec_type"].data for step in steps}


def _paths(module: ModuleOp) -> dict[str, str]:
    found = {}
    for op in module.walk():
        path, kernel = op.attributes.get("path"), op.parent_op()
        if isinstance(path, StringAttr) and isinstance(kernel, graph.KernelOp):
            layer = kernel.attributes.get("layer")
            found[layer.data if isinstance(layer, StringAttr) else ""] = path.data
    return found


def _row(layer: str, kind: str, asked: str, ops: Sequence[Operation]) -> Explanation:
    got, why = _got(ops)
    if got == "fused":
        return Explanation(layer, kind, "", got, why)
    if asked == "FP32" and any(isinstance(op, graph.QConv2dOp | graph.QMatMulOp) for op in ops):
        why = "its float32 weights lie on an 8-bit grid"
    return Explanation(layer, kind, asked, got, why)


def _by_layer(module: ModuleOp) -> dict[str, list[Operation]]:
    ops: dict[str, list[Operation]] = {}
    for op in module.walk():
        layer = op.attributes.get("layer")
        if isinstance(layer, StringAttr) and not isinstance(op, graph.ConstantOp):
            ops.setdefault(layer.data, []).append(op)
    return ops


# --- asked ----------------------------------------------------------------------------------------


def _asked(ops: Sequence[Operation]) -> str:
    own = set(ops)
    outside = [value for op in ops for value in _data_operands(op) if value.owner not in own]
    return "I8" if outside and all(map(_is_quantized, outside)) else "FP32"


def _data_operands(op: Operation) -> Sequence[SSAValue]:
    """What the layer reads; weights count, other constants (bias, slope, limits) do not."""
    if isinstance(op, graph.Conv2dOp | graph.MatMulOp):
        return op.operands[:2]
    return [value for value in op.operands if constant_of(value) is None]


def _is_quantized(value: SSAValue) -> bool:
    if is_code(value) or isinstance(value.owner, graph.DequantizeOp | graph.FakeQuantizeOp):
        return True
    return isinstance(value.owner, _MOVING) and all(map(_is_quantized, value.owner.operands))


# --- got ------------------------------------------------------------------------------------------


def _got(ops: Sequence[Operation]) -> tuple[str, str]:
    """(precision, reason) of what is left of one layer."""
    own = [op for op in ops if not isinstance(op, _BORDER)]
    if not own:
        return "fused", "is part of its neighbours' arithmetic"
    if any(isinstance(op, _INTEGER) for op in own):
        return "I8", ""
    real = [op for op in own if not is_code(op.results[0])]
    if not real:
        return "I8", "moves codes"
    if all(_is_between_codes(op) for op in real):
        return "I8", "8-bit in and out; rounds in registers as the model states"
    return "FP32", _why_real(next(op for op in real if not _is_between_codes(op)))


def _is_between_codes(op: Operation) -> bool:
    """Whether `op` belongs to elementwise arithmetic from dequantized codes to quantized ones."""
    return _comes_from_codes(op) and _goes_to_codes(op)


def _comes_from_codes(op: Operation | Block) -> bool:
    if isinstance(op, graph.DequantizeOp | graph.ConstantOp):
        return True
    return isinstance(op, _ELEMENTWISE) and all(_comes_from_codes(v.owner) for v in op.operands)


def _goes_to_codes(op: Operation) -> bool:
    users = [use.operation for result in op.results for use in result.uses]
    return all(
        isinstance(user, graph.QuantizeOp)
        or (isinstance(user, _ELEMENTWISE) and _is_between_codes_below(user))
        for user in users
    )


def _is_between_codes_below(op: Operation) -> bool:
    return all(_comes_from_codes(value.owner) for value in op.operands) and _goes_to_codes(op)


# --- why ------------------------------------------------------------------------------------------


def _why_real(op: Operation) -> str:
    real = [value for value in _data_operands(op) if dequantized(value) is None]
    if isinstance(op, graph.Conv2dOp | graph.MatMulOp):
        if op.operands[0] in real:
            return f"reads {_origin(op.operands[0])}"
        axis, summed = (0, (1, 2, 3)) if isinstance(op, graph.Conv2dOp) else _matmul_axes(op)
        if op.operands[1] in real:
            return "its weights are not quantized"
        if _is_constant(op.operands[1]) and constant_weights(op.operands[1], axis, summed) is None:
            return "its weights have scales along another axis than its outputs"
        return _why_not_integer(op.operands[0])
    if real:
        return f"reads {_origin(real[0])}"
    if isinstance(op, graph.AvgPoolOp):
        return _why_not_integer(op.input)
    if isinstance(op, _ELEMENTWISE):
        return "its result stays float32"
    return "has no 8-bit form in lpc"


def _matmul_axes(op: graph.MatMulOp) -> tuple[int, tuple[int, ...]]:
    rank = len(type_of(op.b).get_shape())
    return rank - 1, (rank - 2,)


def _is_constant(value: SSAValue) -> bool:
    dequantize = dequantized(value)
    return dequantize is not None and constant_of(dequantize.input) is not None


def _why_not_integer(activation: SSAValue) -> str:
    """The input is quantized, and yet `integerize-contractions` declined."""
    dequantize = dequantized(activation)
    assert dequantize is not None
    grid = Grid.of(dequantize)
    low, high = graph.code_range(type_of(dequantize.input).element_type)
    outside = grid.zero_points[(grid.zero_points < low) | (grid.zero_points > high)]
    if len(outside):
        return f"its input's zero point {outside[0]} is no code of its type"
    if not grid.has_one_zero_point:
        return "its input has a zero point per channel, which a sum over channels cannot take out"
    if not grid.is_per_tensor:
        return "its input has a scale per channel, which a sum over channels cannot take out"
    return "32 bits might not hold its sums, or its bias is no constant"


def _origin(value: SSAValue) -> str:
    """Where a float value comes from, in the words of the source model."""
    if isinstance(value.owner, Block):
        return "the model's float32 input"
    if constant_of(value) is not None:
        return "a float32 constant"
    layer = value.owner.attributes.get("layer")
    name = f"'{layer.data}'" if isinstance(layer, StringAttr) else value.owner.name
    return f"the float32 result of {name}"


# --- quantize and dequantize nodes ----------------------------------------------------------------


def _is_own_work(op: Operation) -> bool:
    if isinstance(op, graph.QuantizeOp):
        return not (isinstance(op.input.owner, _ELEMENTWISE) and _comes_from_codes(op.input.owner))
    return isinstance(op, graph.DequantizeOp) and not _goes_to_codes(op)


def _border_row(layer: str, kind: str, op: Operation) -> Explanation:
    if isinstance(op, graph.QuantizeOp):
        return Explanation(layer, kind, "", "border", f"reads {_origin(op.input)}")
    users = (use.operation for result in op.results for use in result.uses)
    return Explanation(layer, kind, "", "border", f"feeds {_readers(users)}")


def _readers(users: Iterable[Operation]) -> str:
    names = []
    for user in users:
        layer = user.attributes.get("layer")
        if isinstance(user, ReturnOp):
            names.append("the model's float32 output")
        elif isinstance(layer, StringAttr):
            names.append(f"'{layer.data}' in float32")
    return ", ".join(dict.fromkeys(names))
