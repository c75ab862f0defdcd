"""What `@main` says of its model: names, shapes and dtypes of inputs and outputs, source layers."""

from __future__ import annotations

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp

from .codegen.program import LibraryInfo, TensorInfo
from .dialects.tensors import shape_of, value_dtype


def main_function(module: ModuleOp) -> FuncOp:
    return next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")


def library_info(module: ModuleOp) -> LibraryInfo:
    function = main_function(module)
    terminator = function.body.block.last_op
    assert isinstance(terminator, ReturnOp)
    name = function.attributes["model_name"]
    assert isinstance(name, StringAttr)
    values = {"input_names": function.args, "output_names": terminator.arguments}
    inputs, outputs = (
        tuple(
            TensorInfo(name, str(value_dtype(value)), shape_of(value))
            for name, value in zip(_strings(function, which), values[which], strict=True)
        )
        for which in values
    )
    return LibraryInfo(name.data, inputs, outputs, source_layers(module))


def source_layers(module: ModuleOp) -> tuple[tuple[str, str], ...]:
    """(name, type) of every node of the source model, in source order."""
    rows = main_function(module).attributes["layers"]
    assert isinstance(rows, ArrayAttr)
    return tuple((name.data, kind.data) for name, kind in rows)


def _strings(function: FuncOp, attribute: str) -> tuple[str, ...]:
    names = function.attributes[attribute]
    assert isinstance(names, ArrayAttr)
    return tuple(name.data for name in names)
