"""Points of speed against loss, and the choice among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from topfive_pipeline.optimising.bench import Bench
from topfive_pipeline.optimising.curve import Point, knee, lost_share, measure, mixtures
from topfive_pipeline.optimising.machine import kinds
from topfive_pipeline.optimising.measuring import Distance, Speed
from topfive_pipeline.optimising.quantising import Recipe
from topfive_pipeline.optimising.sensitivity import Sensitivity
from topfive_pipeline.optimising.trials import Trial

RECIPE = Recipe(kind=kinds(("avx512_vnni",), machine="x86_64")[0], method="max")


def _trial(pace: float, sqnr: float, floats: int = 0) -> Trial:
    return Trial(
        recipe=replace(RECIPE, floats=frozenset(map(str, range(floats)))),
        speed={1: Speed(pace, pace, pace), 8: Speed(pace, pace, pace)},
        distance=Distance(sqnr=sqnr, divergence=0.0, agreement=1.0, largest=0.0, mean=0.0),
        megabytes=1.0,
    )


def _point(pace: float, sqnr: float, floats: int, loss: float | None = None, least: float | None = None) -> Point:
    return Point(trial=_trial(pace, sqnr, floats), loss=loss, least=least)


def test_the_knee_is_where_the_curve_bends() -> None:
    points = [_point(2.4, 19, 0), _point(2.35, 26, 1), _point(1.8, 27, 2), _point(1.2, 28, 3)]
    assert knee(points, budget=0.005, pays=1.1).floats == 1


def test_layers_return_until_the_budget_holds() -> None:
    points = [
        _point(2.4, 19, 0, 0.09, 0.05),
        _point(2.35, 26, 1, 0.06, 0.02),
        _point(1.8, 27, 2, 0.02, -0.01),
        _point(1.2, 28, 3, 0.0, -0.02),
    ]
    assert knee(points, budget=0.005, pays=1.1).floats == 2


def test_one_photo_more_or_less_does_not_choose() -> None:
    points = [_point(2.4, 19, 0, 0.016, -0.01), _point(2.35, 26, 1, 0.008, -0.02), _point(1.8, 27, 7, 0.0, -0.02)]
    assert knee(points, budget=0.005, pays=1.1).floats == 1


def test_if_no_point_is_within_the_budget_it_is_the_one_that_loses_least() -> None:
    points = [_point(2.4, 19, 0, 0.3, 0.2), _point(2.0, 20, 1, 0.2, 0.1), _point(1.5, 21, 2, 0.25, 0.15)]
    assert knee(points, budget=0.005, pays=1.1).floats == 1


def test_a_point_that_does_not_pay_is_no_choice() -> None:
    points = [_point(1.3, 10, 0, 0.01, -0.01), _point(1.05, 30, 1, 0.0, -0.02)]
    assert knee(points, budget=0.005, pays=1.1).floats == 0


def test_a_curve_of_one_point_has_its_knee_there() -> None:
    assert knee([_point(2.0, 20, 0)], budget=0.005, pays=1.1).floats == 0


def test_layers_that_gain_nothing_stay_quantised_and_at_most_half_return() -> None:
    sensitive = [Sensitivity(str(number), frozenset({str(number)}), 1.0 - number / 4) for number in range(8)]
    assert [len(each) for each in mixtures(sensitive, 16)] == [0, 1, 2, 3]
    assert [len(each) for each in mixtures(sensitive, 4)] == [0, 1, 2]


def test_units_that_are_in_others_add_no_point() -> None:
    both = frozenset({"first", "second"})
    sensitive = [Sensitivity("second", both, 2.0), Sensitivity("first", frozenset({"first"}), 1.0)]
    assert mixtures(sensitive, 8) == [frozenset(), both]


def test_points_are_measured_with_their_loss_if_photos_are_labelled(
    bench: Bench, labels: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> None:
    bench = replace(bench, held=replace(bench.held, labels=labels))
    layers = bench.source.layers
    trial = _trial(2, 20)
    trial = replace(trial, recipe=replace(trial.recipe, scope="layers"))
    nothing, everything = measure(bench, trial, [frozenset(), frozenset(layers)])
    assert (nothing.floats, everything.floats) == (0, 3)
    assert nothing.loss == pytest.approx(1 - nothing.trial.distance.agreement)
    assert everything.trial.distance.sqnr > nothing.trial.distance.sqnr


def test_a_loss_is_the_difference_of_right_answers() -> None:
    reference, labels = np.eye(4), np.arange(4)
    loss, least = lost_share(reference[[0, 0, 2, 3]], reference, labels)
    assert loss == 0.25
    assert least < 0.25
