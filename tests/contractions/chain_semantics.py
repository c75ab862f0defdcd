"""Chains evaluated with the meaning of their instructions, saturation and wrapping included."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from lpc.compiler.codegen.instructions import BY_NAME
from lpc.compiler.contractions.forms import FORMS, Form, chain_offsets
from lpc.compiler.dialects.tensors import Array

MADDUBS = BY_NAME["vpmaddubsw.256"].semantics
MADDWD = BY_NAME["vpmaddwd.256"].semantics


def chains_of(counts: tuple[int, ...]) -> Iterator[tuple[Form, Array]]:
    """Per form: the positions in kernel order of its chains, [count, chain]."""
    position = 0
    for form, count in zip(FORMS, counts, strict=True):
        size = count * form.chain
        yield form, np.arange(position, position + size).reshape(count, form.chain)
        position += size


def adversarial_inputs(weights: Array) -> Array:
    """Codes [inputs, steps, 4]: all that a channel's weights make large, and all edges."""
    rows = [np.where(weights > 0, 255, 0), np.where(weights < 0, 255, 0)]
    edges = [np.full((1, *weights.shape[1:]), a) for a in (0, 1, 127, 128, 129, 254, 255)]
    random = np.random.default_rng(0).integers(0, 256, (4, *weights.shape[1:]))
    return np.concatenate([*rows, *edges, random]).astype(np.uint8)


def flat(array: Array, dtype: type[np.generic]) -> Array:
    return np.ascontiguousarray(array, dtype).reshape(-1)


def executed(form: Form, a: Array, w: Array, start: Array) -> Array:
    """One chain as instructions: codes and weights [..., chain, 4] as they meet, and the halves
    [..., 2] that it starts from; i32 [...]."""
    sums = flat(np.broadcast_to(start, (*a.shape[:-2], 2)), np.int16)
    for k in range(form.chain):
        codes, weights = flat(a[..., k, :], np.uint8), flat(w[..., k, :], np.int8)
        sums = sums + MADDUBS(codes, weights)  # wraps in 16 bits
    assert sums.dtype == np.int16
    return MADDWD(sums, np.ones_like(sums)).reshape(a.shape[:-2])


def exact(a: Array, w: Array, start: Array) -> Array:
    products = (a.astype(np.int64) * w.astype(np.int64)).sum((-1, -2))
    return np.asarray(products + start.astype(np.int64).sum(-1))


def assert_chains_exact(panel: Array, counts: tuple[int, ...], inputs: Array) -> Array:
    """The sums of all chains, offsets included: i64 [inputs, channels].

    In kernel order: `panel`, [channels, steps, 4], and `inputs`, [inputs, channels or 1, steps, 4].
    """
    offsets = chain_offsets(panel, counts).reshape(-1, len(panel), 2)
    total = np.zeros((len(inputs), len(panel)), np.int64)
    for form, chains in chains_of(counts):
        start = np.zeros((len(panel), len(chains), 2), np.int16)
        if form.offset:
            start, offsets = offsets[: len(chains)].swapaxes(0, 1), offsets[len(chains) :]
        a, w = np.broadcast_arrays(inputs[:, :, chains], panel[None, :, chains])
        found, expected = executed(form, a, w, start), exact(a, w, start)
        np.testing.assert_array_equal(found, expected, form.name)
        total += expected.sum(-1)
    return total
