"""Tenants are told apart by name, keep what they spent, and have the priority that they may have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.access.spending import Limits
from topfive.access.tenants import Tenant, Tenants
from topfive.batching.items import QueueLimits
from topfive.batching.queue import BatchingQueue
from topfive.batching.retries import Retries
from topfive.batching.room import Room
from topfive.ground.clock import MonotonicClock
from topfive.ground.errors import QuotaExceeded, RateLimited


def tenants(**limits: Limits) -> dict[str, Tenant]:
    return dict(Tenants(now=lambda: 100.0, utc=lambda: 1e9).replace(limits))


def test_a_check_says_what_spending_would_and_spends_nothing() -> None:
    feed = tenants(feed=Limits(rate=1.0, burst=2))["feed"]
    for _ in range(3):
        feed.check(2)
    feed.spend(2)
    with pytest.raises(RateLimited):
        feed.check(1)
    feed.give_back(1, 0)
    feed.check(1)


def test_before_anything_is_refused_it_is_looked_at_what_other_processes_gave_back(tmp_path: Path) -> None:
    here, there = (
        Tenants(folder=tmp_path, now=lambda: 100.0, utc=lambda: 1e9).replace({"feed": Limits(quota=3)})["feed"]
        for _ in range(2)
    )
    since = there.spend(3)
    here.check(1)
    with pytest.raises(QuotaExceeded):
        here.spend(1)
    with pytest.raises(QuotaExceeded):
        here.check(1)
    there.give_back(2, since)
    here.check(2)


def test_who_has_no_limits_spends_nothing() -> None:
    free = tenants(free=Limits())["free"]
    assert free.spend(1_000_000) == 0
    free.give_back(5, 0)
    assert free.quota_used is None


def test_how_much_of_the_quota_is_used_is_told() -> None:
    feed = tenants(feed=Limits(quota=8))["feed"]
    since = feed.spend(6)
    assert feed.quota_used == 0.75
    with pytest.raises(QuotaExceeded):
        feed.spend(3)
    feed.give_back(4, since)
    assert feed.quota_used == 0.25


def test_only_several_tenants_share() -> None:
    """A single one waits as if there were no keys; who comes back is who it was."""
    known = Tenants()
    one = known.replace({"one": Limits()})["one"]
    sharing = [one.shares]
    known.replace({"one": Limits(weight=3), "two": Limits()})
    sharing.append(one.shares)
    assert one.weight == 3
    known.replace({"two": Limits()})
    assert [tenant.name for tenant in known.current] == ["two"]
    assert known.replace({"one": Limits()})["one"] is one
    assert [*sharing, one.shares] == [None, one, None]


@given(asked=st.integers(0, 9), may=st.integers(0, 9), levels=st.integers(0, 5), default=st.integers(1, 5))
def test_no_request_is_better_than_its_tenant_may_be(asked: int, may: int, levels: int, default: int) -> None:
    """One that asks for nothing gets the tenant's priority; a worse one that it asks for is its own choice."""
    default = min(default, levels)
    limits = QueueLimits(4, 10, 10, priority_levels=levels, default_priority_level=default)
    room = Room(BatchingQueue(limits), Retries(), MonotonicClock())
    level = room.level(asked, tenants(feed=Limits(priority=may))["feed"])
    assert 0 <= level <= levels
    if not may or not levels:
        assert level == limits.level(asked) == room.level(asked)
    else:
        assert level >= min(may, levels)
        if not asked:
            assert level == max(limits.level(may), min(may, levels))
        elif min(may, levels) <= asked <= levels:
            assert level == asked
