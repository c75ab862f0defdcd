"""Tensors known at compile time."""

from __future__ import annotations

from typing import Any

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr
from xdsl.irdl import irdl_op_definition, prop_def, result_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from ..tensors import Array, dense, dense_to_numpy
from .base import GraphOp, Tensor

_ELEMENTS_PRINTED_BY_XDSL = 1 << 14


@irdl_op_definition
class ConstantOp(GraphOp):
    """A tensor known at compile time: `graph.constant {value = dense<…> : T} : T`."""

    name = "graph.constant"
    assembly_format = None  # type: ignore[assignment]  # printed and parsed by hand, for speed
    value = prop_def(DenseIntOrFPElementsAttr)
    result = result_def(Tensor)

    def __init__(self, value: DenseIntOrFPElementsAttr[Any] | Array):
        attribute = (
            value if isinstance(value, DenseIntOrFPElementsAttr) else dense(np.asarray(value))
        )
        super().__init__(properties={"value": attribute}, result_types=[attribute.type])

    @property
    def array(self) -> Array:
        return dense_to_numpy(self.value)

    def verify_(self) -> None:
        if self.value.type != self.result.type:
            raise VerifyException(f"value of type {self.value.type} does not match the result")

    def print(self, printer: Printer) -> None:
        printer.print_string(" {value = ")
        _print_dense(printer, self.value)
        for name, attribute in self.attributes.items():
            printer.print_string(f", {name} = ")
            printer.print_attribute(attribute)
        printer.print_string("} : ")
        printer.print_attribute(self.result.type)

    @classmethod
    def parse(cls, parser: Parser) -> ConstantOp:
        attributes = parser.parse_optional_attr_dict()
        value = attributes.pop("value", None)
        if not isinstance(value, DenseIntOrFPElementsAttr):
            parser.raise_error("graph.constant needs a dense 'value'")
        parser.parse_punctuation(":")
        result_type = parser.parse_type()
        return cls.create(
            result_types=[result_type], properties={"value": value}, attributes=attributes
        )


def _print_dense(printer: Printer, value: DenseIntOrFPElementsAttr[Any]) -> None:
    """xDSL unpacks every element to print it, and loses the bits of a NaN: these go out as hex."""
    array = dense_to_numpy(value)
    if array.size <= _ELEMENTS_PRINTED_BY_XDSL and not np.isnan(array).any():
        printer.print_attribute(value)
        return
    bits = np.frombuffer(value.data.data, f"u{array.itemsize}")
    payload = bits[:1] if (bits == bits[0]).all() else bits
    printer.print_string(f'dense<"0x{payload.tobytes().hex().upper()}"> : ')
    printer.print_attribute(value.get_type())
