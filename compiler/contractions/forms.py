"""Forms of the int8 dot product on targets without VNNI, and the proofs that each one needs.

A step multiplies four input codes a ∈ [0, 255] (u8, one broadcast) with four weights per output
channel. `vpmaddubsw` adds neighbouring products in 16 bits and saturates there; which steps may use
it, and how many may be added in 16 bits before `vpmaddwd` widens them, follows from the weights.
Per 16-bit lane, over the weights that meet in it, with P = Σ w⁺ and N = Σ |w|⁻:

pairs     every pair (w0, w1): P ≤ 128 and N ≤ 128, so that
          −32768 ≤ −255·128 ≤ a0·w0 + a1·w1 ≤ 255·128 ≤ 32767 for all codes
pairs2…4  two to four steps added in 16 bits first: the same bounds over the whole chain
offset2…4 each pair as above, but over the chain only P + N ≤ 256. `vpaddw` wraps, so only the width
          255·(P + N) ≤ 65280 of the range counts; a constant per lane moves it to
          [−32768, 32767], and the bias takes that constant back. Of the 256 constants that do, or
          more, one is a multiple of 256: a byte in memory

Which inputs a step reads is free, too: a block of channels chooses the windows of four inputs so
that all pairs fit (windows.py), so every weight has an exact cheap form, −128 included. The search
for chains is in chains.py; the kernel has one loop per form, and the order of exact integer sums is
free.

Depthwise layers have one form for all taps: `pairs` (depthwise.py), or where a pair does not fit

halves    codes widened to 16 bits, two taps to a `vpmaddwd`; exact for all weights
          (depthwise_halves.py)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..dialects.tensors import Array


@dataclass(frozen=True)
class Form:
    """`chain`: steps added in 16 bits; `offset`: a constant per lane is added to their sum."""

    name: str
    chain: int
    offset: bool = False


PAIRS = Form("pairs", 1)
PAIRS4, PAIRS3, PAIRS2 = (Form(f"pairs{n}", n) for n in (4, 3, 2))
OFFSET4, OFFSET3, OFFSET2 = (Form(f"offset{n}", n, offset=True) for n in (4, 3, 2))
#: In the order in which a kernel runs them.
FORMS: tuple[Form, ...] = (PAIRS4, PAIRS3, PAIRS2, OFFSET4, OFFSET3, OFFSET2, PAIRS)

PAIR_LIMIT = 128
WIDTH_LIMIT = 256
#: What constants per lane are multiples of.
OFFSET_UNIT = 256


@dataclass(frozen=True)
class StepOrder:
    """`starts`: in kernel order the first input of each step, as a byte of the natural order, then
    −1 where a block has fewer steps than others. `counts[f]`: how many chains of FORMS[f]."""

    starts: Array
    counts: tuple[int, ...]

    @property
    def executed(self) -> int:
        """Steps that the chains run."""
        return sum(count * form.chain for form, count in zip(FORMS, self.counts, strict=True))


def chains_of(counts: tuple[int, ...]) -> Iterator[tuple[Form, Array]]:
    """Per form: the positions in kernel order of its chains, [count, chain]."""
    position = 0
    for form, count in zip(FORMS, counts, strict=True):
        size = count * form.chain
        yield form, np.arange(position, position + size).reshape(count, form.chain)
        position += size


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


def chain_offsets(panel: Array, counts: tuple[int, ...]) -> Array:
    """What the lanes of each chain with an offset start from, in `OFFSET_UNIT`s: i8 [chains,
    2·channels].

    The least shift that moves [−255·N, 255·P] into 16 bits; `panel` as in `verify_order`."""
    positive, negative = lane_sums(panel)
    parts = [np.zeros((0, positive.shape[1]), np.int8)]
    for form, chains in chains_of(counts):
        if form.offset and len(chains):
            high = 255 * positive[chains].sum(1, dtype=np.int64)
            low = -255 * negative[chains].sum(1, dtype=np.int64)
            down = np.minimum((32767 - high) // OFFSET_UNIT, 0)
            up = np.maximum(-((32768 + low) // OFFSET_UNIT), 0)
            parts.append((down + up).astype(np.int8))
    return np.concatenate(parts)


def verify_order(panel: Array, counts: tuple[int, ...]) -> bool:
    """Whether every chain keeps its form's bound: the proof, checked independently of the search.

    `panel`: [channels, steps, 4] s8 in kernel order; steps past the chains are not run."""
    steps = sum(count * form.chain for form, count in zip(FORMS, counts, strict=True))
    if min(counts) < 0 or steps > panel.shape[1]:
        return False
    positive, negative = lane_sums(panel)
    for form, chains in chains_of(counts):
        if not len(chains):
            continue
        # Pairs have a bound of their own where the chain's is another one.
        groups = chains.reshape(-1, 1) if form.offset else chains
        for part in (positive, negative):
            if part[groups].sum(1, dtype=np.int64).max() > PAIR_LIMIT:
                return False
        width = (positive + negative)[chains].sum(1, dtype=np.int64).max()
        if form.offset and width > WIDTH_LIMIT:
            return False
    return True
