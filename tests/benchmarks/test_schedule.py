"""The schedule: arrivals that are what they say, latencies that count from them, faults that are told."""

from collections.abc import Sequence
from itertools import islice, pairwise
from math import exp, inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.schedule import Answer, Run, arrivals, faults


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
    """Kolmogorov-Smirnov: the largest distance from the exponential distribution, as the level of 0.001 bears it."""
    rate, count = 200.0, 20_000
    times = [0.0, *islice(arrivals(rate, inf, seed=1), count)]
    gaps = sorted(second - first for first, second in pairwise(times))
    distance = max(abs((place + 0.5) / count - (1 - exp(-rate * gap))) for place, gap in enumerate(gaps))
    assert distance < 1.95 / sqrt(count)


def test_latency_counts_from_when_it_was_due() -> None:
    """A request that the generator itself sent late is not forgiven the delay."""
    late = Answer(0, scheduled=1.0, sent=1.2, done=1.5, status=200)
    assert late.latency == pytest.approx(0.5)
    assert late.lag == pytest.approx(0.2)


def done(lags: Sequence[float], *, starved: int = 0) -> Run:
    given = [Answer(0, number, number + lag, number + lag + 0.01, 200) for number, lag in enumerate(lags)]
    return Run(given, 0.0, float(len(lags)), 8, starved, 0.0)


def test_a_generator_that_kept_up_makes_a_valid_run() -> None:
    assert faults(done([0.0005] * 199 + [0.5])) == []


def test_a_generator_that_fell_behind_makes_it_invalid() -> None:
    """By the 99th percentile of its lag: one hiccup in a thousand is none."""
    (reason,) = faults(done([0.0005] * 90 + [0.05] * 10))
    assert "fell behind" in reason
    assert "50.0 ms" in reason


def test_requests_without_a_connection_make_it_invalid() -> None:
    (reason,) = faults(done([0.0], starved=3))
    assert reason == "3 requests waited for one of 8 connections"


def test_a_run_without_requests_is_invalid() -> None:
    assert faults(done([])) == ["no request was sent"]
