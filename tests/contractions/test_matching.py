"""Pairs fit, share nobody, and leave nobody behind who could still go together."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpc.compiler.contractions.chains import Menu, cut_blocks, find_chains
from lpc.compiler.contractions.forms import OFFSET2, PAIRS2
from lpc.compiler.contractions.matching import pair_up
from lpc.compiler.dialects.tensors import Array


def together(sizes: Array, limit: int) -> Array:
    """Who may go with whom: bool [items, items]."""
    wide = sizes.astype(np.int64)
    fits = np.asarray((wide[:, None] + wide[None] <= limit).all(-1))
    np.fill_diagonal(fits, False)
    return fits


def random_groups(seed: int, counts: list[int], lanes: int, limit: int) -> list[Array]:
    generator = np.random.default_rng(seed)
    high = int(generator.integers(1, limit + 1))
    return [generator.integers(0, high + 1, (count, lanes)).astype(np.int16) for count in counts]


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    lanes=st.integers(1, 32),
    limit=st.sampled_from((128, 256)),
)
def test_pairs_fit_and_no_more_would(seed: int, counts: list[int], lanes: int, limit: int) -> None:
    groups = random_groups(seed, counts, lanes, limit)
    for sizes, pairs in zip(groups, pair_up(groups, limit), strict=True):
        fits = together(sizes, limit)
        assert len(np.unique(pairs)) == pairs.size
        assert fits[pairs[:, 0], pairs[:, 1]].all()
        alone = np.setdiff1d(np.arange(len(sizes)), pairs)
        assert not fits[np.ix_(alone, alone)].any()


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), counts=st.lists(st.integers(0, 40), max_size=6))
def test_groups_do_not_know_of_each_other(seed: int, counts: list[int]) -> None:
    groups = random_groups(seed, counts, 8, 128)
    for sizes, pairs in zip(groups, pair_up(groups, 128), strict=True):
        np.testing.assert_array_equal(pairs, pair_up([sizes], 128)[0])


def largest(fits: Array) -> int:
    """Pairs of the largest matching of a small graph, by trying all."""

    @cache
    def most(free: int) -> int:
        if not free:
            return 0
        first = free.bit_length() - 1
        rest = free & ~(1 << first)
        partners = [i for i in range(first) if rest >> i & 1 and fits[first, i]]
        return max([most(rest), *(1 + most(rest & ~(1 << i)) for i in partners)])

    return most((1 << len(fits)) - 1)


def test_few_pairs_are_missed() -> None:
    found = possible = 0
    for seed in range(60):
        (sizes,) = random_groups(seed, [12], 6, 128)
        found += len(pair_up([sizes], 128)[0])
        possible += largest(together(sizes, 128))
    assert possible > 100
    assert found >= 0.98 * possible


@pytest.mark.parametrize(("inputs", "deviation", "least"), [(256, 44, 0.7), (768, 40, 0.95)])
def test_most_gaussian_steps_find_a_partner(inputs: int, deviation: int, least: float) -> None:
    normal = np.random.default_rng(0).normal(0, deviation, (8, 8, inputs // 4, 4))
    blocks = cut_blocks(np.clip(np.rint(normal), -127, 127).astype(np.int8), inputs // 4)
    in_pairs = sum(2 * len(first) for first, _ in find_chains(blocks, Menu(PAIRS2, OFFSET2)))
    assert in_pairs >= least * sum(map(len, blocks))
