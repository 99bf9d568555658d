"""A rate and a quota let in what they say and no more; a refusal spends nothing and says when it will be over."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.access.spending import Limits, Spent, Window, give_back, spend, used_of
from topfive.ground.errors import QuotaExceeded, RateLimited, TooLarge

MARCH = datetime(2027, 3, 14, 15, 9, 26, tzinfo=UTC).timestamp()
arrivals = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 6)), min_size=1, max_size=40)
"""Seconds since the one before, and images."""


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


@given(rate=st.floats(0.1, 20), burst=st.integers(6, 30), arrivals=arrivals)
def test_in_no_time_a_rate_lets_in_more_than_it_and_a_burst(
    rate: float, burst: int, arrivals: list[tuple[float, int]]
) -> None:
    """Nor less: who waits as long as told is let in, and who waits less is not."""
    limits, spent, now = Limits(rate=rate, burst=burst), Spent(), 1000.0
    let_in: list[tuple[float, int]] = []
    for seconds, images in arrivals:
        now += seconds
        try:
            spent = spend(limits, spent, images, now=now, utc=MARCH)
        except RateLimited as refused:
            wait = refused.retry_after_seconds
            assert wait is not None
            spend(limits, spent, images, now=now + wait, utc=MARCH)
            with pytest.raises(RateLimited):
                spend(limits, spent, images, now=now + wait * 0.999 - 1e-5, utc=MARCH)
        else:
            let_in.append((now, images))
    for number, (first, _) in enumerate(let_in):
        total = 0
        for last, images in let_in[number:]:
            total += images
            assert total <= burst + rate * (last - first) + 1e-4


@given(quota=st.integers(6, 20), window=st.sampled_from(["hour", "day", "month"]), arrivals=arrivals)
def test_in_each_window_a_quota_lets_in_no_more_than_it_says(
    quota: int, window: Window, arrivals: list[tuple[float, int]]
) -> None:
    """And what it refuses is let in when it begins again, at the time that it tells."""
    limits, spent, utc = Limits(quota=quota, window=window), Spent(), MARCH
    used: dict[str, int] = {}
    for hours, images in arrivals:
        utc += hours * 3600
        moment = datetime.fromtimestamp(utc, UTC).isoformat()
        now_in = moment[: {"hour": 13, "day": 10, "month": 7}[window]]
        try:
            spent = spend(limits, spent, images, now=0.0, utc=utc)
        except QuotaExceeded as refused:
            assert used[now_in] + images > quota
            wait = refused.retry_after_seconds
            assert wait is not None
            spend(limits, spent, images, now=0.0, utc=utc + wait)
            with pytest.raises(QuotaExceeded):
                spend(limits, spent, images, now=0.0, utc=utc + wait - 0.01)
        else:
            used[now_in] = used.get(now_in, 0) + images
        assert used_of(limits, spent, utc) == used.get(now_in, 0) <= quota


@pytest.mark.parametrize(
    ("window", "now", "begins"),
    [
        ("hour", "2027-12-31T23:59:59", "2028-01-01T00:00:00"),
        ("day", "2028-02-28T00:00:00", "2028-02-29T00:00:00"),
        ("day", "2027-03-28T01:30:00", "2027-03-29T00:00:00"),
        ("month", "2028-02-29T12:00:00", "2028-03-01T00:00:00"),
        ("month", "2027-12-01T00:00:00", "2028-01-01T00:00:00"),
        ("month", "2027-01-31T00:00:00", "2027-02-01T00:00:00"),
    ],
)
def test_a_window_is_one_of_the_calendar_in_utc(window: Window, now: str, begins: str) -> None:
    limits = Limits(quota=1, window=window)
    spent = spend(limits, Spent(), 1, now=0.0, utc=at(now))
    with pytest.raises(QuotaExceeded, match=f"0 are left; it begins again at {begins}Z") as refused:
        spend(limits, spent, 1, now=0.0, utc=at(now))
    assert refused.value.retry_after_seconds == at(begins) - at(now)


@pytest.mark.parametrize("limits", [Limits(rate=5.0, burst=4), Limits(quota=4), Limits(rate=3.5)])
def test_what_would_never_be_let_in_is_too_large(limits: Limits) -> None:
    spend(limits, Spent(), 4, now=0.0, utc=MARCH)
    with pytest.raises(TooLarge, match="the request has 5 images"):
        spend(limits, Spent(), 5, now=0.0, utc=MARCH)


@given(st.integers(1, 10), st.integers(0, 10))
def test_what_is_given_back_was_never_spent(images: int, before: int) -> None:
    limits = Limits(rate=1.0, burst=20, quota=20)
    spent = spend(limits, Spent(), before, now=5.0, utc=MARCH)
    more = spend(limits, spent, images, now=5.0, utc=MARCH)
    assert give_back(limits, more, images, since=more.window) == spent


def test_what_counted_yesterday_is_not_given_back_today() -> None:
    limits = Limits(quota=5, window="hour")
    spent = spend(limits, Spent(), 3, now=0.0, utc=MARCH)
    today = spend(limits, spent, 2, now=0.0, utc=MARCH + 3600)
    assert used_of(limits, give_back(limits, today, 3, since=spent.window), MARCH + 3600) == 2


def test_a_clock_that_is_set_back_gives_nobody_a_second_quota() -> None:
    """Nor does one that was far ahead for a moment keep a tenant out until then."""
    limits = Limits(quota=5, window="day")
    ahead = spend(limits, Spent(), 5, now=0.0, utc=at("2099-01-01T00:00:00"))
    with pytest.raises(QuotaExceeded, match="2027-03-15T00:00:00Z"):
        spend(limits, ahead, 1, now=0.0, utc=MARCH)
    refused_until = at("2027-03-15T00:00:00")
    kept = Spent(ahead.tokens, ahead.at, int(MARCH), 4)
    assert used_of(limits, spend(limits, kept, 1, now=0.0, utc=MARCH), MARCH) == 5
    assert spend(limits, kept, 1, now=0.0, utc=refused_until).used == 1


def test_after_a_new_start_of_the_machine_the_bucket_is_full() -> None:
    """Its monotonic clock then begins anew."""
    limits = Limits(rate=1.0, burst=3)
    spent = spend(limits, Spent(), 3, now=1e6, utc=MARCH)
    assert spend(limits, spent, 3, now=5.0, utc=MARCH).at == 5.0


def test_the_burst_is_one_second_of_the_rate_unless_it_is_said() -> None:
    assert [Limits(rate=rate).size for rate in (0.1, 1.0, 2.5)] == [1, 1, 3]
    assert Limits(rate=50.0, burst=7).size == 7
    assert math.isclose(spend(Limits(rate=2.5), Spent(), 1, now=0.0, utc=MARCH).tokens, 2.0)
