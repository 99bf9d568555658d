"""The order of what happens to replicas, and what is told of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import incidents
from benchmarks.incidents import SCENARIOS, Incident, Scenario
from benchmarks.proxies import Exchange
from tests.benchmarks.given import answer, run_of

INCIDENT = Incident(0, ("a", 1), lost=10.0, gone=10.5, returning=14.0, back=15.0, code=0, wanted_code=0)


@pytest.mark.parametrize(
    ("all_of_them", "steps"),
    [(True, ["lose 0", "back 0", "lose 1", "back 1"]), (False, ["lose 0", "back 0"])],
)
def test_a_replica_is_back_before_the_next_is_lost(all_of_them: bool, steps: list[str]) -> None:
    done: list[str] = []

    def lose(_: Any, number: int) -> int:
        done.append(f"lose {number}")
        return 3

    def bring_back(_: Any, number: int) -> None:
        done.append(f"back {number}")

    replicas: Any = SimpleNamespace(running=[SimpleNamespace(address=("a", number)) for number in range(2)])
    scenario = Scenario(lose, bring_back, all_of_them=all_of_them, code=3)
    happened = incidents.happen(scenario, replicas, pause_seconds=0, away_seconds=0)
    assert done == steps
    assert [one.replica for one in happened] == list(range(len(steps) // 2))
    assert all(one.lost <= one.gone <= one.returning <= one.back for one in happened)
    assert not any(one.ended_badly for one in happened)


def test_only_a_wrong_exit_code_is_a_bad_end() -> None:
    """What was unplugged or hung had no end at all; what is killed must have been."""
    codes = {name: one.code for name, one in SCENARIOS.items()}
    assert codes == {"rolling": 0, "drain": 0, "killed": -9, "unplugged": 0, "hung": 0}
    for code, wanted, badly in ((0, 0, False), (None, 0, False), (1, 0, True), (0, -9, True)):
        assert Incident(0, ("a", 1), 0, 0, 0, 0, code, wanted).ended_badly is badly


def test_the_effect_counts_what_the_incident_touched() -> None:
    """The run began at 8 by the clock of the incident, whose times are 100 less than those of the log."""
    samples = [answer(0, 0.0, 0.0, 1.5, 200), answer(0, 1.9, 1.9, 5.0, 200), answer(0, 8.0, 8.0, 17.0, 200)]
    run = run_of(samples, seconds=20.0)
    object.__setattr__(run, "began", 8.0)
    exchanges = [
        Exchange(109.0, 0.5, 200, ["a:1", "b:2"]),  # over before it was lost
        Exchange(113.0, 1.5, 200, ["a:1", "b:2"]),
        Exchange(114.5, 0.5, 200, ["b:2"]),
        Exchange(117.0, 0.5, 200, ["a:1"]),
    ]
    found = incidents.effect(INCIDENT, run, exchanges, epoch=100.0)
    assert found.away_seconds == 5.0
    assert found.slowest_seconds == pytest.approx(3.1)
    assert (found.retried, found.last_tried_seconds, found.used_again_seconds) == (1, 1.5, 1.5)
    assert "used again 1.5 s later" in str(found)
    never = incidents.effect(INCIDENT, run, exchanges[:3], epoch=100.0)
    assert never.used_again_seconds is None
    assert "not used again" in str(never)
