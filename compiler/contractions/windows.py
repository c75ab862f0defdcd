"""Which four neighbouring inputs a step reads, on targets without VNNI.

A step multiplies a window of four bytes, and adds its products in pairs in 16 bits. Where a pair of
weights is too large for that in some channel, the window is moved by a byte, which pairs the
weights another way, or takes fewer inputs; weights of inputs that another window has are zero.

    inputs   0 1 2 3 4 5 6 7 8 …
    windows  [0 1|2 3]                      all pairs fit
                   [. 4|5 6]                4 and 5 do not, but 5 and 6 do: three new inputs
                         [7 8|9 …]

Most blocks need a tenth more windows than steps. Windows lie inside a run, so nothing is read that
aligned steps would not read.
"""

from __future__ import annotations

import numpy as np

from ..dialects.tensors import Array
from .forms import PAIR_LIMIT

#: First byte of the window, and the inputs [begin, end) that it takes.
Window = tuple[int, int, int]


def cut_windows(weights: Array, run_steps: int) -> tuple[Array, Array]:
    """Windows that hold every weight once, and all of whose pairs fit in 16 bits.

    `weights`: [blocks, channels, steps, 4] s8, in runs of `run_steps` steps. Results: weights
    [blocks, channels, windows, 4] and first bytes [blocks, windows], −1 where a block has fewer
    windows than others."""
    blocks, channels, steps, _ = weights.shape
    size = 4 * run_steps
    rows = weights.reshape(blocks, channels, steps // run_steps, size)
    fits = _pairs_fit(rows)
    windows = [_windows_of_block(block) for block in fits]
    most = max(map(len, windows))
    table = np.full((blocks, most, 3), -1, np.int64)
    for block, found in enumerate(windows):
        table[block, : len(found)] = found
    first = table[:, :, 0]
    places = first[:, :, None] + np.arange(4)
    taken = (places >= table[:, :, 1:2]) & (places < table[:, :, 2:]) & (first[:, :, None] >= 0)
    flat = weights.reshape(blocks, channels, 4 * steps)
    index = np.broadcast_to(np.where(taken, places, 0)[:, None], (blocks, channels, most, 4))
    gathered = np.take_along_axis(flat, index.reshape(blocks, channels, -1), axis=2)
    return gathered.reshape(index.shape) * taken[:, None], first


def _pairs_fit(rows: Array) -> Array:
    """[blocks, runs, bytes]: whether weights i and i + 1 may meet in a 16-bit sum."""
    wide = rows.astype(np.int16)
    fits = np.ones((rows.shape[0], *rows.shape[2:]), bool)
    for part in (np.maximum(wide, 0), np.maximum(-wide, 0)):
        fits[..., :-1] &= (part[..., :-1] + part[..., 1:]).max(1) <= PAIR_LIMIT
    return fits


def _windows_of_block(fits: Array) -> list[Window]:
    """Of all runs, one after another; `fits`: [runs, bytes]."""
    size = fits.shape[1]
    return [
        (first + run * size, begin + run * size, end + run * size)
        for run, row in enumerate(fits)
        for first, begin, end in windows_of_run(row.tobytes(), size)
    ]


def windows_of_run(fits: bytes, size: int) -> list[Window]:
    """From left to right, each as many new inputs as it can take; fits[i]: i and i + 1 may pair."""
    windows, p, last = [], 0, size - 4
    while p < size:
        if p <= last and fits[p] and fits[p + 2]:
            o, q = p, p + 4
        elif 0 < p <= last + 1 and fits[p + 1]:
            o, q = p - 1, p + 3
        elif p <= last and fits[p]:
            o, q = p, p + 3
        elif 0 < p <= last + 1:
            o, q = p - 1, p + 2  # one in each pair
        elif p == last + 2 and fits[p]:
            o, q = p - 2, p + 2
        else:
            o, q = min(p, last), p + 1
        windows.append((o, p, q))
        p = q
    return windows
