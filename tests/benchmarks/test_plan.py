"""A prediction is judged by the median over the rounds of predicted to measured, and is right within 15 %."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.plan import Point, judge, markdown
from benchmarks.plan_plot import draw


def point(*p99: tuple[float, float]) -> Point:
    """Of a load whose p50 is right, and whose p99 was predicted and measured so in each round."""
    return Point("one", 0.6, [80.0] * len(p99), {"50": [(0.01, 0.01)] * len(p99), "99": list(p99)})


@pytest.mark.parametrize(
    ("predicted", "met"), [(0.05, True), (0.057, True), (0.043, True), (0.058, False), (0.042, False)]
)
def test_a_prediction_may_be_off_by_15_percent(predicted: float, met: bool) -> None:
    checks = judge([point((predicted, 0.05))])
    assert [check.met for check in checks] == [True, met, True]


def test_one_bad_round_of_three_decides_nothing() -> None:
    assert all(check.met for check in judge([point((0.05, 0.05), (0.05, 0.9), (0.06, 0.061))]))


def test_a_load_that_never_counted_is_told() -> None:
    checks = judge([point((0.05, 0.05)), Point("one", 0.85)])
    assert [check.met for check in checks] == [True, True, False]


def test_the_table_has_medians_and_the_spread_of_the_rounds() -> None:
    text = " ".join(markdown([point((0.06, 0.05), (0.06, 0.1), (0.06, 0.06))]).split())
    assert "| one | 60% | 80 | 10.0 ms | 10.0 ms | 1.00 | 1.00–1.00 | 60.0 ms | 60.0 ms | 1.00 | 0.60–1.20 |" in text


def test_the_picture_has_a_part_for_each_setup(tmp_path: Path) -> None:
    curve = [(rate, {"50": [(0.01, 0.01)], "99": [(0.05, 0.04)]}) for rate in (20.0, 40.0)]
    draw({"one": curve, "two": curve}, tmp_path / "plan.svg")
    assert (tmp_path / "plan.svg").read_text(encoding="utf-8").count('id="axes_') == 2
