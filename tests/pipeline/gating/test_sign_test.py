"""The sign test is SciPy's, and with weights it is what all outcomes together say."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from topfive_pipeline.gating.sign_test import (
    at_most,
    effective_size,
    power,
    rate_interval,
    sign_test,
    to_find,
    weighted_sign_test,
)


@given(won=st.integers(0, 400), lost=st.integers(0, 400))
@settings(max_examples=40)
def test_it_is_scipys_binomial_test(won: int, lost: int) -> None:
    found = sign_test(won, lost)
    if won + lost:
        for way, value in (("two-sided", found.two_sided), ("greater", found.better), ("less", found.worse)):
            expected = stats.binomtest(won, won + lost, alternative=way).pvalue
            assert value == pytest.approx(expected, rel=1e-8, abs=1e-300)


@given(photos=st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(0, 12)), min_size=1, max_size=8))
@settings(max_examples=40)
def test_with_weights_it_is_what_all_outcomes_say(photos: list[tuple[int, int]]) -> None:
    """Weights of a few counts often have equal sums, all of which are in the tail, or none."""
    found = weighted_sign_test([sign for sign, _ in photos], [weight * 0.37 for _, weight in photos])
    decided = [(sign, weight) for sign, weight in photos if sign and weight]
    weights = np.array([weight for _, weight in decided])
    reached = sum(weight for sign, weight in decided if sign > 0)
    sums = np.array(list(product((0, 1), repeat=len(decided))), int).reshape(2 ** len(decided), -1) @ weights.astype(
        int
    )
    assert found.better == pytest.approx(np.mean(sums >= reached), abs=1e-12)
    assert found.worse == pytest.approx(np.mean(sums <= reached), abs=1e-12)
    if decided:
        assert found.rate == pytest.approx(reached / sum(weight for _, weight in decided))
    assert found.decided == pytest.approx(effective_size([weight for _, weight in decided]))


@given(signs=st.lists(st.sampled_from([-1, 0, 1]), max_size=60), weight=st.floats(1e-3, 1e3))
@settings(max_examples=30)
def test_equal_weights_are_no_weights(signs: list[int], weight: float) -> None:
    plain, weighed = sign_test(signs.count(1), signs.count(-1)), weighted_sign_test(signs, [weight] * len(signs))
    assert weighed.decided == pytest.approx(plain.decided)
    assert (weighed.better, weighed.worse) == pytest.approx((plain.better, plain.worse), rel=1e-9)
    assert weighed.rate == pytest.approx(plain.rate) if plain.decided else weighed.rate is None


def test_weights_without_a_common_measure_are_rounded_finely() -> None:
    """What is left out of 20,000 units is far below what an interval of photos could tell."""
    weights = np.random.default_rng(3).lognormal(size=12)
    signs = [1, -1] * 6
    sums = np.array(list(product((0, 1), repeat=12))) @ weights
    found = weighted_sign_test(signs, list(weights))
    assert found.better == pytest.approx(np.mean(sums >= weights[::2].sum() - 1e-12), abs=2e-3)


def test_many_weights_of_all_sizes_are_no_hindrance() -> None:
    weights = np.random.default_rng(4).pareto(1.0, 1_000) + 1
    found = weighted_sign_test([1, -1] * 500, [*weights, 0.0][:1_000])
    assert 0 < found.better < 1
    assert found.better + found.worse == pytest.approx(1, abs=0.02)


def test_one_photo_that_weighs_most_decides_nothing() -> None:
    """A win that weighs as much as 99 losses is one coin, however large the weighted rate of wins is."""
    found = weighted_sign_test([1, *[-1] * 9], [990.0, *[10.0] * 9])
    assert found.rate == pytest.approx(990 / 1080)
    assert found.better > 0.4
    assert found.decided < 1.2


def test_nothing_decided_tells_nothing() -> None:
    for found in (sign_test(0, 0), weighted_sign_test([0, 1], [1.0, 0.0])):
        assert (found.rate, found.interval) == (None, None)
        assert (found.better, found.worse, found.two_sided) == (1, 1, 1)


def test_the_interval_of_the_rate_is_that_of_its_posterior() -> None:
    found = rate_interval(8, 10)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(stats.beta.ppf((0.025, 0.975), 9, 11)), rel=1e-9)


@pytest.mark.parametrize(("most", "of"), [(-1, 5), (0, 5), (3, 5), (5, 5), (7, 5), (0, 0)])
def test_a_binomial_distribution(most: int, of: int) -> None:
    assert at_most(most, of, 0.3) == pytest.approx(stats.binom.cdf(most, of, 0.3))


@pytest.mark.parametrize("decided", [0, 4, 5, 20, 56, 300])
def test_power_is_the_probability_that_a_loss_shows(decided: int) -> None:
    shown = [won for won in range(decided + 1) if stats.binom.cdf(won, decided, 0.5) <= 0.05]
    assert power(decided, 1 / 3) == pytest.approx(stats.binom.pmf(shown, decided, 1 / 3).sum())


@pytest.mark.parametrize("rate", [0.2, 1 / 3, 0.4, 0.45])
def test_as_many_photos_as_are_said_to_find_a_loss_do_find_it(rate: float) -> None:
    """The number is an approximation, and the exact test goes by steps: from 73 to 87 % for 80."""
    needed = to_find(rate)
    assert needed is not None
    assert 0.73 < power(needed, rate) < 0.87
    both_ways = to_find(1 - rate, either_way=True)
    assert both_ways is not None
    assert both_ways > needed


def test_no_number_of_photos_tells_a_half_from_a_half() -> None:
    assert to_find(0.5) is None


def test_the_effective_number_is_kishs() -> None:
    assert effective_size([1.0] * 7) == pytest.approx(7)
    assert effective_size([1.0, 0.0, 0.0]) == pytest.approx(1)
    assert effective_size([3.0, 1.0]) == pytest.approx(1.6)
    assert effective_size([0.0]) == 0
