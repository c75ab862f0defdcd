"""What a model says of its inputs and outputs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # what a program imports, it waits for
    import numpy as np

_ITEM_BYTES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "int32": 4,
    "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8,
}  # fmt: skip


class TensorSpec(NamedTuple):
    """A model input or output; `element` is the name of its dtype."""

    name: str
    element: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        import numpy as np

        return np.dtype(self.element)

    @property
    def item_bytes(self) -> int:
        return _ITEM_BYTES[self.element]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.item_bytes
