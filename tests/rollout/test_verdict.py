"""The rollback rule: it finds a worse canary soon, and leaves one alone that is as good."""

from __future__ import annotations

import random
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topfive.rollout.verdict import LEAST_ANSWERS, Tally, chance_of_faults, why_worse


def tally(requests: int, faults: int = 0, *, mean: float = 0.02, spread: float = 0.002) -> Tally:
    found = Tally()
    for number in range(requests):
        fault = number < faults
        found.count(fault=fault, seconds=None if fault else mean + (spread if number % 2 else -spread))
    return found


@given(st.integers(1, 30), st.integers(1, 60), st.data())
@settings(max_examples=50)
def test_the_chance_is_that_of_fishers_exact_test(ours: int, theirs: int, data: st.DataObject) -> None:
    bad, others = data.draw(st.integers(0, ours)), data.draw(st.integers(0, theirs))
    found = chance_of_faults(tally(ours, bad), tally(theirs, others))
    faults = bad + others
    ways = sum(comb(ours, k) * comb(theirs, faults - k) for k in range(bad, min(faults, ours) + 1))
    assert found == pytest.approx(ways / comb(ours + theirs, faults))


def test_a_canary_that_always_fails_is_found_by_its_fifth_fault() -> None:
    assert why_worse(tally(4, 4), tally(80), most_slowdown=0) is None
    found = why_worse(tally(5, 5), tally(95), most_slowdown=0)
    assert found is not None
    assert found.startswith("it fails more often: 5 of 5 requests against 0 of 95")


def test_one_fault_in_twenty_is_nothing_if_the_live_version_has_as_many() -> None:
    assert why_worse(tally(200, 10), tally(3800, 190), most_slowdown=1.5) is None
    assert why_worse(tally(200, 10), tally(3800, 19), most_slowdown=1.5) is not None


def test_a_slower_canary_is_found_beyond_its_limit_and_not_within() -> None:
    live = tally(400, mean=0.02)
    assert why_worse(tally(200, mean=0.029), live, most_slowdown=1.5) is None
    found = why_worse(tally(200, mean=0.032), live, most_slowdown=1.5)
    assert found == "it is slower: an answer takes 32.0 ms against 20.0 ms, and may take 1.5 times as long"
    assert why_worse(tally(200, mean=0.2), live, most_slowdown=0) is None, "any"
    assert why_worse(tally(LEAST_ANSWERS - 1, mean=0.2), live, most_slowdown=1.5) is None, "too few"


def test_equal_arms_are_left_alone_however_noisy() -> None:
    """Of 200 rollouts of 2000 canary requests, judged after each 20, none is rolled back."""
    draw = random.Random(34)
    for _ in range(200):
        canary, live = Tally(), Tally()
        for _ in range(50):
            for arm, count in ((canary, 2), (live, 38)):
                for _ in range(count):
                    fault = draw.random() < 0.02
                    arm.count(fault=fault, seconds=None if fault else draw.lognormvariate(-4, 1))
            assert why_worse(canary, live, most_slowdown=1.5) is None


def test_what_was_counted_can_weigh_half() -> None:
    whole, halved = tally(2000, 20), tally(2000, 20)
    halved.halve()
    assert (halved.requests, halved.faults, halved.answers) == (1000, 10, 990)
    assert halved.mean == whole.mean
    assert halved.error == pytest.approx(2 * whole.error, rel=0.01)
    assert Tally().error == float("inf")
