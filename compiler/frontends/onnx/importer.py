"""ONNX model → builtin.module with one `func.func @main`: walk the nodes, convert or fold each.

Every op carries `layer`, the name of its source node; the function lists all source nodes in
`layers`, also those that were folded away. Whatever goes wrong inside a node leaves here as one
LpcError that names file, node and op type.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from onnx import ModelProto, NodeProto
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from ...dialects.tensors import shape_of, tensor_type, value_dtype
from ...errors import LpcError
from . import (
    contractions,
    elementwise,
    folding,
    movement,
    pools,
    quantization,
    reductions,
    resampling,
)
from .context import Converter, Node, NodeError, Scope, Value, shape_of_value
from .files import DEFAULT_DOMAINS, layer_names, read_model
from .inputs import Dim, Inputs, declared_dims, declared_dtype, read_inputs

_DEFAULT: dict[str, Converter] = {
    **folding.CONVERTERS,
    **quantization.CONVERTERS,
    **contractions.CONVERTERS,
    **pools.CONVERTERS,
    **elementwise.CONVERTERS,
    **reductions.CONVERTERS,
    **movement.CONVERTERS,
    **resampling.CONVERTERS,
}
_DOMAINS: dict[str, dict[str, Converter]] = {
    **dict.fromkeys(DEFAULT_DOMAINS, _DEFAULT),
    "org.openvinotoolkit": quantization.OPENVINO_CONVERTERS,
}
# Operators of quantized models in another form than Q/DQ, by the beginning of their names.
_OTHER_QUANTIZED = {
    "QLinear": "quantize again with quant_format=QuantFormat.QDQ",
    "DynamicQuantize": "use quantize_static",
    "ConvInteger": "use quantize_static",
    "MatMulInteger": "use quantize_static",
}
_SHAPE_REMEDY = "correct the model, or pass the --input-shape it was made for"


def load_onnx(
    path: str | Path,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    *,
    warn: Callable[[str], None] = warnings.warn,
) -> ModuleOp:
    """The model as graph ops; LpcError where it cannot be imported.

    `input_shapes` fixes symbolic dimensions; `warn` gets one line per assumption made."""
    path = Path(path)
    model, opset = read_model(path)
    if model.graph.sparse_initializer:
        raise LpcError(f"{path}: sparse initializers are not supported; make them dense")
    inputs = read_inputs(path, model, input_shapes or {}, warn)
    return _Importer(path, model, opset, inputs, warn).run()


class _Importer:
    def __init__(
        self,
        path: Path,
        model: ModelProto,
        opset: int,
        inputs: Inputs,
        warn: Callable[[str], None],
    ):
        self.path, self.graph, self.inputs, self.warn = path, model.graph, inputs, warn
        types = [tensor_type(i.shape, i.dtype) for i in inputs.arguments]
        self.block = Block(arg_types=types)
        self.scope = Scope(self.block, opset)
        self.scope.values.update({t.name: t for t in self.graph.initializer})
        for argument, value in zip(inputs.arguments, self.block.args, strict=True):
            self.scope.values[argument.name] = value
        self.uses = Counter(name for node in self.graph.node for name in node.input)
        self.uses.update(output.name for output in self.graph.output)
        self.declared = {v.name: declared_dims(v) for v in self.graph.value_info}

    def run(self) -> ModuleOp:
        names = list(layer_names(self.graph.node))
        for proto, name in zip(self.graph.node, names, strict=True):
            self._import_node(proto, name)
        results = [self._output(info.name) for info in self.graph.output]
        self.block.add_op(ReturnOp(*results))
        _erase_dead_ops(self.block)
        layers = [
            ArrayAttr([StringAttr(name), StringAttr(proto.op_type)])
            for proto, name in zip(self.graph.node, names, strict=True)
        ]
        function = FuncOp(
            "main",
            ([a.type for a in self.block.args], [r.type for r in results]),
            Region(self.block),
        )
        function.attributes.update(
            {
                "input_names": _strings(i.name for i in self.inputs.arguments),
                "output_names": _strings(o.name for o in self.graph.output),
                "model_name": StringAttr(self.path.stem),
                "layers": ArrayAttr(layers),
            }
        )
        return ModuleOp([function])

    def _import_node(self, proto: NodeProto, name: str) -> None:
        where = f"{self.path}: node '{name}' ({proto.op_type})"
        try:
            results = self._converted(proto, name)
            self._define(proto, results)
        except NodeError as error:
            raise LpcError(f"{where}: {error}") from error
        except (ValueError, VerifyException) as error:
            raise LpcError(f"{where}: shape mismatch: {error}; {_SHAPE_REMEDY}") from error
        except Exception as error:
            message = (
                f"{where}: malformed ({type(error).__name__}: {error}); export the model again"
            )
            raise LpcError(message) from error
        for output in proto.output:
            self._check_declared(where, output)

    def _converted(self, proto: NodeProto, name: str) -> Sequence[Value]:
        for beginning, remedy in _OTHER_QUANTIZED.items():
            if proto.op_type.startswith(beginning):
                raise NodeError(f"only the Q/DQ form of quantized models is supported; {remedy}")
        if proto.domain not in _DOMAINS:
            raise NodeError(
                f"domain '{proto.domain}' is not supported; export with standard ONNX operators"
            )
        converters = _DOMAINS[proto.domain]
        is_known = proto.op_type in converters or (
            proto.domain in DEFAULT_DOMAINS and proto.op_type in folding.FOLD_ONLY
        )
        if not is_known:
            raise NodeError("unsupported operator; export the model without it")
        node = Node(self.scope, proto, name)
        if folding.is_foldable(node):
            return folding.evaluate(node)
        if proto.op_type not in converters:
            raise NodeError(
                "unsupported operator on values computed at run time; it is only evaluated on "
                "constants, replace it by supported operators"
            )
        results = converters[proto.op_type](node)
        return results if isinstance(results, Sequence) else [results]

    def _define(self, proto: NodeProto, results: Sequence[Value]) -> None:
        for index, output in enumerate(proto.output):
            if index < len(results):
                self.scope.values[output] = results[index]
            elif output and self.uses[output]:
                raise NodeError(f"output {index} ('{output}') is not supported; do not use it")

    def _output(self, name: str) -> SSAValue:
        try:
            value = self.scope.materialize(name, name)
        except NodeError as error:
            raise LpcError(f"{self.path}: output '{name}': {error}") from error
        info = next(o for o in self.graph.output if o.name == name)
        declared, dtype = declared_dims(info), declared_dtype(info)
        if declared is not None and not self._fits(declared, shape_of(value)):
            raise LpcError(
                f"{self.path}: output '{name}': shape mismatch: the model declares "
                f"{_text(declared)} but computes {_text(shape_of(value))}; {_SHAPE_REMEDY}"
            )
        if dtype is not None and dtype != value_dtype(value):
            raise LpcError(
                f"{self.path}: output '{name}': the model declares {dtype} but computes "
                f"{value_dtype(value)}; correct the model"
            )
        return value

    def _check_declared(self, where: str, name: str) -> None:
        """Warn of a wrong intermediate shape: a mere hint, stale if the batch was edited."""
        declared, value = self.declared.get(name), self.scope.values.get(name)
        if declared is None or value is None:
            return
        shape = shape_of_value(self.scope.lookup(name))
        if not self._fits(declared, shape):
            self.warn(
                f"{where}: '{name}' is declared as {_text(declared)} but is {_text(shape)}; "
                "the declaration is ignored"
            )

    def _fits(self, declared: Sequence[Dim], shape: Sequence[int]) -> bool:
        symbols = self.inputs.symbols
        sizes = [symbols.get(d) if isinstance(d, str) else d for d in declared]
        return len(sizes) == len(shape) and all(
            size is None or size == actual for size, actual in zip(sizes, shape, strict=True)
        )


def _erase_dead_ops(block: Block) -> None:
    for op in reversed(list(block.ops)):
        if op.results and not any(result.uses for result in op.results):
            block.erase_op(op)


def _strings(names: Iterable[str]) -> ArrayAttr[StringAttr]:
    return ArrayAttr([StringAttr(name) for name in names])


def _text(dims: Sequence[Dim]) -> str:
    return "[" + ",".join(str(d or "?") for d in dims) + "]"
