"""A tuning fits its time, or says beforehand how much it needs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.tuning.plan import BETWEEN, LONGEST, enough_seconds, planned
from topfive_pipeline.under_load.latency_objective import parsed


@given(st.floats(5.0, 3600.0), st.floats(10.0, 3000.0), st.integers(0, 12), st.integers(0, 4), st.floats(0.1, 10.0))
def test_what_is_planned_takes_no_longer_than_the_time(
    seconds: float, rate: float, runs: int, batching: int, start: float
) -> None:
    objective = parsed("p99:50ms")
    try:
        plan = planned(seconds, objective, runs=runs, batching=batching, rate=rate, start_seconds=start)
    except ConfigurationError as error:
        said = re.search(r"--time (\d+)s", str(error))
        assert said is not None
        few = {"runs": min(runs, 1), "batching": 0 if runs else batching}
        assert planned(float(said[1]), objective, **few, rate=rate, start_seconds=start).loads > 0
        return
    takes = plan.loads * (plan.seconds + BETWEEN) + (plan.runs + plan.batching) * start
    assert takes <= seconds * (1 + 1e-9) or plan.loads == 0
    enough = enough_seconds(objective, rate)
    assert enough <= plan.seconds * (1 + 1e-9)
    assert plan.seconds <= max(LONGEST, enough)
    assert (plan.runs, plan.batching) <= (runs, batching)


def test_more_time_is_spent_on_longer_loads_and_then_on_more_last_rounds() -> None:
    found = [
        planned(seconds, parsed("p99:50ms"), runs=5, batching=3, rate=180.0, start_seconds=2.0)
        for seconds in (60.0, 120.0, 200.0, 400.0, 2000.0)
    ]
    assert [plan.final_rounds for plan in found] == [5, 8, 8, 8, 8]
    assert [plan.runs + plan.batching for plan in found] == sorted(plan.runs + plan.batching for plan in found)
    assert found[-1].seconds == LONGEST


def test_too_little_time_is_refused_with_what_would_do() -> None:
    with pytest.raises(ConfigurationError, match=r"p99:50ms cannot be judged in 10 s: .* say --time \d+s, or another"):
        planned(10.0, parsed("p99:50ms"), runs=3, batching=0, rate=1.2, start_seconds=1.0)
