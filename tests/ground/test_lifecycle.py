"""The service's states change as its life allows, each change is told once, and only READY is ready."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testkit.fakes import settle
from topfive.ground.lifecycle import Bell, Lifecycle, State

STARTING, READY, UNREACHABLE, FAILED, DRAINING, STOPPED = State
ALLOWED: Final = {
    (STARTING, READY),
    (STARTING, FAILED),
    (STARTING, DRAINING),
    (READY, UNREACHABLE),
    (READY, FAILED),
    (READY, DRAINING),
    (UNREACHABLE, READY),
    (UNREACHABLE, FAILED),
    (UNREACHABLE, DRAINING),
    (FAILED, DRAINING),
    (DRAINING, STOPPED),
}
WAYS: Final = {
    STARTING: [],
    READY: [READY],
    UNREACHABLE: [READY, UNREACHABLE],
    FAILED: [FAILED],
    DRAINING: [DRAINING],
    STOPPED: [DRAINING, STOPPED],
}


@pytest.mark.parametrize(("before", "after"), list(product(State, State)), ids=lambda state: state.value)
def test_every_change_is_allowed_or_refused(before: State, after: State) -> None:
    told: list[State] = []
    life = Lifecycle(on_change=told.append)
    for state in WAYS[before]:
        life.enter(state)
    assert life.state is before
    told.clear()
    if (before, after) in ALLOWED:
        life.enter(after)
        assert (life.state, told) == (after, [after])
    elif before is after:
        life.enter(after)
        assert (life.state, told) == (before, [])
    else:
        with pytest.raises(ValueError, match=f"from {before.value} to {after.value}"):
            life.enter(after)
        assert (life.state, told) == (before, [])
    assert life.ready is (life.state is READY)
    assert life.started is (life.state in (READY, UNREACHABLE))
    assert repr(life) == f"<Lifecycle {life.state.value}>"


def test_a_service_starts_unready() -> None:
    life = Lifecycle(on_change=lambda state: None)
    assert life.state is STARTING
    assert not life.ready


@given(st.lists(st.sampled_from(State), max_size=12))
def test_what_is_told_is_the_whole_life(wanted: list[State]) -> None:
    """Whatever is asked for: once it drains a service is never ready again, and it stops at most once."""
    told: list[State] = []
    life = Lifecycle(on_change=told.append)
    for state in wanted:
        try:
            life.enter(state)
        except ValueError:
            assert told[-1:] != [state]
    assert life.state is (told[-1] if told else STARTING)
    assert set(zip([STARTING, *told], told, strict=False)) <= ALLOWED
    if DRAINING in told:
        assert told[told.index(DRAINING) + 1 :] in ([], [STOPPED])


async def test_a_bell_wakes_all_who_wait_and_nobody_who_comes_later() -> None:
    bell = Bell()
    waiting = [asyncio.ensure_future(bell.wait()) for _ in range(2)]
    await settle()
    bell.ring()
    await asyncio.gather(*waiting)
    late = asyncio.ensure_future(bell.wait())
    await settle()
    assert not late.done()
    bell.ring()
    await late


def test_who_serves_nothing_is_not_ready_and_says_what_to_do() -> None:
    """Told of as the states are, each change once, and only while it could be ready."""
    told: list[bool] = []
    life = Lifecycle(on_change=lambda state: told.append(life.ready))
    life.serve(anything=False)
    assert told == []
    assert "starting" in life.why_not_ready
    life.enter(READY)
    assert "no model is served" in life.why_not_ready
    for anything in (False, True, True, False):
        life.serve(anything=anything)
    assert told == [False, True, False]
    assert life.started
