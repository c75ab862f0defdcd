"""One contraction with constant weights: its choices of tiles, and its weights packed for one.

Depends on nothing but what a `Layer` holds, so that layers can be packed in parallel.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from ..codegen.targets import Target
from ..dialects.layout import Layout
from ..dialects.tensors import Array
from . import matrix_tile
from .chains import FULL_MENU
from .geometry import Contraction, Grid, Runs, runs_of
from .ordered_tile import Choice, rank_ordered_tiles
from .packing import PackedGemm, k_width, pack_gemm, sample_blocks, unpack_gemm
from .tile import Tile, estimates


@dataclass(frozen=True)
class Layer:
    """`terms`: the weights [O, I/groups, kh, kw] as s8 summands, or one f32 array."""

    contraction: Contraction
    layout: Layout
    grid: Grid
    terms: list[Array]
    target: Target

    @property
    def runs(self) -> Runs:
        return runs_of(self.contraction, self.layout)

    @property
    def in_forms(self) -> bool:
        """Whether steps are sorted by form of dot product (forms.py)."""
        return self.contraction.quantized and self.target.dot4 is None

    @property
    def key(self) -> str:
        """Equal for layers that have the same choices and take the same time."""
        shape = (self.target.name, self.contraction, self.layout, self.grid, len(self.terms))
        digest = sha256(repr(shape).encode())
        for term in self.terms if self.in_forms else ():
            digest.update(term.tobytes())
        return digest.hexdigest()[:32]

    @property
    def seconds(self) -> float:
        """What packing takes, roughly."""
        return sum(term.size for term in self.terms) * (1e-7 if self.in_forms else 3e-9)


def pack_layer(layer: Layer, choice: Choice | None = None) -> PackedGemm:
    """`choice`: None for the first one that `rank_choices` gives."""
    c, runs, terms = layer.contraction, layer.runs, layer.terms
    choice = choice or rank_choices(layer)[0]
    packed = pack_gemm(c, runs, terms, choice.tile, layer.target, choice.menu, choice.in_registers)
    weight = terms[0] if len(terms) == 1 else np.sum(terms, axis=0, dtype=np.int32)
    assert np.array_equal(unpack_gemm(c, runs, packed), weight)
    return packed


def rank_choices(layer: Layer) -> tuple[Choice, ...]:
    """The few with the least estimated times, best first."""
    c, runs, grid, target = layer.contraction, layer.runs, layer.grid, layer.target
    if layer.in_forms:

        def sampler(n: int, most: int) -> list[Array]:
            return sample_blocks(c, runs, layer.terms, Tile(1, n, target.lanes), most)

        count = len(runs.offsets) * len(layer.terms)
        return rank_ordered_tiles(target, grid, c.outputs, sampler, count)
    return matrix_tile.preferred(choices_in_registers(layer), _in_vectors(layer))


def _in_vectors(layer: Layer) -> list[tuple[float, Choice]]:
    c, grid, target = layer.contraction, layer.grid, layer.target
    width = k_width(c, layer.runs, Tile(1, 1, target.lanes))
    steps = len(layer.runs.offsets) * -(-width // c.k_step)
    pixel_bytes = layer.layout.channel_stride * c.strides[1] * (1 if c.quantized else 4)
    sizes = (grid.rows, grid.columns, c.outputs, steps, pixel_bytes)
    found = estimates(target, c.quantized, *sizes)
    return [(cost, Choice(tile, FULL_MENU)) for cost, tile in found]


def choices_in_registers(layer: Layer) -> list[tuple[float, Choice]]:
    """Nothing for a layer, or a target, that tile registers do not suit."""
    c, runs = layer.contraction, layer.runs
    if layer.target.tile_dot4 is None or matrix_tile.unsuitable(c):
        return []
    count, steps = len(runs.offsets) * len(layer.terms), -(-runs.length // c.k_step)
    walks = matrix_tile.walks_of(c, layer.layout)
    found = matrix_tile.estimates(walks, c.outputs, layer.target.lanes, count, steps)
    return [(cost, Choice(tile, FULL_MENU, in_registers=True)) for cost, tile in found]


def path_of(layer: Layer, in_registers: bool) -> str:
    """Why a layer is computed in tile registers, or in vectors; empty where there is no choice."""
    if layer.target.tile_dot4 is None or not layer.contraction.quantized:
        return ""
    if reason := matrix_tile.unsuitable(layer.contraction):
        return f"vectors: {reason}"
    tiles, vectors = (matrix_tile.least(f(layer)) for f in (choices_in_registers, _in_vectors))
    runs, steps = layer.runs, -(-layer.runs.length // 4)
    chunks = f"{len(runs.offsets)}x{len(matrix_tile.chunk_starts(steps))}"
    depth = f"{chunks} chunks of {4 * matrix_tile.chunk_of(steps)} inputs"
    kind = "tile registers" if in_registers else "vectors"
    return f"{kind}: {depth}, estimated {tiles / vectors:.2f} of the time in vectors"
