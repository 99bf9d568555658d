"""The arrivals: in order, repeatable, and distributed as those of a Poisson process."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from topfive_loadgen.schedule import arrivals, order


@given(st.floats(0.1, 1000), st.floats(0, 5), st.integers())
def test_arrivals_are_in_order_and_within_the_time(rate: float, seconds: float, seed: int) -> None:
    times = [*islice(arrivals(rate, seconds, seed=seed), 5000)]
    assert all(0 < first < second for first, second in pairwise(times))
    assert all(time < seconds for time in times)


def test_a_schedule_is_its_seeds() -> None:
    """The same seed gives the same schedule, another one another."""
    assert [*arrivals(50, 4, seed=7)] == [*arrivals(50, 4, seed=7)]
    assert [*arrivals(50, 4, seed=7)] != [*arrivals(50, 4, seed=8)]


def test_gaps_are_exponential_with_the_rate_asked_for() -> None:
    """By Kolmogorov and Smirnov, against the exponential distribution of exactly this rate."""
    from scipy import stats  # it comes with scikit-image; here, for its import takes a second

    rate = 200.0
    times = [0.0, *islice(arrivals(rate, inf, seed=1), 20_000)]
    gaps = [second - first for first, second in pairwise(times)]
    assert stats.kstest(gaps, "expon", args=(0, 1 / rate)).pvalue > 0.001


def test_counts_in_equal_times_are_poissons() -> None:
    """As many as the rate says, with the variance that equals the mean: bursts, not a regular beat."""
    from scipy import stats

    counts = [sum(1 for _ in arrivals(100, 1, seed=seed)) for seed in range(2000)]
    low, high = stats.poisson.interval(0.999, 100 * len(counts))
    assert low <= sum(counts) <= high
    dispersion = sum((count - 100) ** 2 / 100 for count in counts)
    low, high = stats.chi2.interval(0.999, len(counts))
    assert low <= dispersion <= high


@given(st.integers(1, 40), st.integers(), st.integers(1, 4))
def test_each_request_is_sent_as_often_as_any(count: int, seed: int, rounds: int) -> None:
    """In another order each time, but the same for the same seed."""
    found = [*islice(order(count, seed=seed), rounds * count)]
    assert Counter(found) == dict.fromkeys(range(count), rounds)
    assert found == [*islice(order(count, seed=seed), rounds * count)]


def test_another_seed_is_another_order() -> None:
    orders = {tuple(islice(order(20, seed=seed), 40)) for seed in range(20)}
    assert len(orders) == 20
