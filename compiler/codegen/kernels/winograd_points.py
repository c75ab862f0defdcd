"""Products of a Winograd convolution whose weights are stored as points, transformed (winograd.py).

A unit is a group of tiles of one part, as many as registers have room for, × a block of channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate

from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.winograd_tiling import INPUTS, Part
from ...dialects.graph.winograd import POINTS
from ..builder import Index
from .winograd import WinogradGenerator
from .winograd_parts import by_part


class PointsGenerator(WinogradGenerator):
    @property
    def tiles(self) -> int:
        return min(self.tile.m, max(part.tiles for part in self.tiling.parts))

    @property
    def units(self) -> int:
        return self.blocks * self._ends_of_groups()[-1]

    def _ends_of_groups(self) -> list[int]:
        """How many groups the parts have up to and with each."""
        return list(
            accumulate(
                sum(count for count, _ in self.groups(part.tiles)) for part in self.tiling.parts
            )
        )

    def emit_unit(self, unit: SSAValue) -> None:
        """Groups or blocks go outside, whichever are dearer to read again."""
        b, ends = self.b, self._ends_of_groups()
        if self.points.layout.size * 2 > len(self.weights):
            group, block = b.div(unit, self.blocks), b.rem(unit, self.blocks)
        else:
            block, group = b.div(unit, ends[-1]), b.rem(unit, ends[-1])
        before = dict(zip(self.tiling.parts, [0, *ends], strict=False))
        by_part(
            b,
            group,
            ends,
            self.tiling.parts,
            lambda part: self._group_of_points(part, b.sub(group, before[part]), block),
        )

    def _group_of_points(self, part: Part, group: Index, block: Index) -> None:
        """A part's group of tiles × one block of channels."""
        b = self.b
        (count, m), *shorter = self.groups(part.tiles)
        first: Index = b.add(b.mul(group, m), part.first)
        size: Index = m
        if not shorter:
            self._multiply_points(part, block, first, m)
        else:
            # Those behind the first `count` are one tile shorter.
            first = b.sub(first, b.maximum(b.sub(group, count), 0))
            size = b.sub(m, b.minimum(b.maximum(b.sub(group, count - 1), 0), 1))
            with b.branch(b.compare("ult", group, count)) as blocks:
                self._multiply_points(part, block, first, m)
            with b.otherwise(blocks):
                self._multiply_points(part, block, first, m - 1)
        with b.loop(0, size) as tiles:
            self.finish(part, block, b.add(first, tiles.variable), tiles.variable)

    def _multiply_points(self, part: Part, block: Index, first: Index, m: int) -> None:
        """Tiles [first, first + m), of one part, × one block of channels."""
        b = self.b
        weights = b.address(self.weight_base, b.mul(block, POINTS * self.panel_bytes))
        zero = b.constant(0, i32, self.tile.lanes)
        with self._points_of_part(part) as point:
            w = b.address(weights, b.mul(point, self.panel_bytes))
            x = self.points_of(point, first)
            sums = self.products(x, w, self.pairs, m, [zero] * (m * self.tile.n))
            self.store_sums(sums, self.place(point, 0))

    @contextmanager
    def _points_of_part(self, part: Part) -> Iterator[Index]:
        """A loop over the points that its tiles have."""
        b, rows, columns = self.b, part.rows.points, part.columns.points
        if columns == INPUTS:
            with b.loop(0, rows * columns) as points:
                yield points.variable
        else:
            with b.loop(0, rows) as ys, b.loop(0, columns) as xs:
                yield b.add(b.mul(ys.variable, INPUTS), xs.variable)
