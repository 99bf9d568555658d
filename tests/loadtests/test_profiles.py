"""The quick profile: less of everything that was not given."""

from __future__ import annotations

import inspect

from loadtests import progress
from loadtests.__main__ import measure
from loadtests.profiles import QUICK, quickened
from loadtests.run_plan import RunPlan
from loadtests.windows import Rule

TWO_MINUTES = 120.0


def test_what_was_given_stays_and_the_rest_is_quick() -> None:
    asked = {"workers": (1, 2, 4, 8, 16), "p99_ms": (100.0,), "url": "http://127.0.0.1:8000"}
    found = quickened(asked, given=frozenset({"workers"}))
    assert found["workers"] == (1, 2, 4, 8, 16)  # even if it is what the full profile has
    assert found["p99_ms"] == ()
    assert found["url"] == asked["url"]


def test_it_names_only_options_that_there_are() -> None:
    assert set(QUICK) <= set(inspect.signature(measure).parameters)


def test_it_is_planned_to_take_less_than_two_minutes() -> None:
    """By the estimate of the progress; docs/load-tests.md says what it took, measured."""
    plan = RunPlan(
        workers=QUICK["workers"],
        mixes=QUICK["mixes"],
        scenarios=("raw", "jpeg", "oip"),
        rule=Rule(warm_up_seconds=QUICK["warm_up"], window_seconds=QUICK["window"], windows_most=QUICK["windows_most"]),
        open_rates=QUICK["rates"],
        open_seconds=QUICK["rate_seconds"],
        capacity_p99_seconds=QUICK["p99_ms"],
    )
    assert sum(step.seconds for step in progress.steps(plan)) < TWO_MINUTES
