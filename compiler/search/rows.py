"""Kernels that run in the compiler, for the search for lanes (contractions/gathering.py).

Numpy has nothing that decides what to do next a million times. So the two inner loops of the search
are kernels of the loop dialect, like those that they search for, and run on this CPU.

A *lane* is a set of inputs, each with weights in some channels. A *row* holds sizes: the positive
parts of the weights of an input, or of a sum of inputs, in all channels, then the negative ones.
All other numbers are i64, unless it says otherwise.
"""

from __future__ import annotations

import numpy as np
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from ..codegen.builder import Index, KernelBuilder, i16, index_type
from ..dialects.loop import vector_of
from ..dialects.tensors import Array

#: Sizes of a vector, and its bytes.
WIDTH = 16
VECTOR_BYTES = 2 * WIDTH
#: Bytes of a number.
NUMBER = 8
_VECTOR = vector_of(i16, WIDTH)


def rows_of(weights: Array) -> Array:
    """i16 [inputs, 2·channels], channels padded to whole vectors, of weights [channels, inputs]
    s8."""
    wide = weights.T.astype(np.int16)
    padding = (0, 0), (0, -len(weights) % WIDTH)
    parts = [np.pad(np.maximum(part, 0), padding) for part in (wide, -wide)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


class RowKernel(KernelBuilder):
    """Builds a kernel of rows and numbers."""

    def number(self, base: SSAValue, place: Index) -> SSAValue:
        return self.load(base, self.mul(place, NUMBER), index_type)

    def put(self, value: Index, base: SSAValue, place: Index) -> None:
        self.store(self.index(value), base, self.mul(place, NUMBER))

    def plus(self, a: SSAValue, other: SSAValue) -> SSAValue:
        return self.binary(arith.AddiOp, a, other)

    def minus(self, a: SSAValue, other: SSAValue) -> SSAValue:
        return self.binary(arith.SubiOp, a, other)

    def sizes(self, row: SSAValue, place: Index) -> SSAValue:
        """A vector of a row."""
        return self.load(row, place, _VECTOR)

    def every(self, size: Index) -> SSAValue:
        """A vector of equal sizes."""
        if isinstance(size, int):
            return self.constant(size, i16, WIDTH)
        return self.splat(self.op(arith.IndexCastOp, [size], i16), WIDTH)

    def total(self, lanes: SSAValue) -> SSAValue:
        """The sum of all lanes of a vector."""
        size = WIDTH
        while size > 1:
            size //= 2
            low, high = (self.shuffle(lanes, lanes, range(i, i + size)) for i in (0, size))
            lanes = self.plus(low, high)
        return self.to_index(self.extract(lanes, 0))

    def one_if(self, condition: SSAValue) -> SSAValue:
        return self.select(condition, self.index(1), self.index(0))

    def listed(
        self, count: Index, to: SSAValue, chosen: SSAValue, most: Index | None = None
    ) -> SSAValue:
        """Lists the numbers below `count` whose number in `chosen` is not 0, up to so many; how
        many. `to`: room for one more."""
        with self.loop(0, count, carried=[self.index(0)]) as each:
            found = each.carried[0]
            self.put(each.variable, to, found)
            is_chosen = self.compare("ne", self.number(chosen, each.variable), 0)
            if most is not None:
                has_room = self.compare("slt", found, most)
                is_chosen = self.binary(arith.AndIOp, is_chosen, has_room)
            each.next = [self.plus(found, self.one_if(is_chosen))]
        return each.results[0]
