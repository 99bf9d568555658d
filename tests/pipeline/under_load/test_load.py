"""What of an open loop counts: right answers after the server has woken up, as late as they were due."""

from __future__ import annotations

import math

from topfive_loadgen.http1 import Response
from topfive_loadgen.plan import Done, Sample
from topfive_pipeline.under_load.latency_objective import parsed
from topfive_pipeline.under_load.load import lone, probe_of


def sample(scheduled: float, seconds: float, *, status: int = 200, lag: float = 0.0) -> Sample:
    response = Response(status, b"") if status else None
    return Sample(0, scheduled, scheduled + lag, scheduled + seconds, response)


def done(samples: list[Sample], *, starved: int = 0) -> Done:
    return Done(samples=samples, began=0.0, seconds=1.0, elapsed=1.0, connections=1, starved=starved, cpu_seconds=0.0)


def test_refusals_and_silence_are_failures_and_the_beginning_does_not_count() -> None:
    samples = [sample(0.1, 9.0), sample(0.2, 0.03), sample(0.3, 0.01), sample(0.4, 0.001, status=429)]
    samples.append(sample(0.5, 20.0, status=0))
    probe = probe_of(done(samples), rate=5.0, after=0.2)
    assert (probe.rate, probe.failed, probe.fault) == (5.0, 2, "")
    assert [round(each, 6) for each in probe.latencies] == [0.01, 0.03]


def test_of_no_request_none_has_failed_and_nothing_holds() -> None:
    """A short load at a low rate may send all it sends before what counts begins."""
    probe = probe_of(done([sample(0.1, 0.01)]), rate=1.0, after=0.2)
    assert (probe.failed_share, parsed("p50:1s").margin(probe)) == (0.0, math.inf)


def test_a_late_generator_is_a_fault_where_it_may_be_the_cause() -> None:
    """Answers much later than the generator was are the server's own."""
    late = [sample(0.01 * number, 0.05, lag=0.02) for number in range(100)]
    assert "fell behind" in probe_of(done(late), rate=100.0, after=0.0).fault
    overrun = [sample(0.01 * number, 0.5, lag=0.02) for number in range(100)]
    assert probe_of(done(overrun), rate=100.0, after=0.0).fault == ""


def test_a_generator_without_connections_is_always_in_doubt() -> None:
    samples = [sample(0.01 * number, 0.5) for number in range(100)]
    assert "waited for one of 1 connections" in probe_of(done(samples, starved=3), rate=100.0, after=0.0).fault


def test_nothing_sent_is_a_fault() -> None:
    assert probe_of(done([]), rate=1.0, after=0.0).fault == "nothing was sent"


def test_a_request_is_alone_if_none_is_under_way_and_none_comes() -> None:
    """The second comes during the first; the fourth during the third, whose long answer the fifth still meets."""
    samples = [sample(0.0, 0.2), sample(0.1, 0.05), sample(1.0, 5.0), sample(2.0, 0.1), sample(5.0, 0.1)]
    samples += [sample(7.0, 0.1), sample(8.0, 0.1)]
    assert [each.scheduled for each in lone(samples)] == [7.0, 8.0]
    assert lone([]) == []
