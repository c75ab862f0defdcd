"""What every op of the graph dialect shares."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, cast

from xdsl.dialects.builtin import DenseArrayBase, TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import IRDLOperation, ParsePropInAttrDict, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from .. import shapes
from ..tensors import array_to_numpy, shape_of

Tensor = TensorType[Attribute]


_FORMAT = "operands attr-dict `:` functional-type(operands, results)"


def like(x: SSAValue, element_type: Attribute) -> Tensor:
    return TensorType(cast(Any, element_type), shape_of(x))


class GraphOp(IRDLOperation, ABC):
    """A pure op on tensors, printed as `operands {properties} : functional type`."""

    traits = traits_def(Pure())
    assembly_format: ClassVar[str] = _FORMAT
    irdl_options = (ParsePropInAttrDict(),)

    def infer_shape(self) -> shapes.Shape | None:
        """The shape that the operands imply (ValueError: none); None when any is allowed."""
        return None

    def verify_(self) -> None:
        try:
            expected = self.infer_shape()
        except ValueError as error:
            raise VerifyException(str(error)) from error
        if expected is not None and shape_of(self.results[0]) != expected:
            raise VerifyException(f"result shape {shape_of(self.results[0])} should be {expected}")


def ints(attribute: DenseArrayBase[Any]) -> tuple[int, ...]:
    return tuple(int(v) for v in array_to_numpy(attribute))
