"""Figures come from the same photos, pair by pair, each with what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from topfive_pipeline.judging.accuracy import accuracy_of, difference_of
from topfive_pipeline.judging.answering import Answers
from topfive_pipeline.judging.intervals import difference_interval, photos_to_decide, share_interval


def answers(
    *rank: int, first: Sequence[int] | None = None, losses: Sequence[float] | None = None, classes: int = 10
) -> Answers:
    """Answers to as many photos as there are ranks; changes go evenly from 0 to 0.9."""
    count = len(rank)
    return Answers(
        np.array([0] * count if first is None else first),
        np.array(rank),
        np.array([1.0] * count if losses is None else losses),
        np.linspace(0, 0.9, count),
        classes,
    )


def test_shares_of_one_and_of_five() -> None:
    found = accuracy_of(answers(0, 0, 4, 5, losses=[1, 2, 3, 6]))
    assert (found.top_1.right, found.top_1.share, found.loss) == (2, 0.5, 3)
    assert found.top_1.interval == share_interval(2, 4)
    assert found.top_5 is not None
    assert (found.top_5.right, found.top_5.interval) == (3, share_interval(3, 4))


def test_of_five_classes_all_are_among_the_first_five() -> None:
    assert accuracy_of(answers(0, 4, classes=5)).top_5 is None


def test_a_difference_counts_what_is_lost_and_won() -> None:
    before = answers(*[0] * 6, *[1] * 4, losses=[0.5] * 10)
    after = answers(1, 1, 1, *[0] * 4, *[2] * 3, first=[0] * 8 + [7] * 2, losses=[0.5, 0.7] * 5)
    found = difference_of(after, before, budget=None)
    assert (found.lost, found.won) == (3, 1)
    assert found.top_1 == pytest.approx(-0.2)
    assert found.relative == pytest.approx(-2 / 6)
    assert found.interval == difference_interval(3, 1, 10)
    assert found.decides_sign == photos_to_decide(3, 1, 10, whether=0)
    assert found.decides_budget is None
    assert found.agreement == pytest.approx(0.8)
    assert (found.mean_change, found.largest_change) == pytest.approx((0.45, 0.9))
    assert found.loss == pytest.approx(0.1)
    assert found.loss_error == pytest.approx(np.std([0, 0.2] * 5, ddof=1) / np.sqrt(10))


def test_a_budget_is_in_points() -> None:
    before, after = answers(*[0] * 200), answers(*[0] * 198, 1, 1)
    found = difference_of(after, before, budget=2.5)
    assert found.decides_budget == photos_to_decide(2, 0, 200, whether=-0.025)
    assert found.decides_budget is not None
    assert found.decides_budget > 200


def test_a_reference_that_is_never_right_divides_nothing_by_zero() -> None:
    assert difference_of(answers(0, 1), answers(1, 1), budget=None).relative == 1
