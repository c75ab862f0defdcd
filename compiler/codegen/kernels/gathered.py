"""The inputs of steps that gather them (contractions/gathering.py), for a strip of pixels.

A *strip* has as many pixels as a vector has bytes: four vectors of them, in 32-bit lanes. Each of
those is a tile, or two.

    for each strip:                       (`spread`, once for a group of blocks)
      row[input] = its codes of all pixels of the strip
    for each team of blocks:              (`gather`)
      for each step with inputs a b c d:
        word[vector of pixels][step] = bytes of row[a], row[b], row[c], row[d], interleaved

Interleaving twice makes four vectors of one. It works within 16 bytes of a vector, so a row begins
with the pixels 0–3 of each of the four, then has their pixels 4–7, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...contractions.forms import StepOrder
from ...contractions.gathered_tile import VECTORS, piece_rows, row_of_inputs
from ...contractions.tile import LINE
from ...dialects.layout import LANES
from ...dialects.loop import vector_of
from ...dialects.tensors import Array
from ..builder import Index, i8, i16
from .accumulate import Panel, Work
from .chains import LIST, OrderedAccumulator
from .common import Parameters, unpack_mask

#: Rows are told apart by multiples of so many bytes, which an address can scale by.
_UNIT = 8
#: Bytes between the words of two vectors of pixels, lest these be a power of two apart: a step
#: writes to all, and 512 inputs take 0.99 of the time on Zen 3.
_APART = 5 * LINE


@dataclass(frozen=True)
class TilePixels:
    """Addresses of the windows of a tile's first pixel, and of its last."""

    first: SSAValue
    last: SSAValue


class GatheredAccumulator(OrderedAccumulator):
    def prepare(self, tables: Parameters) -> None:
        self.vector = self.target.vector_bytes
        self.entry_bytes = self.vector
        self.source_bytes, self.pixel_bytes = self.pixel_bytes, 4
        self.pieces = piece_rows(self.run_length) // LANES
        runs = len(self.run_offsets)
        self.offsets = tables.add(np.asarray(self.run_offsets, np.int32))
        self.rows = self.b.scratch(runs * self.pieces * LANES * self.vector)
        #: Tiles of a vector of pixels.
        self.parts = self.lanes // self.packed.tile.m
        assert self.parts * self.packed.tile.m == self.lanes
        self.words_bytes = self.packed.most_steps * self.vector + _APART
        self.words = self.b.scratch(VECTORS * self.words_bytes)
        super().prepare(tables)

    def lists(self, orders: Sequence[StepOrder]) -> tuple[Array, Array]:
        team, parts, begins, size = self.packed.team, list[Array](), list[int](), 0
        rows = row_of_inputs(len(self.run_offsets), self.run_length, self.packed.steps)
        for first in range(0, len(orders), team):
            inputs = orders[first].starts[: orders[first].executed]
            # What is read where there is no input does not matter: its weight is zero.
            part = rows[np.maximum(inputs, 0)] * self.vector // _UNIT
            assert part.max() < 1 << 16
            parts.append(part.astype(np.uint16).reshape(-1))
            begins += [size] * len(orders[first : first + team])
            size += parts[-1].nbytes
        return np.concatenate(parts), np.asarray(begins)

    def first_entry(self, work: Work) -> SSAValue:
        return work.x

    def source(self, entries: SSAValue, place: Index, work: Work) -> SSAValue:
        return self.b.address(entries, place)

    def tile(self, number: Index) -> SSAValue:
        """Where a tile of the strip has its words."""
        b = self.b
        place = b.mul(b.div(number, self.parts), self.words_bytes)
        part = b.mul(b.rem(number, self.parts), self.vector // self.parts)
        # Without `renew`, LLVM forwards what was stored there.
        return b.address(b.renew(self.words), b.add(place, part))

    # --- inputs → rows --------------------------------------------------------------------------

    def spread(self, tiles: Sequence[TilePixels], m: int) -> None:
        """Fills the rows; tiles have up to m pixels."""
        b = self.b
        with b.loop(0, len(self.run_offsets)) as runs:
            entry = b.add(b.mul(runs.variable, 4), self.offsets)
            offset = b.to_index(b.load(self.table_base, entry, i32))
            with b.loop(0, self.pieces) as pieces:
                place = b.mul(pieces.variable, LANES)
                if self.run_length % LANES:
                    place = b.minimum(place, self.run_length - LANES)
                lines = self._lines(tiles, m, b.add(offset, place))
                row = b.add(b.mul(runs.variable, self.pieces), pieces.variable)
                to = b.address(self.rows, b.mul(row, LANES * self.vector))
                for i, line in enumerate(self._transposed(lines)):
                    b.store(line, to, i * self.vector)

    def _lines(self, tiles: Sequence[TilePixels], m: int, place: Index) -> list[SSAValue]:
        """Sixteen inputs of the pixels that become byte 0, 1, … of every 16 of a row."""
        b, kind, lines = self.b, vector_of(i8, LANES), []
        for first in range(0, len(tiles), self.parts):
            pixels = []
            for tile in tiles[first : first + self.parts]:
                places = [b.add(place, i * self.source_bytes) for i in range(m - 1)]
                pixels += [b.load(tile.first, at, kind) for at in places]
                pixels += [b.load(tile.last, place, kind)] * (self.lanes // self.parts - m + 1)
            lines += [b.joined(pixels[i::4]) for i in range(4)]
        return lines

    def _transposed(self, lines: list[SSAValue]) -> list[SSAValue]:
        """16 × 16 bytes, in every 16 of a vector."""
        half = LANES // 2
        for _ in range(LANES.bit_length() - 1):
            pairs = zip(lines[:half], lines[half:], strict=True)
            lines = [mixed for pair in pairs for mixed in self._unpacked(*pair, 1)]
        return lines

    def _unpacked(self, a: SSAValue, other: SSAValue, width: int) -> list[SSAValue]:
        """Elements of so many bytes in turns, the low and the high half of every 16 bytes."""
        masks = [unpack_mask(self.vector, width, high) for high in (False, True)]
        return [self.b.shuffle(a, other, mask) for mask in masks]

    # --- rows → words ---------------------------------------------------------------------------

    def gather(self, panel: Panel) -> None:
        """Fills the words of all tiles, for the team that a panel belongs to."""
        b, kind = self.b, vector_of(i8, self.vector)
        entries = b.address(self.table_base, panel.entries[LIST])
        with b.loop(0, self.steps(panel)) as steps:
            read = []
            for i in range(4):
                place = b.add(b.mul(steps.variable, 8), 2 * i)
                row = b.to_index(b.convert("zext", b.load(entries, place, i16), i32))
                read.append(b.load(self.rows, b.mul(row, _UNIT), kind))
            to = b.address(self.words, b.mul(steps.variable, self.vector))
            first, second, third, fourth = read
            pairs = zip(
                self._unpacked(first, second, 1), self._unpacked(third, fourth, 1), strict=True
            )
            words = [word for pair in pairs for word in self._unpacked(*pair, 2)]
            for i, word in enumerate(words):
                b.store(word, to, i * self.words_bytes)
