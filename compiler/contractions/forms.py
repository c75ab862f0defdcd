"""Forms of the int8 dot product on targets without VNNI, and the proofs that each one needs.

A step multiplies four input codes a ∈ [0, 255] (u8, one broadcast) with four weights per output
channel. `vpmaddubsw` adds neighbouring products in 16 bits and saturates there; which steps may use
it, and how many may be added in 16 bits before `vpmaddwd` widens them, follows from the weights:

pairs     every pair (w0, w1): w0⁺ + w1⁺ ≤ 128 and |w0|⁻ + |w1|⁻ ≤ 128, so that
          −32768 ≤ −255·128 ≤ a0·w0 + a1·w1 ≤ 255·128 ≤ 32767 for all codes
centred   on a' = a − 128 as sign and magnitude: |a'| ≤ 128 as u8 times sign(a')·w, |w| ≤ 127, so
          that |pair| ≤ 128·(|w0| + |w1|) ≤ 128·254 = 32512 always; 128·Σw goes into the bias
…2        two steps added in 16 bits first: the same bounds on the four weights of a lane together,
          w⁺ and |w|⁻ sums ≤ 128, or Σ|w| ≤ 255
…_02, …_03  the four codes of a step in another order, so that w0 pairs with w2 or w3
wide      bytes widened to 16 bits; exact for all weights (−128 included), and dearer

Each block of output channels sorts its steps by the cheapest form they admit; the kernel has one
loop per form. The order of exact integer sums is free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dialects.tensors import Array

NATURAL = (0, 1, 2, 3)


@dataclass(frozen=True)
class Form:
    """`chain`: steps added in 16 bits; `centred`: computes on a − 128; `pairing`: order of the four
    codes of a step."""

    name: str
    chain: int
    centred: bool
    pairing: tuple[int, ...] = NATURAL


PAIRS2 = Form("pairs2", 2, False)
PAIRS = Form("pairs", 1, False)
PAIRS_02 = Form("pairs_02", 1, False, (0, 2, 1, 3))
PAIRS_03 = Form("pairs_03", 1, False, (0, 3, 1, 2))
CENTRED2 = Form("centred2", 2, True)
CENTRED = Form("centred", 1, True)
WIDE = Form("wide", 1, False)
#: In the order in which a kernel runs them.
FORMS: tuple[Form, ...] = (PAIRS2, PAIRS, PAIRS_02, PAIRS_03, CENTRED2, CENTRED, WIDE)

PAIR_LIMIT = 128
CENTRED_LIMIT = 255


@dataclass(frozen=True)
class StepOrder:
    """`steps`: step numbers in kernel order; `counts[f]`: how many chains of FORMS[f] there are."""

    steps: Array
    counts: tuple[int, ...]

    def centred_positions(self) -> Array:
        """Where in kernel order the steps stand that are computed on a − 128."""
        parts, position = [], 0
        for form, count in zip(FORMS, self.counts, strict=True):
            end = position + count * form.chain
            if form.centred:
                parts.append(np.arange(position, end))
            position = end
        return np.concatenate(parts)


def signed_parts(weights: Array) -> tuple[Array, Array]:
    """w⁺ and |w|⁻ of `weights` [channels, steps, 4] s8, as i16 [4, steps, channels]: contiguous in
    the axis that bounds are taken over, since packing spends its time here."""
    codes = np.ascontiguousarray(weights.transpose(2, 1, 0)).astype(np.int16)
    positive = np.maximum(codes, 0)
    return positive, positive - codes


def paired(part: Array, form: Form) -> Array:
    """Sums [2, steps, channels] of the codes of a step that `form` pairs."""
    return np.asarray(part[list(form.pairing[0::2])] + part[list(form.pairing[1::2])])


def lane_sums(weights: Array) -> tuple[Array, Array, Array]:
    """Per step and 16-bit lane: Σ w⁺, Σ |w|⁻ and Σ |w| over the lane's pair.

    `weights`: [channels, steps, 4] s8; results i16 [steps, 2·channels]."""
    positive, negative = (paired(part, PAIRS) for part in signed_parts(weights))
    return _by_step(positive), _by_step(negative), _by_step(positive + negative)


def _by_step(pairs: Array) -> Array:
    return np.concatenate(pairs, axis=1)


def sort_steps(weights: Array) -> StepOrder:
    """The cheapest proved form of every step of a block; `weights`: [channels, steps, 4] s8."""
    parts = signed_parts(weights)
    positive, negative = (paired(part, PAIRS) for part in parts)
    left = np.ones(weights.shape[1], bool)
    groups: dict[str, Array] = {}
    for form in (PAIRS, PAIRS_02, PAIRS_03):
        fits = left & pairs_fit(parts, form)
        groups[form.name] = np.flatnonzero(fits)
        left &= ~fits
    signs = np.concatenate([*positive, *negative], axis=1)
    groups[PAIRS2.name], groups[PAIRS.name] = _chain(groups[PAIRS.name], signs, PAIR_LIMIT)
    bounded = left & (parts[1].max(2).max(0) <= 127)
    groups[CENTRED2.name], groups[CENTRED.name] = _chain(
        np.flatnonzero(bounded), _by_step(positive + negative), CENTRED_LIMIT
    )
    groups[WIDE.name] = np.flatnonzero(left & ~bounded)
    counts = tuple(len(groups[form.name]) // form.chain for form in FORMS)
    steps = np.concatenate([groups[form.name] for form in FORMS])
    return StepOrder(steps.astype(np.int32), counts)


def pairs_fit(parts: tuple[Array, Array], form: Form) -> Array:
    """Per step: whether no pair sum, paired as `form` says, can leave 16 bits."""
    largest = np.maximum(*(paired(part, form) for part in parts)).max(2)
    return np.asarray(largest.max(0) <= PAIR_LIMIT)


def apply_pairing(panel: Array, counts: tuple[int, ...], inverse: bool = False) -> Array:
    """Weights [channels, steps, 4] in kernel order, each step as the kernel pairs its codes."""
    result, position = panel.copy(), 0
    for form, count in zip(FORMS, counts, strict=True):
        end = position + count * form.chain
        if form.pairing != NATURAL:
            order = np.argsort(form.pairing) if inverse else np.asarray(form.pairing)
            result[:, position:end] = panel[:, position:end][:, :, order]
        position = end
    return result


def _chain(numbers: Array, sums: Array, limit: int) -> tuple[Array, Array]:
    """Steps that can be added in twos within `limit` in every lane, and the rest.

    The largest remaining step tries the smallest: if that is too much, it stays alone."""
    order = numbers[np.argsort(sums[numbers].max(1, initial=0), kind="stable")].tolist()
    rows = _as_integers(sums[order])
    # A lane of two rows (at most 512) plus `room` has its top bit set exactly if it exceeds limit.
    ones = int.from_bytes(b"\1\0" * sums.shape[1], "little")
    room, top_bits = ones * (0x7FFF - limit), ones << 15
    chained: list[int] = []
    single: list[int] = []
    low, high = 0, len(order) - 1
    while low < high:
        if not (rows[low] + rows[high] + room) & top_bits:
            chained += [order[low], order[high]]
            low += 1
        else:
            single.append(order[high])
        high -= 1
    single += order[low : high + 1]
    return np.asarray(chained, np.int64), np.asarray(sorted(single), np.int64)


def _as_integers(rows: Array) -> list[int]:
    """Rows of i16 lanes, each as one integer: to add two of these takes a tenth of the time that
    numpy takes for two short arrays."""
    data, size = np.ascontiguousarray(rows, "<i2").tobytes(), 2 * rows.shape[1]
    return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]


def verify_order(panel: Array, counts: tuple[int, ...]) -> bool:
    """Whether every chain keeps its form's bound: the proof, checked independently of the search.

    `panel`: [channels, steps, 4] s8 in kernel order."""
    chained = sum(count * form.chain for form, count in zip(FORMS, counts, strict=True))
    if min(counts) < 0 or chained != panel.shape[1]:
        return False
    positive, negative, magnitude = lane_sums(panel)
    position = 0
    for form, count in zip(FORMS, counts, strict=True):
        steps = np.arange(position, position + count * form.chain).reshape(count, form.chain)
        position += count * form.chain
        if form is WIDE or not count:
            continue
        if form.centred:
            if magnitude[steps].sum(1).max() > CENTRED_LIMIT or panel[:, steps].min() < -127:
                return False
        elif max(positive[steps].sum(1).max(), negative[steps].sum(1).max()) > PAIR_LIMIT:
            return False
    return True
