"""The schedule: latencies that count from them, faults that are told."""

from collections.abc import Sequence

import pytest

from benchmarks.schedule import Answer, Run, faults


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
