"""An alarm rings once, at the time that was set last."""

from __future__ import annotations

from tests.testkit.fakes import FakeClock
from topfive.ground.clock import Alarm

NEVER = float("inf")


def test_an_alarm_rings_at_its_time_and_once() -> None:
    clock, rung = FakeClock(), list[float]()
    Alarm(clock).set(101.0, lambda: rung.append(clock.now()))
    clock.advance(0.5)
    assert rung == []
    clock.advance(0.5)
    clock.advance(5.0)
    assert rung == [101.0]


def test_only_the_last_time_set_counts_and_never_is_one() -> None:
    clock, rung = FakeClock(), list[float]()
    alarm = Alarm(clock)

    def ring() -> None:
        rung.append(clock.now())

    for when in (103.0, 101.0, 101.0, 102.0):
        alarm.set(when, ring)
    assert clock.armed == [102.0]
    assert len(clock.timers) == 3, "the time that was set already needs no new timer"
    clock.advance(2.0)
    alarm.set(104.0, ring)
    alarm.set(NEVER, ring)
    assert clock.armed == []
    clock.advance(10.0)
    assert rung == [102.0]


def test_an_alarm_can_be_set_again_while_it_rings() -> None:
    clock, rung = FakeClock(), list[float]()

    def ring() -> None:
        rung.append(clock.now())
        alarm.set(clock.now() + 1.0, ring)

    alarm = Alarm(clock)
    alarm.set(101.0, ring)
    for _ in range(3):
        clock.advance(1.0)
    assert rung == [101.0, 102.0, 103.0]
