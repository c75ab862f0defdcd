"""One contraction with constant weights: its choices of tiles, and its weights packed for one.

Depends on nothing but what a `Layer` holds, so that layers can be packed in parallel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

import numpy as np

from ..codegen.targets import Target
from ..dialects.layout import Layout
from ..dialects.tensors import Array
from . import gathered_tile, halves, matrix_tile
from .chains import ALONE
from .gathered_tile import MOST_BYTES, bytes_of
from .geometry import Contraction, Grid, Runs, run_inputs, runs_of
from .ordered_tile import Choice, estimate_ordered_tiles, estimate_shared_panels
from .packing import (
    PackedGemm,
    chunked_steps,
    k_width,
    pack_gemm,
    sample_blocks,
    steps_per_run,
    unpack_gemm,
)
from .tile import Tile, estimates, rank_tiles, ranked

_Sizes: TypeAlias = tuple[Target, bool, int, int, int, int, int, int]

#: Blocks that an estimate is made from.
_SAMPLE = 3
#: By how much the mean sizes of the weights of alike layers differ.
_ALIKE = 1 / 16
#: How much more a layer may cost with another target's packing than with its own.
_DEAREST = 1.15


@dataclass(frozen=True)
class Layer:
    """`terms`: the weights [O, I/groups, kh, kw] as s8 summands, or one f32 array. `leader`: the
    target whose packing is preferred, in a library that holds both (`leader_of`)."""

    contraction: Contraction
    layout: Layout
    grid: Grid
    terms: list[Array]
    target: Target
    leader: Target | None = None

    @property
    def runs(self) -> Runs:
        return runs_of(self.contraction, self.layout)

    @property
    def in_forms(self) -> bool:
        """Whether steps are sorted by form of dot product (forms.py), unless they are halves."""
        return self.contraction.quantized and self.target.dot4 is None

    @property
    def is_one_matrix(self) -> bool:
        """Whether each input has one weight for each output: one group, and one term."""
        return self.contraction.groups == 1 and len(self.terms) == 1

    @property
    def shape(self) -> str:
        """Equal for layers of a target that differ in nothing but their weights."""
        return repr((self.target.name, self.contraction, self.layout, self.grid, len(self.terms)))

    @property
    def key(self) -> str:
        """Equal for layers that have the same choices and take the same time."""
        digest = sha256(self.shape.encode())
        for term in self.terms if self.in_forms else ():
            digest.update(term.tobytes())
        return digest.hexdigest()[:32]

    @property
    def seconds(self) -> float:
        """What packing takes, roughly."""
        return sum(term.size for term in self.terms) * (3e-7 if self.in_forms else 1e-8)


def leader_of(target: Target, library: Sequence[Target], quantized: bool) -> Target | None:
    """Which of a library's targets chooses how weights are packed; None: `target` itself.

    The one with the widest registers: its panels suit narrower ones. Steps in forms do not: wider
    blocks need more of them, which only SSE is asked to bear, for AVX2."""
    in_forms = quantized and target.dot4 is None
    alike = [other for other in library if (quantized and other.dot4 is None) == in_forms]
    # Panels for tile registers suit vectors only by chance; tile registers take those for vectors.
    alike = [other for other in alike if other.tile_dot4 is None]
    if in_forms:
        alike = [other for other in alike if other.vector_bytes <= 32]
    widest = max((other.vector_bytes for other in alike), default=0)
    leader = next((other for other in reversed(alike) if other.vector_bytes == widest), target)
    return None if leader == target or widest < target.vector_bytes else leader


def pack_layer(layer: Layer, choice: Choice | None = None) -> tuple[Choice, PackedGemm]:
    """What is chosen, and the weights. `choice`: None for the first that `rank_choices` gives."""
    c, runs, terms = layer.contraction, layer.runs, layer.terms
    choice = choice or shared_choice(layer) or rank_choices(layer)[0]
    packed = pack_gemm(c, runs, terms, choice, layer.target)
    if packed.team and bytes_of(runs, packed.most_steps, layer.target) > MOST_BYTES:
        # Some team has many more steps than the one that was tried, or than those of a like layer.
        choice = ranked(_without_teams(layer))[0]
        packed = pack_gemm(c, runs, terms, choice, layer.target)
    weight = terms[0] if len(terms) == 1 else np.sum(terms, axis=0, dtype=np.int32)
    assert np.array_equal(unpack_gemm(c, runs, packed), weight)
    return choice, packed


def models_of(layers: Sequence[Layer]) -> list[int]:
    """Of each layer the number of the first one that is like it, itself perhaps.

    One choice suits both, and they can share code: they have one shape, and weights that are about
    as large on average, which decides on forms."""
    models: dict[str, list[tuple[float, int]]] = {}
    result = []
    for number, layer in enumerate(layers):
        size = _mean_size(layer) if layer.in_forms else 0.0
        known = models.setdefault(layer.shape, [])
        alike = (n for other, n in known if abs(size - other) <= _ALIKE * other)
        if (model := next(alike, None)) is None:
            known.append((size, number))
        result.append(number if model is None else model)
    return result


def _mean_size(layer: Layer) -> float:
    """Of the weights, which are s8: |−128| is 128 as u8."""
    return float(np.mean([np.abs(term).view(np.uint8).mean() for term in layer.terms]))


def rank_choices(layer: Layer) -> tuple[Choice, ...]:
    """The few with the least estimated times, best first."""
    if layer.in_forms:
        return ranked(choices_in_forms(layer))
    return matrix_tile.preferred(choices_in_registers(layer), _in_vectors(layer))


def choices_in_forms(layer: Layer) -> list[tuple[float, Choice]]:
    return _without_teams(layer) + choices_of_teams(layer)


def _without_teams(layer: Layer) -> list[tuple[float, Choice]]:
    return _ordered_estimates(layer) + choices_in_halves(layer)


def choices_of_teams(layer: Layer) -> list[tuple[float, Choice]]:
    """(cycles, choice) for steps that gather their inputs; nothing for a layer whose weights would
    be several terms, or has groups."""
    if not layer.is_one_matrix:
        return []
    sizes = (layer.target, layer.grid, layer.contraction.outputs, layer.runs)
    return gathered_tile.estimates(*sizes, lambda channels: _team(layer, channels))


def _team(layer: Layer, channels: int) -> Array:
    """The weights [channels, inputs] of some team of so many channels."""
    tile = Tile(1, channels // layer.target.lanes, layer.target.lanes)
    (block,) = _sample(layer, tile, 1)
    inputs = run_inputs(layer.runs, steps_per_run(layer.contraction, layer.runs, tile))
    return block.reshape(channels, -1)[:, inputs]


def _in_vectors(layer: Layer) -> list[tuple[float, Choice]]:
    return [(cost, Choice(tile, ALONE)) for cost, tile in estimates(*_natural(layer, 0))]


def choices_in_halves(layer: Layer, panel: int = 0) -> list[tuple[float, Choice]]:
    """(cycles, choice); nothing for a layer whose weights would be several terms, or has groups."""
    c, runs = layer.contraction, layer.runs
    if not layer.is_one_matrix:
        return []
    sizes = (c.outputs, len(runs.offsets), runs.length)
    return halves.estimates(layer.target, layer.grid, *sizes, panel)


def choices_in_registers(layer: Layer) -> list[tuple[float, Choice]]:
    """(cycles, choice); nothing for a layer, or a target, that tile registers do not suit."""
    c, runs = layer.contraction, layer.runs
    if layer.target.tile_dot4 is None or matrix_tile.unsuitable(c):
        return []
    walks, steps = matrix_tile.walks_of(c, layer.layout), -(-runs.length // c.k_step)
    sizes = (c.outputs, layer.target.lanes, _run_count(layer), steps)
    found = matrix_tile.estimates(walks, *sizes, _pixel_bytes(layer) // len(runs.offsets))
    return [(cost, Choice(tile, ALONE, in_registers=True)) for cost, tile in found]


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


def shared_choice(layer: Layer) -> Choice | None:
    """A choice whose packed weights are those of the leader; None if it would cost too much."""
    if layer.leader is None or layer.contraction.groups > 1:
        return None
    led = rank_choices(replace(layer, target=layer.leader, leader=None))[0]
    target, outputs = layer.target, layer.contraction.outputs
    panel, rest = divmod(led.tile.channels, target.lanes)
    whole = [-(-outputs // lanes) * lanes for lanes in (target.lanes, led.tile.lanes)]
    if rest or whole[0] != whole[1] or whole[0] % led.tile.channels:
        return None  # the last panels would differ
    if not layer.in_forms and rank_choices(layer)[0].in_registers:
        return _shared_in_registers(layer, panel)
    if not layer.in_forms:
        tile = rank_tiles(*_natural(layer, panel))[0]
        return Choice(replace(tile, n=panel), ALONE, panel // tile.n)
    if led.in_halves:
        shared = [
            (cost, replace(own, tile=replace(own.tile, n=panel), share=panel // own.tile.n))
            for cost, own in choices_in_halves(layer, panel)
        ]
    elif led.team:
        team = _team(layer, led.tile.channels * led.team)
        sizes = (target, layer.grid, outputs, layer.runs)
        shared = gathered_tile.shared_estimates(*sizes, team, led)
    else:
        sample = _sample(layer, replace(led.tile, m=1), _SAMPLE)
        shared = estimate_shared_panels(
            target, layer.grid, outputs, sample, _run_count(layer), _pixel_bytes(layer), led.menu
        )
    if not shared:
        return None
    cost, choice = min(shared, key=lambda estimate: estimate[0])
    least = min(cost for cost, _ in choices_in_forms(layer))
    return choice if cost <= _DEAREST * least else None


def _shared_in_registers(layer: Layer, panel: int) -> Choice | None:
    """A tile of tile registers for panels of so many vectors, in which no chunks overlap."""
    steps, found = -(-layer.runs.length // 4), choices_in_registers(layer)
    fitting = [(cost, choice) for cost, choice in found if panel % choice.tile.n == 0]
    own = matrix_tile.least(found)
    if chunked_steps(steps) != steps or matrix_tile.least(fitting) > _DEAREST * own:
        return None
    choice = ranked(fitting)[0]
    tile = replace(choice.tile, n=panel)
    return replace(choice, tile=tile, share=panel // choice.tile.n)


def _natural(layer: Layer, panel: int) -> _Sizes:
    """What tiles of vectors depend on, for steps in natural order."""
    c, runs, grid, target = layer.contraction, layer.runs, layer.grid, layer.target
    width = k_width(c, runs, Tile(1, 1, target.lanes))
    steps = len(runs.offsets) * -(-width // c.k_step)
    pixel_bytes = layer.layout.channel_stride * c.strides[1] * (1 if c.quantized else 4)
    shape = (grid.rows, grid.columns, c.outputs, steps, pixel_bytes)
    return target, c.quantized, *shape, panel


def _ordered_estimates(layer: Layer) -> list[tuple[float, Choice]]:
    lanes = layer.target.lanes

    def sampler(n: int, most: int) -> list[Array]:
        return _sample(layer, Tile(1, n, lanes), most)

    outputs, runs = layer.contraction.outputs, _run_count(layer)
    own = _pixel_bytes(layer)
    return estimate_ordered_tiles(layer.target, layer.grid, outputs, sampler, runs, own)


def _pixel_bytes(layer: Layer) -> int:
    """Inputs of a pixel's windows that its neighbour in the row does not read."""
    c = layer.contraction
    own = min(c.kernel[1], c.strides[1]) / c.kernel[1]
    return round(len(layer.runs.offsets) * layer.runs.length * own)


def _sample(layer: Layer, tile: Tile, most: int) -> list[Array]:
    return sample_blocks(layer.contraction, layer.runs, layer.terms, tile, most)


def _run_count(layer: Layer) -> int:
    return len(layer.runs.offsets) * len(layer.terms)
