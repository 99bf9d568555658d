"""A prediction is judged by the median of the rounds, and counts as right within 15 %."""

from __future__ import annotations

import pytest

from benchmarks.plan import Point, judge, markdown


def point(predicted: float, *measured: float) -> Point:
    """Of a load whose p50 is right, and whose p99 was predicted and `measured` so."""
    return Point("one", 0.6, 80.0, {"50": 0.01, "99": predicted}, {"50": [0.01], "99": list(measured)})


@pytest.mark.parametrize(
    ("predicted", "met"), [(0.05, True), (0.057, True), (0.043, True), (0.058, False), (0.042, False)]
)
def test_a_prediction_may_be_off_by_15_percent(predicted: float, met: bool) -> None:
    checks = judge([point(predicted, 0.05)])
    assert [check.met for check in checks] == [True, met]


def test_one_bad_round_of_three_decides_nothing() -> None:
    assert all(check.met for check in judge([point(0.05, 0.05, 0.9, 0.049)]))


def test_the_table_has_the_median_and_the_spread_of_the_rounds() -> None:
    text = markdown([point(0.06, 0.05, 0.09, 0.04)])
    assert "| one | 60% | 80 | 10.0 | 10.0 | 10.0–10.0 | 1.00 | 60.0 | 50.0 | 40.0–90.0 | 1.20 |" in " ".join(
        text.split()
    )
