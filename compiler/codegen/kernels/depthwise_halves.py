"""Depthwise int8 convolution by products of 16-bit halves, for any weights (no VNNI).

As in depthwise.py, but a dot product takes two taps: bytes of two pixels are interleaved with one
another, and then with zeros, which widens them.
"""

from __future__ import annotations

from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.depthwise import Tap
from ...contractions.depthwise_halves import tap_pairs
from ...contractions.geometry import Contraction
from ...dialects.loop import Dot2Op, vector_of
from ..builder import i8
from .common import unpack_mask
from .depthwise import DepthwiseGenerator


class DepthwiseHalvesGenerator(DepthwiseGenerator):
    @staticmethod
    def groups_of(c: Contraction) -> tuple[tuple[Tap, ...], ...]:
        return tuple((first, second) for first, second, _ in tap_pairs(c))

    def _multiply(self, total: SSAValue, a: SSAValue, w: SSAValue) -> SSAValue:
        return self.b.pin(self.b.emit(Dot2Op(total, a, w)))

    def _interleave(
        self, base: SSAValue, taps: tuple[int, ...], lanes: int, vectors: range
    ) -> list[SSAValue]:
        """Two taps of 4·lanes channels → vectors with the halves of a channel in one lane."""
        b, size = self.b, 4 * lanes
        first, second = (b.load(base, tap, vector_of(i8, size)) for tap in taps)
        zeros = b.constant(0, i8, size)
        result = []
        for i in vectors:
            pair = b.shuffle(first, second, unpack_mask(size, 1, high=i >= 2))
            wide = b.shuffle(pair, zeros, unpack_mask(size, 1, high=i % 2 > 0))
            result.append(b.bitcast(wide, i32, lanes))
        return result
