"""Popularity by Zipf's law, and the theory that measured hit rates are held against."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from benchmarks import zipf


def simulated(numbers: list[int], entries: int) -> float:
    """The hit rate of an LRU cache on these requests, the first half of which only fills it."""
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for place, number in enumerate(numbers):
        hits += number in cache and place >= len(numbers) // 2
        cache[number] = None
        cache.move_to_end(number)
        if len(cache) > entries:
            cache.popitem(last=False)
    return hits / (len(numbers) // 2)


def test_shares_fall_as_the_law_says() -> None:
    shares = zipf.shares(4, 1.0)
    assert shares.sum() == pytest.approx(1)
    assert (shares[0] / shares).tolist() == pytest.approx([1, 2, 3, 4])
    assert zipf.shares(4, 0).tolist() == [0.25] * 4


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.1])
@pytest.mark.parametrize("entries", [10, 40, 120])
def test_ches_approximation_is_what_a_simulated_cache_comes_to(exponent: float, entries: int) -> None:
    shares = zipf.shares(200, exponent)
    numbers = list(zipf.draws(shares, 20_000, seed=2))
    assert zipf.hit_rate(shares, entries) == pytest.approx(simulated(numbers, entries), abs=0.015)


def test_a_cache_that_holds_all_knows_all() -> None:
    assert zipf.hit_rate(zipf.shares(10, 0.9), 10) == 1.0
