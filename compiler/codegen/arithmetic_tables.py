"""Tables of 256 codes that a few float32 operations compute: cheaper than to look them up.

    Ramp   table[q] = clamp(rint(slope · q + offset))           the same reals on another grid
    Gate   table[q] = clamp(rint(t · clamp(slope · t + middle, 0, top) + zero)),    t = q − z
                                                                HardSwish: x · clamp(x/6 + ½, 0, 1)

A table does not tell what it was made of, so constants are found that fit it, those that keep all
entries as far from ties as can be. A form is used only if no entry comes closer than `MARGIN`: then
it does not matter how float32 rounds on the way, or whether an FMA rounds less often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dialects.tensors import Array

#: Of a code. Values below 512 are rounded four times at most, each time by 2⁻¹⁶ or less.
MARGIN = 2.0**-12
#: Values of a constant that are tried at a time, and how often, each time nearer to the best. For
#: two at once, small steps: the best lie on a ridge.
_TRIED, _ROUNDS = 64, 8
_TRIED_OF_TWO, _ROUNDS_OF_TWO = 6, 32


@dataclass(frozen=True)
class Ramp:
    """`low`, `high`: the ends that what is computed is clamped to; the constants are float32."""

    low: int
    high: int
    slope: float
    offset: float

    def reals(self, q: Array) -> Array:
        """Of codes, before rounding, f64."""
        return np.asarray(self.slope * q + self.offset)


@dataclass(frozen=True)
class Gate:
    """Of codes less their zero point, which need not have been clamped to the range of codes."""

    low: int
    high: int
    slope: float
    middle: float
    top: float
    zero: int

    def reals(self, t: Array) -> Array:
        """Of codes less their zero point, before rounding, f64."""
        share = np.clip(self.slope * t + self.middle, 0, self.top)
        return np.asarray(t * share + self.zero)


def ramp_of(codes: Array, table: Array) -> Ramp | None:
    """`codes`: in the order of the table's entries."""
    q, ends = codes.astype(np.float64), (int(table.min()), int(table.max()))
    inner = np.flatnonzero((table > ends[0]) & (table < ends[1]))
    if len(inner) < 2:
        return None
    least, most = _between(table)
    first, last = inner[[0, -1]]
    steepness = (float(table[last]) - float(table[first])) / (q[last] - q[first])
    low, high = sorted((0.5 * steepness, 2 * steepness))
    for _ in range(_ROUNDS):
        # Each entry says between what the offset has to lie.
        slopes = np.linspace(low, high, _TRIED)
        from_, to = ((end - slopes[:, None] * q) for end in (least, most))
        room = to.min(-1) - from_.max(-1)
        best = int(np.argmax(room))
        low, high = slopes[max(best - 1, 0)], slopes[min(best + 1, _TRIED - 1)]
    offset = (to[best].min() + from_[best].max()) / 2
    ramp = Ramp(*ends, float(np.float32(slopes[best])), float(np.float32(offset)))
    # Of steep ones, the two terms may be larger than their sum.
    largest = max(512.0, float(np.abs(ramp.slope * q).max()))
    return ramp if _distance(ramp.reals(q), table) >= MARGIN * largest / 512 else None


def gate_of(codes: Array, zero_point: int, table: Array) -> Gate | None:
    """`codes` and the `zero_point` of what makes them. Past the ends of its range it has to go on:
    closed on one side, and above all entries on the other."""
    t = codes.astype(np.float64) - zero_point
    order = np.argsort(t)
    t, y = t[order], table[order].astype(np.int64)
    moving = np.flatnonzero(y != y[0])
    if not t[0] < 0 < t[-1] or not len(moving) or t[moving[0]] >= 0 or y[-1] < y.max():
        return None
    zero = int(y[t == 0][0])
    # Where it begins to open it is steep enough to show within two codes.
    opens = t[moving[0]]
    opening, top = _most_distant(t, y, (opens - 2, opens), (y[-1] - zero) / t[-1])
    slope, middle, top = (float(np.float32(v)) for v in (-0.5 * top / opening, 0.5 * top, top))
    gate = Gate(int(y.min()), int(y[-1]), slope, middle, top, zero)
    is_closed = gate.slope * t[0] + gate.middle <= 0
    return gate if is_closed and _distance(gate.reals(t), y) >= MARGIN else None


def _most_distant(
    t: Array, y: Array, openings: tuple[float, float], top: float
) -> tuple[float, float]:
    """Where a gate opens, and its top, about as large as given."""
    zero = float(y[t == 0][0])
    lows, highs = np.array([openings[0], 0.98 * top]), np.array([openings[1], 1.02 * top])
    for _ in range(_ROUNDS_OF_TWO):
        first, second = np.linspace(lows, highs, _TRIED_OF_TWO).T
        shares = t * np.clip(0.5 - 0.5 / first[:, None] * t, 0, 1)
        distances = _distance(shares[:, None] * second[:, None] + zero, y)
        i, j = np.unravel_index(int(np.argmax(distances)), distances.shape)
        best, step = np.array([first[i], second[j]]), (highs - lows) / (_TRIED_OF_TWO - 1)
        lows, highs = best - 2 * step, best + 2 * step
    return float(best[0]), float(best[1])


def _between(table: Array) -> tuple[Array, Array]:
    """What each entry may be before it is rounded, and clamped to the ends of the table."""
    y = table.astype(np.float64)
    return np.where(y == y.min(), -np.inf, y - 0.5), np.where(y == y.max(), np.inf, y + 0.5)


def _distance(reals: Array, table: Array) -> Array:
    """How far `reals` [..., entries] are at least from what rounds to another entry; negative if
    one does."""
    least, most = _between(table)
    return np.asarray(np.minimum(reals - least, most - reals).min(-1))
