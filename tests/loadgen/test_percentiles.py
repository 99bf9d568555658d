"""Percentiles against numpy's of the same samples."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive_loadgen.percentiles import CURVE, percentile, percentile_of, standing, summarise

SAMPLES = st.lists(st.floats(min_value=0, max_value=1e4, allow_subnormal=False), min_size=1, max_size=300)


@given(samples=SAMPLES, percent=st.one_of(st.sampled_from(CURVE), st.integers(0, 100)))
def test_a_percentile_is_numpys_inverted_cdf(samples: list[float], percent: float) -> None:
    # numpy takes q * n in floating point and so is a rank off where the product is whole but for its rounding: it gets
    # a q that is a hair below, which changes nothing elsewhere.
    wanted = np.percentile(samples, max(0.0, percent - 1e-9), method="inverted_cdf")
    assert percentile(sorted(samples), percent) == percentile_of(samples, percent) == wanted


def test_known_percentiles() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (0, 29, 50, 90, 99, 99.5, 100)] == [1, 29, 50, 90, 99, 100, 100]


@given(samples=SAMPLES)
def test_every_percentile_is_a_sample(samples: list[float]) -> None:
    found = summarise(samples)
    assert found is not None
    assert {found.p50, found.p90, found.p99, found.max} <= set(samples)
    assert found.max == max(samples)
    assert found.count == len(samples)


def test_the_summary_is_numpys_on_ten_thousand_lognormal_samples() -> None:
    seeded = random.Random(3)
    samples = [seeded.lognormvariate(-4, 0.7) for _ in range(10_000)]
    found = summarise(samples)
    assert found is not None
    assert [found.p50, found.p90, found.p99] == np.percentile(samples, [50, 90, 99], method="inverted_cdf").tolist()
    assert found.mean == pytest.approx(np.mean(samples))


@given(samples=SAMPLES)
def test_a_curve_never_goes_back(samples: list[float]) -> None:
    found = summarise(samples)
    assert found is not None
    percents, values = zip(*found.curve, strict=True)
    assert list(percents) == sorted(set(percents))
    assert list(values) == sorted(values)
    assert found.curve[-1] == (100.0, max(samples))


def test_no_samples_have_no_percentile() -> None:
    assert summarise([]) is None
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)
    assert math.isnan(percentile_of([], 50))


@pytest.mark.parametrize("percent", [-1, 100.1])
def test_a_percentile_is_from_0_to_100(percent: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        percentile([1.0], percent)


@pytest.mark.parametrize(
    ("count", "percent", "worth"),
    [
        (1000, 99, "trusted"),
        (999, 99, "coarse"),
        (100, 99, "coarse"),
        (99, 99, "not measured"),
        (20, 50, "trusted"),
        (19, 50, "coarse"),
        (10_000, 99.9, "trusted"),
        (9_999, 99.9, "coarse"),
    ],
)
def test_what_a_percentile_is_worth_is_how_many_samples_are_beyond_it(count: int, percent: float, worth: str) -> None:
    assert standing(count, percent) == worth
