"""A round finds the rate at which the objective just holds, from a few loads."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.tuning.simulated import Machine, contest, rate_at
from topfive_pipeline.tuning.rounds import AGAIN, PROBES, crossing
from topfive_pipeline.under_load.latency_objective import parsed


@given(st.floats(20.0, 5000.0), st.floats(1e-3, 0.02))
def test_the_rate_that_is_found_is_the_one_that_holds(capacity: float, service: float) -> None:
    """After three rounds it is within the last range, which is a ninth of it wide; the curve is steep at the end."""
    objective = parsed("p99:50ms")
    running, _ = contest(Machine({1: (capacity, service)}), objective)
    for _ in range(3):
        running.round([running.current])
    true = rate_at(0.05, capacity, service)
    assert running.current.record.held[3] == pytest.approx(true, rel=0.08)
    assert len(running.current.record.probes) == PROBES + 2 * AGAIN
    assert len(running.current.record.capacities) == 1


def test_a_server_that_is_too_slow_from_the_beginning_holds_at_no_rate() -> None:
    objective = parsed("p99:50ms")
    running, _ = contest(Machine({1: (100.0, 0.06)}), objective)
    for _ in range(3):
        running.round([running.current])
    assert list(running.current.record.held.values()) == [0.0, 0.0, 0.0]


def test_a_server_without_any_answer_is_asked_no_further() -> None:
    machine = Machine({1: (0.0, 0.01)})
    running, _ = contest(machine, parsed("p99:50ms"))
    running.round([running.current])
    running.round([running.current])
    assert running.current.record.held == {1: 0.0, 2: 0.0}
    assert len(machine.asked) == 1


def test_throughput_is_the_closed_loop_alone() -> None:
    running, _ = contest(Machine({1: (123.0, 1.0)}), parsed("throughput"))
    running.round([running.current])
    assert running.current.record.held == {1: 123.0}
    assert running.current.record.probes == []


@given(st.floats(1.0, 1e3), st.floats(1.0, 1e3), st.floats(-5.0, 0.0), st.floats(0.0, 5.0))
def test_the_crossing_lies_between(low: float, more: float, below: float, above: float) -> None:
    assert low <= crossing(low, low + more, below=below, above=above) <= (low + more) * (1 + 1e-12)


def test_without_both_margins_the_crossing_is_the_middle() -> None:
    assert crossing(2.0, 4.0, below=math.nan, above=1.0) == 3.0
    assert crossing(2.0, 4.0, below=-1.0, above=math.inf) == 3.0
