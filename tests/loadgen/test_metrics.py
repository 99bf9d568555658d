"""Prometheus' text: samples by name and labels, sums over them, and what grew between two readings."""

from __future__ import annotations

import pytest

from topfive_loadgen.metrics import Difference, parse

METRICS = """# TYPE topfive_stage_duration_seconds histogram
topfive_stage_duration_seconds_count{model="a",stage="queue"} %d
topfive_stage_duration_seconds_sum{model="a",stage="queue"} %g
topfive_stage_duration_seconds_count{model="b",stage="queue"} 1
topfive_stage_duration_seconds_sum{model="b",stage="queue"} 1
topfive_stage_duration_seconds_count{model="b",stage="decode"} 0
topfive_stage_duration_seconds_sum{model="b",stage="decode"} 0
"""


def test_a_label_with_a_comma_and_a_quote_is_one_label() -> None:
    reading = parse('a_b{model="x, \\"y\\"",z="1"} 4\n', at=0.0)
    assert reading.values == {("a_b", (("model", 'x, "y"'), ("z", "1"))): 4.0}


def test_a_sum_is_of_the_samples_that_carry_the_labels() -> None:
    reading = parse(METRICS % (3, 0.5))
    assert reading.sum("topfive_stage_duration_seconds_count") == 4
    assert reading.sum("topfive_stage_duration_seconds_count", model="a") == 3
    assert reading.sum("topfive_stage_duration_seconds_count", model="c") is None
    assert reading.labelled("topfive_stage_duration_seconds_count", "stage") == ["queue", "decode"]


def test_means_are_of_what_was_observed_between_two_readings() -> None:
    """Of one stage over all models; of a stage in which nothing was, there is none."""
    gained = Difference(parse(METRICS % (3, 0.5)), parse(METRICS % (7, 2.5)))
    assert gained.mean("topfive_stage_duration_seconds", stage="queue") == pytest.approx(0.5)
    assert gained.mean("topfive_stage_duration_seconds", stage="decode") is None


@pytest.mark.parametrize("declared", ["", "# TYPE nv_inference_count counter\n"])
def test_a_counter_is_found_by_the_name_that_its_server_gave_it(declared: str) -> None:
    assert parse(f"{declared}nv_inference_count 4\n").sum("nv_inference_count") == 4


def test_what_is_no_metrics_is_told() -> None:
    with pytest.raises(ValueError, match="html"):
        parse("<html>")
