"""Counts of paired answers: shares, what only one got right, and how alike answers are, also by frequency."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.gating.told import answer, answers
from topfive_pipeline.gating.answers import Answer
from topfive_pipeline.gating.paired import agreed, paired, right_in
from topfive_pipeline.judging.intervals import difference_interval
from topfive_pipeline.proof.photos import Photo

CAT, HORSE = answer("cat", "horse"), answer("horse", "cat")
IS_CAT = Photo(Path("a.jpg"), 3)
BOTH_RIGHT, LOST, WON = (IS_CAT, CAT, CAT), (IS_CAT, HORSE, CAT), (IS_CAT, CAT, HORSE)


def test_right_is_being_among_the_first_labels() -> None:
    assert [right_in(HORSE, 3, top) for top in (1, 2)] == [False, True]
    assert not right_in(Answer(422), 3, 5)


def test_the_difference_is_of_what_only_one_got_right() -> None:
    told = answers([BOTH_RIGHT] * 7 + [LOST] * 2 + [WON])
    found = paired(told, range(10), 1)
    assert (found.candidate.share, found.live.share) == (0.8, 0.9)
    assert (found.lost, found.won, found.of) == (2, 1, 10)
    assert found.difference == pytest.approx(-0.1)
    assert found.interval == difference_interval(2, 1, 10)
    assert paired(told, range(10), 5).difference == 0
    assert found.photos_to_decide(-0.005) is not None


@given(st.lists(st.sampled_from([BOTH_RIGHT, LOST, WON]), min_size=1, max_size=12), st.floats(0.1, 9))
def test_equal_weights_change_nothing(rows: list[tuple[Photo, Answer, Answer]], weight: float) -> None:
    told, places = answers(rows), range(len(rows))
    one, other = paired(told, places, 1), paired(told, places, 1, [weight] * len(rows))
    assert other.weighted
    for name in ("difference", "lost", "won", "of"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)
    assert one.difference == pytest.approx(one.candidate.share - one.live.share)


def test_a_photo_that_is_sent_often_counts_often_and_tells_less_than_many() -> None:
    told = answers([LOST] + [BOTH_RIGHT] * 9)
    found = paired(told, range(10), 1, [9.0] + [1.0] * 9)
    assert found.difference == pytest.approx(-0.5)
    assert found.of == pytest.approx(18**2 / 90)
    assert found.candidate.interval.high - found.candidate.interval.low > 0.5


def test_agreement_is_of_first_labels_probabilities_and_labels() -> None:
    told = answers(
        [(IS_CAT, answer("cat", "dog", first=0.7), CAT), (IS_CAT, HORSE, CAT), (IS_CAT, answer("mouse"), CAT)]
    )
    found = agreed(told, range(3), [2.0, 1.0, 1.0])
    assert (found.same, found.of) == (1, 3)
    assert found.share == pytest.approx(1 / 3)
    assert found.by_frequency == pytest.approx(0.5)
    assert found.largest_change == pytest.approx(0.25)
    assert found.mean_change == pytest.approx((0.2 + 0.25 + 0.0) / 3)  # "cat" is no more probable than "mouse", 0.5
    assert found.overlap == pytest.approx((0.5 + 1 + 0) / 3)
    assert next(found.rows())[:2] == ("same first label, %", "33.3")


def test_answers_without_labels_are_alike() -> None:
    found = agreed(answers([(IS_CAT, Answer(200), Answer(200))]), [0])
    assert (found.share, found.largest_change, found.by_frequency) == (1, 0, None)
