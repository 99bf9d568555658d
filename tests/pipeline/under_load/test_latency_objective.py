"""An objective is what was said, and a rate holds it only if that was shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.under_load.latency_objective import Limit, Objective, parsed
from topfive_pipeline.under_load.load import Probe


def test_limits_are_read_in_all_their_spellings() -> None:
    assert parsed("p99:50ms") == Objective((Limit("99", 0.05),), "p99:50ms")
    assert parsed("P50:0.02s, p99.9:1s").limits == (Limit("50", 0.02), Limit("99.9", 1.0))
    assert parsed("throughput") == Objective((), "throughput")
    assert parsed("throughput,p90:5ms") == parsed("p90:5ms")  # the rate is what is raised in any case


@pytest.mark.parametrize("text", ["", "p99", "99:50ms", "p99:50", "p99:0ms", "p0:5ms", "p100:5ms", "p99:50ms;p50:5ms"])
def test_what_is_no_objective_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="say a percentile and its limit, as p99:50ms"):
        parsed(text)


def test_two_limits_of_one_percentile_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="p99 is said twice"):
        parsed("p99:50ms,p99:60ms")


@given(st.lists(st.floats(1e-4, 1.0), min_size=100, max_size=300), st.floats(1e-3, 0.5))
def test_a_rate_holds_exactly_if_the_percentile_is_within_its_limit(latencies: list[float], limit: float) -> None:
    objective = Objective((Limit("99", limit), Limit("50", 10.0)), "")
    ordered = tuple(sorted(latencies))
    slowest_of_99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    assert (objective.margin(Probe(10.0, ordered)) <= 0) == (slowest_of_99 <= limit)


def test_refusals_doubts_and_too_few_answers_are_no_proof() -> None:
    """A server that refuses half answers the other half fast."""
    objective, fast = parsed("p99:50ms"), (0.001,) * 1000
    assert objective.margin(Probe(10.0, fast, failed=1)) < 0
    assert objective.margin(Probe(10.0, fast, failed=2)) == math.inf
    assert objective.margin(Probe(10.0, fast, fault="the generator fell behind")) == math.inf
    assert objective.margin(Probe(10.0, fast[:99])) == math.inf
    assert objective.margin(Probe(10.0, (), failed=5)) == math.inf
