"""What a run of the open loop says: which requests were right, and which were errors."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loadtests.open_plan import QueryLoad, conclude
from loadtests.queries import Query
from topfive_loadgen.http1 import Response
from topfive_loadgen.plan import Done, Sample

RIGHT = Response(200, b'{"predictions": [{"label": "cat"}]}')
BUSY = Response(429, b'{"code": "queue_full"}')
QUERY = Query(mix="complex", scenario="raw", kind="photo", path="/", headers={}, body=b"", expected="cat")
PLAN = QueryLoad(url="http://127.0.0.1:1", queries=[QUERY], rate=10, seconds=10, seed=1)


def done(samples: Sequence[Sample], *, starved: int = 0) -> Done:
    return Done(samples=samples, began=0.0, seconds=10.0, elapsed=12.0, connections=4, starved=starved, cpu_seconds=3.0)


def test_latency_counts_from_when_it_was_due_and_every_request_is_either_right_or_an_error() -> None:
    """A request that was sent late is not forgiven the delay."""
    samples = [
        Sample(0, 1.0, 1.2, 1.5, RIGHT),
        Sample(0, 2.0, 2.0, 2.1, BUSY),
        Sample(0, 3.0, 3.0, 3.1, BUSY),
        Sample(0, 4.0, 4.0, 9.0, None, "no answer"),
        Sample(0, 5.0, 12.0, 12.0, None, "not sent", held=7.0),
    ]
    run = conclude(PLAN, done(samples))
    assert run.latency is not None
    assert run.latency.count == 1
    assert run.latency.max == pytest.approx(0.5)
    assert run.errors == {"429 queue_full": 2, "no answer": 1, "not sent": 1}
    assert run.throughput == pytest.approx(0.1)
    assert run.generator_cores == pytest.approx(0.25)
    assert run.lag_p99 == pytest.approx(0.2)
    assert run.mix == "complex"


def test_answers_after_the_last_arrival_take_their_time() -> None:
    """An overloaded server is not credited with what it answered later as if it had been within the schedule."""
    assert conclude(PLAN, done([Sample(0, 9.0, 9.0, 20.0, RIGHT)])).throughput == pytest.approx(1 / 20)


def test_a_run_without_requests_is_invalid() -> None:
    run = conclude(PLAN, done([]))
    assert run.faults == ["nothing was sent"]
    assert (run.latency, run.lag_p99, run.throughput) == (None, None, 0)
