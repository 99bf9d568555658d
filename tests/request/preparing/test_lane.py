"""Who waits to be prepared: the cheapest goes first, nobody waits for ever, and the wait is told as it will be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.request.preparing.lane import Job, Lane
from topfive.request.preparing.price import Price

CHEAP: Final = Price("a", 0.001, 0, is_dear=False)
DEAR: Final = Price("b", 1.0, 0, is_dear=False)


@dataclass(eq=False)
class Somebody:
    """A tenant."""

    weight: int = 1


def job(price: Price, tenant: Somebody | None = None) -> Job:
    return Job(price, call=int, outcome=None, deadline=float("inf"), abandoned=bool, tenant=tenant)


@pytest.mark.parametrize(
    ("seconds", "passed"),
    [(1.0, 4.0), (100.0, 4.0), (0.1, 2.0), (0.01, 0.2)],
    ids=["a large one", "a huge one", "a middling one", "hardly larger"],
)
def test_a_small_one_passes_one_that_came_before_but_not_if_that_has_waited_long(seconds: float, passed: float) -> None:
    for later, first in ((passed - 0.05, "small"), (passed + 0.05, "large")):
        lane = Lane(1)
        jobs = {"large": job(Price("b", seconds, 0, is_dear=True)), "small": job(CHEAP)}
        lane.put(jobs["large"], now=0.0)
        lane.put(jobs["small"], now=later)
        assert lane.start(now=later) is jobs[first]


def test_among_equals_the_first_is_first() -> None:
    lane = Lane(1)
    jobs = [job(CHEAP) for _ in range(5)]
    for each in jobs:
        lane.put(each, now=0.0)
    assert [lane.start(now=0.0) for _ in jobs] == jobs


def test_where_a_place_is_free_nobody_waits() -> None:
    lane = Lane(2)
    lane.put(job(DEAR), now=0.0)
    lane.start(now=0.0)
    assert lane.wait_seconds(DEAR, now=0.0) == 0.0


def test_the_wait_is_for_what_runs_and_for_what_is_not_dearer() -> None:
    lane = Lane(2)
    for _ in range(4):
        lane.put(job(DEAR), now=0.0)
    for _ in range(2):
        lane.start(now=0.0)
    assert lane.wait_seconds(CHEAP, now=0.0) == pytest.approx(1.0)  # two places, in each of which one second runs
    assert lane.wait_seconds(CHEAP, now=0.75) == pytest.approx(0.25)
    assert lane.wait_seconds(DEAR, now=0.0) == pytest.approx(2.0)


def test_what_it_really_takes_is_learnt_within_bounds_for_each_kind() -> None:
    lane = Lane(1)
    for _ in range(100):
        lane.learn(CHEAP, 3 * CHEAP.seconds)
        lane.learn(DEAR, 1000.0)
    assert lane.seconds(CHEAP) == pytest.approx(3 * CHEAP.seconds, rel=0.01)
    assert lane.seconds(DEAR) == pytest.approx(5.0, rel=0.01)
    assert lane.seconds(Price("c", 1.0, 0, is_dear=False)) == 1.0
    lane.learn(Price("none", 0.0, 0, is_dear=False), 1.0)  # a price of nothing tells nothing


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "start", "end", "drop"]), st.floats(0.0001, 2.0), st.integers(0, 99))
    )
)
def test_the_books_are_those_of_a_plain_list(steps: list[tuple[str, float, int]]) -> None:
    """Every job leaves once, by its rank, and the estimate is that of the jobs that are there."""
    lane, waiting, running = Lane(2), [], []
    ranks: dict[int, tuple[float, int]] = {}
    for now, (step, seconds, pick) in enumerate(steps):
        if step == "put":
            new: Any = job(Price("k", seconds, 0, is_dear=False))
            lane.put(new, now=now)
            ranks[id(new)] = (now + min(20 * seconds, 4), now)
            waiting.append(new)
        elif step == "start" and waiting:
            first = min(waiting, key=lambda one: ranks[id(one)])
            assert lane.first() is first
            assert lane.start(now=now) is first
            waiting.remove(first)
            running.append(first)
        elif step == "end" and running:
            lane.running.discard(running.pop(pick % len(running)))
        elif step == "drop" and waiting:
            gone = waiting.pop(pick % len(waiting))
            lane.drop({gone})
            assert not gone.waits
        assert len(lane) == len(waiting)
        assert set(lane) == {*waiting, *running}
        assert all(one.waits for one in waiting)
        top = Price("k", 1000.0, 0, is_dear=False)
        if waiting or len(running) >= 2:
            left = sum(max(0.0, one.seconds - (now - one.began)) for one in running)
            expected = (sum(one.seconds for one in waiting) + left) / 2
            assert lane.wait_seconds(top, now=now) == pytest.approx(expected)


def test_who_floods_waits_behind_himself_and_others_wait_for_their_share() -> None:
    """A light tenant's job goes before the flood of another, and is told so; without tenants it would wait for all."""
    flood, light = Somebody(), Somebody()
    price = Price("c", 0.1, 0, is_dear=False)
    lane = Lane(1)
    lane.put(job(price, flood), now=0.0)
    lane.start(now=0.0)
    for _ in range(20):
        lane.put(job(price, flood), now=0.0)
    assert lane.wait_seconds(price, now=0.0, tenant=flood) == pytest.approx(2.1)
    assert lane.wait_seconds(price, now=0.0, tenant=light) == pytest.approx(0.2)
    assert lane.wait_seconds(price, now=0.0) == pytest.approx(2.1)
    wanted = job(price, light)
    lane.put(wanted, now=0.3)
    order = [lane.start(now=0.3) for _ in range(21)]
    assert order.index(wanted) <= 4


@given(st.integers(1, 4), st.integers(1, 4))
def test_two_that_flood_get_what_they_weigh(one: int, other: int) -> None:
    first, second = Somebody(one), Somebody(other)
    price = Price("c", 0.1, 0, is_dear=False)
    lane = Lane(2)
    for _ in range(200):
        lane.put(job(price, first), now=0.0)
        lane.put(job(price, second), now=0.0)
    got = [lane.start(now=0.0).tenant for _ in range(100)]
    share = got.count(first) / 100
    assert share == pytest.approx(one / (one + other), abs=0.05)
