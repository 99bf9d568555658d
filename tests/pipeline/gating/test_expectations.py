"""An expectation means one thing, contradictions are refused, and an answer meets it or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from topfive_pipeline.gating.answers import Answer, Prediction
from topfive_pipeline.gating.expectations import Expectation, seen

CUP = Answer(200, (Prediction("cup", 7, 0.6), Prediction("plate", 8, 0.3), Prediction("spoon", 9, 0.1)))
REFUSED = Answer(422, code="undecodable_image")


def expects(**fields: Any) -> Expectation:
    return Expectation.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "met"),
    [
        ({"label": "cup"}, True),
        ({"label": "plate"}, False),
        ({"label": "plate", "top": 2}, True),
        ({"label": ["spoon", "cup"]}, True),
        ({"label": ["spoon", "plate"]}, False),
        ({"index": 7}, True),
        ({"index": [8, 9], "top": 3}, True),
        ({"index": 8}, False),
        ({"label": "cup", "probability": [0.5, 0.7]}, True),
        ({"label": "cup", "probability": [0.7, 1.0]}, False),
        ({"label": "plate", "top": 2, "probability": [0.2, 0.4]}, True),
        ({"not_sure": 0.7}, True),
        ({"not_sure": 0.6}, False),
        ({"status": 200}, True),
        ({"status": 422}, False),
        ({"code": "undecodable_image"}, False),
    ],
)
def test_an_answer_meets_it_or_not(fields: dict[str, Any], met: bool) -> None:
    assert expects(**fields).is_met(CUP, None) is met


@pytest.mark.parametrize(
    ("fields", "met"),
    [
        ({"status": 422}, True),
        ({"status": 422, "code": "undecodable_image"}, True),
        ({"code": "undecodable_image"}, True),
        ({"status": 415, "code": "undecodable_image"}, False),
        ({"status": 422, "code": "too_large"}, False),
        ({"status": 200}, False),
        ({"label": "cup"}, False),
        ({"not_sure": 1.0}, False),
    ],
)
def test_a_refusal_meets_only_what_expects_it(fields: dict[str, Any], met: bool) -> None:
    assert expects(**fields).is_met(REFUSED, None) is met


def test_an_answer_is_like_another_within_some_points() -> None:
    like = expects(like="upright.jpg", within=0.05)
    for label, probability, met in (("cup", 0.63, True), ("cup", 0.7, False), ("plate", 0.6, False)):
        assert like.is_met(CUP, Answer(200, (Prediction(label, 1, probability),))) is met
    assert not like.is_met(CUP, REFUSED)
    assert not like.is_met(CUP, None)
    assert like.is_met(Answer(200), Answer(200))
    assert not like.is_met(Answer(200), CUP)


@given(
    places=st.permutations(["cup", "plate", "spoon"]),
    wanted=st.sampled_from(["cup", "plate", "fork"]),
    top=st.integers(1, 4),
)
def test_what_is_among_the_first_k_is_among_the_first_k_and_one(places: list[str], wanted: str, top: int) -> None:
    answer = Answer(200, tuple(Prediction(label, place, 0.3) for place, label in enumerate(places)))
    if expects(label=wanted, top=top).is_met(answer, None):
        assert expects(label=wanted, top=top + 1).is_met(answer, None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "it expects nothing"),
        ({"label": "cup", "status": 422}, "a refusal has no labels; take label out"),
        ({"code": "too_large", "not_sure": 0.5}, "a refusal has no labels; take not_sure out"),
        ({"label": "cup", "index": 1}, "say label or index, not both"),
        ({"top": 5}, "top and probability are of a label"),
        ({"label": "cup", "within": 0.1}, "within is of `like`"),
        ({"label": "cup", "probability": [0.9, 0.1]}, "lowest, highest"),
        ({"label": []}, "an empty list can never be met"),
        ({"label": "cup", "probability": [0.9]}, "at least 2 items"),
        ({"not_sure": 20}, "less than or equal to 1"),
        ({"label": 404}, "valid string"),
        ({"label": "cup", "top": 0}, "greater than or equal to 1"),
    ],
)
def test_what_means_nothing_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        expects(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"label": "cup"}, "cup first"),
        (
            {"label": ["cup", "mug"], "top": 5, "probability": [0.2, 1]},
            "cup or mug in the first 5 and with 20% to 100%",
        ),
        ({"index": 7, "not_sure": 0.5}, "index 7 first and first label below 50%"),
        ({"status": 422, "code": "undecodable_image"}, "refused: 422 undecodable_image"),
        ({"like": "a.jpg", "status": 200}, "as a.jpg, within 2 points and answered"),
    ],
)
def test_it_is_told_in_words(fields: dict[str, Any], words: str) -> None:
    assert expects(**fields).words == words


def test_an_answer_is_told_in_words() -> None:
    assert seen(CUP) == "cup 60.0%"
    assert seen(CUP, top=2) == "cup 60.0%, plate 30.0%"
    assert seen(REFUSED) == "refused: 422 undecodable_image"
    assert seen(Answer(502)) == "refused: 502"
    assert seen(Answer(200)) == "no label"
