"""When the cores are idle enough for work that no client waits for."""

from __future__ import annotations

import pytest

from topfive.rollout.idle import MOMENT_SECONDS, Idle


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 1), (4, 2), (16, 8)])
def test_they_are_while_fewer_requests_are_in_flight_than_half_of_them(cores: int, most: int) -> None:
    in_flight = 0
    idle = Idle(cores, in_flight=lambda: in_flight)
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
