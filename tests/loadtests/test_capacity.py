"""The search for the highest rate: near the knee and not above it, bounded, and never a rate that failed."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity import BRACKET, FEWEST, MOST_PROBES, Objective, find_capacity
from loadtests.results import Capacity, OpenRun
from topfive_loadgen.percentiles import Latencies

LIMIT = 0.050
TAIL = 4.6  # the 99th percentile of an exponential distribution, in its means


def ran(
    rate: float, seconds: float, seed: int, *, p99: float, wrong: int = 0, count: int | None = None, starved: int = 0,
    lag: float = 0.0, faults: tuple[str, ...] = (), connections: int = 8,
) -> OpenRun:  # fmt: skip
    right = (int(rate * seconds) if count is None else count) - wrong
    latency = Latencies(count=right, mean=p99 / 2, p50=p99 / 2, p90=p99, p99=p99, max=p99, curve=[(100.0, p99)])
    return OpenRun(
        mix="random", rate=rate, seconds=seconds, seed=seed, latency=latency, throughput=right / seconds,
        errors={"503": wrong} if wrong else {}, lag_p50=lag, lag_p99=lag, connections=connections,
        generator_cores=0.1, server=None, faults=faults, starved=starved,
    )  # fmt: skip


def queue_p99(rate: float, *, service_seconds: float) -> float:
    """As of a queue with one server: the time of service, and a wait that grows without bound towards its capacity."""
    load = rate * service_seconds
    return service_seconds * (1 + TAIL * load / (2 * (1 - load))) if load < 1 else 100.0


def knee(service_seconds: float) -> float:
    """The rate at which `queue_p99` is the limit."""
    wait = 2 * (LIMIT / service_seconds - 1) / TAIL
    return wait / (1 + wait) / service_seconds


def search(probe: Callable[[float, float, int], OpenRun], *, start: float = 20.0) -> Capacity:
    return find_capacity(probe, Objective(p99_at_most=LIMIT), mix="random", start=start)


@given(service_seconds=st.floats(0.0005, 0.04), start=st.floats(4, 2000))
def test_the_knee_is_found_from_below_and_within_the_bracket(service_seconds: float, start: float) -> None:
    """Of a queue whose knee is known, from whatever rate the search begins."""
    found = search(
        lambda rate, seconds, seed: ran(rate, seconds, seed, p99=queue_p99(rate, service_seconds=service_seconds)),
        start=start,
    )
    limit = knee(service_seconds)
    lowest = 2 * FEWEST / Objective(p99_at_most=LIMIT).max_seconds
    assert len(found.probes) <= MOST_PROBES
    if found.rate is None:
        assert limit < 2 * lowest or not found.valid
    else:
        assert found.valid
        assert (1 - BRACKET) * limit <= found.rate <= limit


@given(st.integers(), st.floats(0.5, 3))
def test_an_answer_has_held_in_its_last_run_and_failed_in_none(seed: int, noise: float) -> None:
    """However much the latencies scatter."""
    chance = random.Random(seed)

    def probe(rate: float, seconds: float, seed: int) -> OpenRun:
        p99 = queue_p99(rate, service_seconds=0.01) * chance.uniform(1, noise) / noise
        return ran(rate, seconds, seed, p99=p99, wrong=chance.choice([0, 0, 0, 5]))

    found = search(probe)
    objective = Objective(p99_at_most=LIMIT)
    assert len(found.probes) <= MOST_PROBES
    assert len({run.seed for run in found.probes}) == len(found.probes)
    if found.rate is None:
        assert found.faults or not any(map(objective.is_met, found.probes[-1:]))
    else:
        assert found.probes[-1].rate == found.rate
        assert all(objective.is_met(run) for run in found.probes if run.rate == found.rate)
        assert found.probes[-1].seconds > objective.seconds(found.rate)


def test_a_server_that_never_meets_the_objective_has_no_capacity() -> None:
    """That is an answer, not a fault of the search."""
    found = search(lambda rate, seconds, seed: ran(rate, seconds, seed, p99=2 * LIMIT))
    assert found.rate is None
    assert found.valid


def test_errors_fail_a_rate_however_fast_the_answers() -> None:
    def probe(rate: float, seconds: float, seed: int) -> OpenRun:
        return ran(rate, seconds, seed, p99=0.001, wrong=int(rate * seconds * (0.002 if rate > 100 else 0.001)))

    found = search(probe)
    assert found.rate is not None
    assert 95 <= found.rate <= 100


def test_an_invalid_probe_is_repeated_once_with_other_arrivals() -> None:
    """And a second time is the end of the search, with the reason."""
    hiccups = [("the generator fell behind",)]

    def once(rate: float, seconds: float, seed: int) -> OpenRun:
        faults = hiccups.pop() if hiccups and rate > 20 else ()
        return ran(rate, seconds, seed, p99=queue_p99(rate, service_seconds=0.01), lag=0.05, faults=faults)

    found = search(once)
    assert found.valid
    assert found.rate is not None
    first, second = [run for run in found.probes if run.rate == 40]
    assert first.faults
    assert not second.faults
    assert first.seed != second.seed
    always = search(
        lambda rate, seconds, seed: ran(rate, seconds, seed, p99=0.01, lag=0.02, faults=("it fell behind",))
    )
    assert always.rate is None
    assert always.faults == ["at 20.0/s: it fell behind"]
    assert len(always.probes) == 2


def test_a_probe_with_too_few_requests_for_a_p99_says_nothing() -> None:
    found = search(lambda rate, seconds, seed: ran(rate, seconds, seed, p99=0.01), start=1.0)
    assert found.faults == ["at 1.0/s: only 30 requests: too few for a p99"]


def test_what_always_passes_is_given_up_in_the_end() -> None:
    found = search(lambda rate, seconds, seed: ran(rate, seconds, seed, p99=0.001))
    assert found.rate is None
    assert found.faults == [f"no answer after {MOST_PROBES} probes"]


@pytest.mark.parametrize(
    ("p99", "lag", "starved", "connections", "says"),
    [
        (3.0, 0.015, 0, 8, True),  # late, but that is no reason for seconds
        (0.2, 0.020, 0, 8, False),  # late, and that might be the reason
        (3.0, 0.001, 100, 512, True),  # 512 in flight at 100/s take seconds each
        (3.0, 0.001, 100, 4, False),  # four connections at 100/s are busy for 40 ms each: more might have served
        (0.01, 0.020, 0, 8, False),  # it may have passed because it was late
    ],
)
def test_beyond_capacity_a_run_that_is_invalid_has_failed_only_if_the_generator_is_not_the_reason(
    p99: float, lag: float, starved: int, connections: int, says: bool
) -> None:
    objective = Objective(p99_at_most=LIMIT)
    run = ran(100, 10, 1, p99=p99, lag=lag, starved=starved, connections=connections, faults=("something",))
    assert objective.fault(run) == ("" if says else "something")
    assert not (says and objective.is_met(run))


def test_a_probe_lasts_for_a_thousand_requests_within_bounds() -> None:
    objective = Objective(p99_at_most=LIMIT)
    assert [objective.seconds(rate) for rate in (10, 100, 10_000)] == [30, 10, 5]
