"""What is said of two answers for one image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.rollout.comparison import TOP, Comparison, Labelled, compare, first_of, labelled

answers = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 1)), unique_by=lambda each: each[0], max_size=8)


@pytest.mark.parametrize(
    ("shadow", "expected"),
    [
        (Labelled(("cat", "dog"), (0.7, 0.3)), Comparison(True, 0.1, 1.0)),
        (Labelled(("dog", "cat"), (0.6, 0.4)), Comparison(False, 0.2, 1.0)),
        (Labelled(("cow", "hen"), (0.9, 0.1)), Comparison(False, 0.6, 0.0)),
        (Labelled((), ()), Comparison(False, 0.6, 0.0)),
    ],
)
def test_first_labels_are_compared_and_the_probability_of_the_live_one(shadow: Labelled, expected: Comparison) -> None:
    found = compare(Labelled(("cat", "dog"), (0.6, 0.4)), shadow)
    assert (found.agrees, found.overlap) == (expected.agrees, expected.overlap)
    assert found.change == pytest.approx(expected.change)


@given(answers, answers)
def test_every_measure_is_within_its_bounds(live: list[tuple[str, float]], shadow: list[tuple[str, float]]) -> None:
    found = compare(first_of(live), first_of(shadow))
    assert 0 <= found.change <= 1
    assert 0 <= found.overlap <= 1
    same = compare(first_of(live), first_of(live))
    assert (same.agrees, same.change, same.overlap) == (True, 0.0, 1.0)


def test_two_empty_answers_agree() -> None:
    assert compare(Labelled((), ()), Labelled((), ())) == Comparison(True, 0.0, 1.0)


def test_places_without_a_label_hold_no_answer_and_only_five_are_compared() -> None:
    row = {
        "classes": np.array(["a", "", "b", "c", "d", "e", "f"], object),
        "probabilities": np.array([0.5, 0, 0.25, 0.125, 0, 0, 0], np.float32),
    }
    found = labelled(row)
    assert found.labels == ("a", "b", "c", "d", "e")
    assert found.probabilities[:3] == (0.5, 0.25, 0.125)
    assert len(found.labels) == TOP
