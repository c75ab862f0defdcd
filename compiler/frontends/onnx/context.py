"""What a converter sees of its node: inputs (graph values or known arrays), attributes, emission.

A value is an array while it is known at compile time; `graph.constant` appears only where a graph
op consumes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import onnx
from onnx import NodeProto, TensorProto
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Block, Operation, SSAValue

from ...dialects import graph
from ...dialects.tensors import Array, element_type_of, shape_of, value_dtype
from .files import read_tensor

Value: TypeAlias = "SSAValue | Array"
Results: TypeAlias = "Value | Sequence[Value]"
T = TypeVar("T")


class NodeError(Exception):
    """`reason; remedy` of a node that cannot be imported; the importer adds file, node and op."""


@dataclass
class Scope:
    """The function being built: its block and the ONNX names defined so far."""

    block: Block
    opset: int
    values: dict[str, Value | TensorProto] = field(default_factory=dict)
    constants: dict[str, SSAValue] = field(default_factory=dict)

    def lookup(self, name: str) -> Value:
        if name not in self.values:
            raise NodeError(
                f"input '{name}' is produced by no earlier node, initializer or graph input; "
                "the model is damaged or not topologically sorted, export it again"
            )
        value = self.values[name]
        if isinstance(value, TensorProto):
            try:
                value = read_tensor(value)
            except ValueError as error:
                raise NodeError(f"{error}; export the model again") from error
            self.values[name] = value
        return value

    def materialize(self, name: str, layer: str) -> SSAValue:
        """The named value as graph value; a known array becomes one shared graph.constant."""
        value = self.lookup(name)
        if isinstance(value, SSAValue):
            return value
        if name not in self.constants:
            self.constants[name] = self.constant(value, layer)
        return self.constants[name]

    def constant(self, array: Array, layer: str) -> SSAValue:
        try:
            element_type_of(array.dtype)
        except KeyError as error:
            raise NodeError(
                f"a constant has type {array.dtype}; convert the model to float32 and "
                "8-, 32- or 64-bit integers"
            ) from error
        return self.emit(graph.ConstantOp(array), layer)

    def emit(self, op: Operation, layer: str) -> SSAValue:
        op.attributes["layer"] = StringAttr(layer)
        op.verify()
        for result in op.results:
            if 0 in shape_of(result):
                raise NodeError(
                    f"a tensor of shape {list(shape_of(result))} has no elements; "
                    "compile for sizes of at least 1"
                )
        self.block.add_op(op)
        return op.results[0]


class Node:
    """One ONNX node during its conversion."""

    def __init__(self, scope: Scope, proto: NodeProto, name: str):
        self.scope, self.proto, self.name = scope, proto, name
        self.attributes = {a.name: _attribute_value(a) for a in proto.attribute}

    @property
    def opset(self) -> int:
        return self.scope.opset

    def attribute(self, name: str, default: T) -> T:
        return cast(T, self.attributes.get(name, default))

    def has(self, index: int) -> bool:
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def value(self, index: int) -> Value:
        if not self.has(index):
            raise NodeError(f"input {index} is missing; export the model again")
        return self.scope.lookup(self.proto.input[index])

    def tensor(self, index: int) -> SSAValue:
        """Input `index` of any type as graph value."""
        self.value(index)
        return self.scope.materialize(self.proto.input[index], self.name)

    def real(self, index: int) -> SSAValue:
        """Input `index`, which must be float32, as graph value."""
        x = self.tensor(index)
        if value_dtype(x) != np.float32:
            raise NodeError(
                f"input {index} ('{self.proto.input[index]}') is {value_dtype(x)} and not known "
                "at compile time; this op runs on float32 only, insert a Cast or DequantizeLinear"
            )
        return x

    def known(self, index: int, what: str) -> Array:
        """Input `index`, which must be known at compile time."""
        value = self.value(index)
        if isinstance(value, SSAValue):
            raise NodeError(
                f"{what} ('{self.proto.input[index]}') is computed at run time; "
                "it must be a constant, simplify the model or make it an initializer"
            )
        return value

    def known_ints(self, index: int, what: str) -> tuple[int, ...]:
        return tuple(int(v) for v in self.known(index, what).reshape(-1))

    def emit(self, op: Operation, layer: str | None = None) -> SSAValue:
        return self.scope.emit(op, layer or self.name)

    def constant(self, array: Any) -> SSAValue:
        return self.scope.constant(np.asarray(array), self.name)

    def scalar(self, value: float) -> SSAValue:
        return self.constant(np.float32(value))

    def reshape(self, x: SSAValue, shape: Sequence[int]) -> SSAValue:
        return x if shape_of(x) == tuple(shape) else self.emit(graph.ReshapeOp(x, shape))


Converter: TypeAlias = Callable[[Node], Results]


def shape_of_value(value: Value) -> tuple[int, ...]:
    return shape_of(value) if isinstance(value, SSAValue) else value.shape


def normalized_axis(axis: int, rank: int) -> int:
    if not -rank <= axis < max(rank, 1):
        raise NodeError(f"axis {axis} is outside a tensor of rank {rank}; export the model again")
    return axis % max(rank, 1)


def _attribute_value(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return read_tensor(value) if isinstance(value, TensorProto) else value
