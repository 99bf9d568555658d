"""What came of an open loop's plan: latencies from the schedule, and whether the generator itself was at fault."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

import pytest

from topfive_loadgen.http1 import Response
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, Sample

RIGHT = Response(200, b"{}")


def done(samples: Sequence[Sample], *, starved: int = 0) -> Done:
    return Done(samples=samples, began=0.0, seconds=10.0, elapsed=12.0, connections=4, starved=starved, cpu_seconds=3.0)


def lagging(lags: Sequence[float], *, held: float = 0.0) -> list[Sample]:
    return [Sample(0, 1.0, 1.0 + held + lag, 2.0, RIGHT, held=held) for lag in lags]


def test_latency_counts_from_when_it_was_due() -> None:
    """A request that the generator itself sent late is not forgiven the delay."""
    late = Sample(0, 1.0, 1.2, 1.5, RIGHT)
    assert late.latency == pytest.approx(0.5)
    assert late.lag == pytest.approx(0.2)


def test_a_refusal_says_when_to_come_again() -> None:
    refused = Sample(0, 1.0, 1.0, 1.1, Response(429, b"", b"HTTP/1.1 429 Busy\r\nRetry-After: 3"))
    assert (refused.status, refused.retry_after) == (429, 3.0)
    lost = Sample(0, 1.0, 1.0, 1.1, None, "closed")
    assert (lost.status, lost.retry_after) == (0, None)


def test_a_generator_that_kept_up_makes_a_valid_run() -> None:
    """By the 99th percentile of its lag: one hiccup in a thousand is none."""
    assert done(lagging([0.0005] * 199 + [0.5])).faults() == []


def test_a_generator_that_fell_behind_makes_it_invalid() -> None:
    (reason,) = done(lagging([0.0005] * 90 + [0.05] * 10)).faults()
    assert reason == "the generator fell behind: p99 of its lag is 50.0 ms, above 10 ms"


def test_a_wait_for_connections_is_told_and_is_no_lag() -> None:
    (reason,) = done(lagging([0.0005] * 10, held=0.5), starved=10).faults()
    assert reason == "10 requests waited for one of 4 connections"


def test_what_failed_on_this_side_makes_it_invalid() -> None:
    """The server is not to be blamed for this machine's limits; for a refusal it is."""
    reason = os.strerror(errno.EMFILE)
    samples = [Sample(0, 1.0, 1.0, 1.0, None, reason), Sample(0, 1.0, 1.0, 1.0, None, os.strerror(errno.ECONNREFUSED))]
    assert done(samples).faults() == [f"1 requests failed at the generator itself: {reason}"]


def test_a_run_that_is_about_counts_bears_more_lag() -> None:
    assert done(lagging([0.05] * 10)).faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS) == []


def test_a_run_without_requests_is_invalid() -> None:
    assert done([]).faults() == ["nothing was sent"]
