"""Forms of the int8 dot product on targets without VNNI, and the proofs that each one needs.

A step multiplies four input codes a ∈ [0, 255] (u8, one broadcast) with four weights per output
channel. `vpmaddubsw` adds neighbouring products in 16 bits and saturates there; which steps may use
it, and how many may be added in 16 bits before `vpmaddwd` widens them, follows from the weights.
Per 16-bit lane, over the weights that meet in it, with P = Σ w⁺ and N = Σ |w|⁻:

pairs     every pair (w0, w1): P ≤ 128 and N ≤ 128, so that
          −32768 ≤ −255·128 ≤ a0·w0 + a1·w1 ≤ 255·128 ≤ 32767 for all codes
pairs2…4  two to four steps added in 16 bits first: the same bounds over the whole chain
offset2…4 each pair as above, but over the chain only P + N ≤ 257. `vpaddw` wraps, so only the width
          255·(P + N) ≤ 65535 of the range counts; a constant per lane moves it to
          [−32768, 32767], and the bias takes that constant back

Which inputs a step reads is free, too: a block of channels chooses the windows of four inputs so
that all pairs fit (windows.py), so every weight has an exact cheap form, −128 included. The search
for chains is in chains.py; the kernel has one loop per form, and the order of exact integer sums is
free. Or any four inputs make a step, chosen for chains from the beginning (gathering.py).

Depthwise layers have one form for all taps: `pairs` (depthwise.py), or where a pair does not fit

halves    codes widened to 16 bits, two taps to a `vpmaddwd`; exact for all weights
          (depthwise_halves.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..dialects.tensors import Array


@dataclass(frozen=True)
class Form:
    """`chain`: steps added in 16 bits; `offset`: a constant per lane is added to their sum."""

    name: str
    chain: int
    offset: bool = False

    @property
    def operands(self) -> int:
        """Vectors that a chain of one vector of sums reads beside its inputs."""
        return self.chain + self.offset


PAIRS = Form("pairs", 1)
PAIRS4, PAIRS3, PAIRS2 = (Form(f"pairs{n}", n) for n in (4, 3, 2))
OFFSET4, OFFSET3, OFFSET2 = (Form(f"offset{n}", n, offset=True) for n in (4, 3, 2))
#: In the order in which a kernel runs them.
FORMS: tuple[Form, ...] = (PAIRS4, PAIRS3, PAIRS2, OFFSET4, OFFSET3, OFFSET2, PAIRS)

_LENGTHS = np.array([form.chain for form in FORMS])
HAS_OFFSET = np.array([form.offset for form in FORMS])

PAIR_LIMIT = 128
WIDTH_LIMIT = 257


@dataclass(frozen=True)
class StepOrder:
    """`starts`: in kernel order the first input of each step, as a byte of the natural order, then
    −1 where a block has fewer steps than others; of steps that gather their inputs all four, −1
    where there are fewer. `counts[f]`: how many chains of FORMS[f]."""

    starts: Array
    counts: tuple[int, ...]

    @cached_property
    def executed(self) -> int:
        """Steps that the chains run."""
        return sum(count * form.chain for form, count in zip(FORMS, self.counts, strict=True))


def lane_sums(weights: Array) -> tuple[Array, Array]:
    """Per step and 16-bit lane: P = Σ w⁺ and N = Σ |w|⁻ over the lane's pair.

    `weights`: [..., channels, steps, 4] s8; results [..., steps, 2·channels], i16."""
    wide = weights.astype(np.int16)
    sums = []
    for part in (np.maximum(wide, 0), np.maximum(-wide, 0)):
        pairs = np.swapaxes(part[..., 0::2] + part[..., 1::2], -2, -3)
        sums.append(np.ascontiguousarray(pairs).reshape(*pairs.shape[:-2], 2 * pairs.shape[-2]))
    return sums[0], sums[1]


def pairs_fit(weights: Array) -> Array:
    """Per step: whether no pair sum can leave 16 bits; `weights` as in `lane_sums`."""
    positive, negative = lane_sums(weights)
    limits = [part.max(-1, initial=0) <= PAIR_LIMIT for part in (positive, negative)]
    return np.asarray(limits[0] & limits[1])


def chain_offsets(panel: Array, counts: Array | tuple[int, ...]) -> Array:
    """What the lanes of each chain with an offset start from: i16 [chains, 2·channels].

    The least shift that moves [−255·N, 255·P] into 16 bits; arguments as in `verify_order`."""
    forms, firsts = _all_chains(counts)
    if not (shifted := HAS_OFFSET[forms]).any():
        return np.zeros((0, 2 * len(panel)), np.int16)
    sums = lane_sums(panel[:, : _LENGTHS[forms].sum()])
    positive, negative = (_chain_sums(part, forms, firsts)[shifted] for part in sums)
    down = np.minimum(32767 - 255 * positive, 0)
    up = np.maximum(255 * negative - 32768, 0)
    return np.asarray(down + up, np.int16)


def verify_order(panel: Array, counts: Array | tuple[int, ...]) -> bool:
    """Whether every chain keeps its form's bound: the proof, checked independently of the search.

    `panel`: [channels, steps, 4] s8 in kernel order, of one block, or of several one after another,
    with the `counts` of each: [blocks, forms]. Steps past the last chain are not run."""
    if np.min(counts) < 0:
        return False
    forms, firsts = _all_chains(counts)
    steps = int(_LENGTHS[forms].sum())
    if steps > panel.shape[1]:
        return False
    if not steps:
        return True
    sums = lane_sums(panel[:, :steps])
    # Pairs have a bound of their own; where there is no offset, it is the chain's as well.
    if max(part.max() for part in sums) > PAIR_LIMIT:
        return False
    positive, negative = (_chain_sums(part, forms, firsts) for part in sums)
    shifted = HAS_OFFSET[forms]
    largest = np.maximum(positive, negative)[~shifted].max(initial=0)
    widest = (positive + negative)[shifted].max(initial=0)
    return bool(largest <= PAIR_LIMIT and widest <= WIDTH_LIMIT)


def _all_chains(counts: Array | tuple[int, ...]) -> tuple[Array, Array]:
    """Of the chains of all blocks in kernel order: the number of their form, the first step."""
    table = np.atleast_2d(counts)
    forms = np.repeat(np.tile(np.arange(len(FORMS)), len(table)), table.reshape(-1))
    lengths = _LENGTHS[forms]
    return forms, np.cumsum(lengths) - lengths


def _chain_sums(sums: Array, forms: Array, firsts: Array) -> Array:
    """i32 [chains, lanes] of i16 [steps, lanes]."""
    result = sums[firsts].astype(np.int32)
    for i in range(1, max(form.chain for form in FORMS)):
        longer = _LENGTHS[forms] > i
        result[longer] += sums[firsts[longer] + i]
    return result
