"""When the cores are idle enough for work that no client waits for."""

from __future__ import annotations

import pytest

from topfive.rollout.idle import MOMENT_SECONDS, MOST_REST_SECONDS, Idle


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 1), (4, 2), (16, 8)])
def test_they_are_while_fewer_requests_are_in_flight_than_half_of_them(cores: int, most: int) -> None:
    in_flight = 0
    idle = Idle(cores, in_flight=lambda: in_flight, busy_share=0.5)
    assert idle.since() < 0
    in_flight = most
    assert idle.since() == float("inf")
    in_flight = most - 1
    idle.ended(7.0)
    assert idle.since() == 7.0 + MOMENT_SECONDS
    if most > 1:
        in_flight = most - 2
        idle.ended(8.0)
        assert idle.since() == 7.0 + MOMENT_SECONDS, "they were idle before as well"


@pytest.mark.parametrize("took", [0.001, 0.02, 0.5])
def test_such_work_takes_at_most_its_share_of_the_time(took: float) -> None:
    idle = Idle(2, in_flight=lambda: 0, busy_share=0.01)
    now = worked = 0.0
    for _ in range(20):
        idle.worked(now, now + took)
        worked += took
        now = idle.since()
    assert worked <= 0.01 * now * (1 + 1e-9)


def test_work_that_hung_does_not_rest_for_hours() -> None:
    idle = Idle(2, in_flight=lambda: 0, busy_share=0.01)
    idle.worked(0.0, 100.0)
    assert idle.since() == 100.0 + MOST_REST_SECONDS
