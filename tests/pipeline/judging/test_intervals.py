"""The intervals are those of the books, of SciPy, and of simulations; and the sizes that decide do decide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from topfive_pipeline.judging.intervals import (
    Interval,
    beta_cdf,
    beta_quantile,
    difference_interval,
    photos_to_decide,
    share_interval,
)


@pytest.mark.parametrize("a", [1.0, 2.0, 37.0, 60.5, 5_000.0, 1_000_001.0])
@pytest.mark.parametrize("b", [1.0, 3.0, 442.0, 45_000.0])
def test_beta_is_scipys(a: float, b: float) -> None:
    for probability in (1e-6, 0.025, 0.5, 0.975, 1 - 1e-6):
        x = stats.beta.ppf(probability, a, b)
        assert beta_quantile(probability, a, b) == pytest.approx(x, rel=1e-9, abs=1e-15)
        assert beta_cdf(x, a, b) == pytest.approx(probability, rel=1e-8)


def test_beta_ends_where_its_range_ends() -> None:
    assert [beta_cdf(x, 3, 4) for x in (-1, 0, 1, 2)] == [0, 0, 1, 1]


@pytest.mark.parametrize(("right", "of"), [(441, 500), (0, 10), (10, 10), (1, 2)])
def test_a_share_has_the_posterior_of_its_errors(right: int, of: int) -> None:
    low, high = stats.beta.ppf((0.025, 0.975), of - right + 1, right + 1)
    found = share_interval(right, of)
    assert (found.low, found.high) == pytest.approx((1 - high, 1 - low), rel=1e-9)
    assert found.low < (right + 1) / (of + 2) < found.high


def test_a_difference_is_that_of_the_books() -> None:
    """Fagerland, Lydersen and Laake: airway responsiveness before and after a transplantation, 1 and 7 of 21."""
    found = difference_interval(7, 1, 21)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.508, -0.013)


def test_a_difference_turns_round_with_its_models() -> None:
    one, other = difference_interval(9, 4, 300), difference_interval(4, 9, 300)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_models_that_always_agree_may_still_differ_a_little() -> None:
    few, many = difference_interval(0, 0, 50), difference_interval(0, 0, 5000)
    assert few.low < 0 < few.high
    assert few.high > 10 * many.high > 0
    assert difference_interval(0, 0, 1).low >= -1


@pytest.mark.parametrize(("down", "up", "of"), [(0.02, 0.01, 250), (0.03, 0.03, 500), (0.01, 0.002, 1000)])
def test_nineteen_of_twenty_intervals_hold_the_truth(down: float, up: float, of: int) -> None:
    generator = np.random.default_rng(3)
    drawn = generator.multinomial(of, [down, up, 1 - down - up], 4000)
    held = [difference_interval(int(lost), int(won), of).holds(up - down) for lost, won, _ in drawn]
    assert 0.94 < np.mean(held) < 0.985


@pytest.mark.parametrize(
    ("lost", "won", "of", "whether"), [(5, 2, 500, 0.0), (6, 3, 248, 0.0), (2, 2, 248, -0.005), (0, 0, 100, -0.005)]
)
def test_so_many_photos_decide_and_one_fewer_does_not(lost: int, won: int, of: int, whether: float) -> None:
    size = photos_to_decide(lost, won, of, whether=whether)
    assert size is not None
    assert size > of

    def interval(photos: int) -> Interval:
        return difference_interval(lost * photos / of, won * photos / of, photos)

    assert interval(of).holds(whether)
    assert not interval(size).holds(whether)
    assert interval(size - 1).holds(whether)


def test_photos_that_are_enough_are_said_to_be() -> None:
    assert photos_to_decide(60, 10, 500, whether=0.0) == 500


@pytest.mark.parametrize("counts", [(3, 3), (0, 0)])
def test_no_number_tells_equals_apart(counts: tuple[int, int]) -> None:
    assert photos_to_decide(*counts, 500, whether=0.0) is None


def test_a_hundred_times_the_precision_takes_ten_thousand_times_the_photos() -> None:
    sizes = [photos_to_decide(20, 20, 1000, whether=whether) for whether in (-0.01, -0.0001)]
    assert all(sizes)
    assert math.isclose((sizes[1] or 0) / (sizes[0] or 1), 10_000, rel_tol=0.15)
