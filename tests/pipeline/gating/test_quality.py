"""What must hold of both answers to the same photos: the difference of what is right, agreement, and nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.pipeline.gating.told import answer, answers
from topfive_pipeline.gating.answers import Answer
from topfive_pipeline.gating.asking import answers_of
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.quality import Limits, chapter
from topfive_pipeline.proof.photos import Photo

CAT, HORSE, REFUSED = answer("cat", "horse"), answer("horse", "cat"), Answer(422, code="undecodable_image")
IS_CAT, UNLABELLED = Photo(Path("a.jpg"), 3), Photo(Path("b.jpg"))
Row = tuple[Photo, Answer, Answer]


def told(rows: Sequence[Row], limits: Limits | None = None, weights: Sequence[float] | None = None) -> Chapter:
    return chapter(answers(rows), limits or Limits(), weights=weights)


def named(found: Chapter) -> dict[str, Finding]:
    return {finding.name: finding for finding in found.findings}


def test_a_version_that_takes_red_for_green_is_found_out(pair: Pair, known_photos: list[Photo]) -> None:
    found = chapter(answers_of(pair, known_photos, lambda *_: None), Limits(agreement=0.9))
    assert found.figures["photos"] == found.figures["answered_by_both"] == 60
    by_name = named(found)
    assert by_name["top-1 difference"].met is False
    assert by_name["top-1 difference"].seen.startswith("−")
    assert "top-5 difference" not in by_name  # there are three classes
    assert by_name["same first label"].met is False
    assert by_name["same first label"].reasons[0].endswith(("green, was red", "red, was green"))
    assert by_name["classes with another name"].met
    assert by_name["photos refused that live answers"].met
    assert [table.rows[0][0] for table in found.tables] == ["top-1", "same first label, %"]


def test_a_loss_that_photos_cannot_tell_from_the_budget_is_unknown() -> None:
    rows: list[Row] = [(IS_CAT, CAT, CAT)] * 99 + [(IS_CAT, HORSE, CAT)]
    found = named(told(rows))["top-1 difference"]
    assert (found.met, found.seen, found.wanted) == (None, "−1.00 points", "≥ −0.50 points")
    assert "these photos cannot decide it" in found.note
    accepted = named(told(rows, Limits(accept_undecided=True)))["top-1 difference"]
    assert (accepted.met, accepted.accepted) == (True, True)
    assert named(told(rows, Limits(budget=1)))["top-1 difference"].met


def test_of_five_labels_the_true_one_may_be_any() -> None:
    """Who answers fewer labels loses those that are not there."""
    five, three = answer("a", "bb", "ccccc", "dddd", "cat"), answer("a", "bb", "ccccc")
    found = named(told([(IS_CAT, three, five)] * 20))
    assert (found["top-1 difference"].met, found["top-5 difference"].met) == (True, False)


def test_by_frequency_another_candidate_may_be_the_better() -> None:
    rows: list[Row] = [(IS_CAT, CAT, CAT)] * 50 + [(IS_CAT, HORSE, CAT)] + [(IS_CAT, CAT, HORSE)]
    found = named(told(rows, weights=[1.0] * 50 + [50.0, 1.0]))
    assert found["top-1 difference"].seen == "0.00 points"
    assert found["top-1 difference by frequency"].seen == "−48.51 points"
    assert "accuracy_by_frequency" not in told(rows, weights=[0.0] * 52).figures


def test_without_labels_agreement_is_asked_for_and_the_default_is_said() -> None:
    found = told([(UNLABELLED, CAT, CAT)] * 100)
    assert [*named(found)] == ["photos refused that live answers", "classes with another name", "same first label"]
    assert named(found)["same first label"].met
    assert "What they show is not known" in found.lead
    assert "90% of the first labels are the same is asked for because no labels are known" in found.notes[0]
    differing = told([(UNLABELLED, HORSE, CAT)] * 30)
    assert named(differing)["same first label"].met is False
    assert len(named(differing)["same first label"].reasons) == 5


def test_with_labels_agreement_is_only_asked_for_if_that_is_said() -> None:
    rows: list[Row] = [(IS_CAT, CAT, CAT)] * 20
    assert "same first label" not in named(told(rows))
    assert "same first label" in named(told(rows, Limits(agreement=0.5)))


def test_a_photo_that_only_the_candidate_refuses_is_lost() -> None:
    found = told([(IS_CAT, REFUSED, CAT)] + [(IS_CAT, CAT, CAT)] * 20)
    lost = named(found)["photos refused that live answers"]
    assert (lost.met, lost.seen) == (False, "1 of 21")
    assert lost.reasons == ("a.jpg: 422 undecodable_image",)
    assert named(told([(IS_CAT, CAT, REFUSED)] * 20))["photos refused that live answers"].met


def test_what_neither_answers_counts_for_nothing_and_busy_is_unknown() -> None:
    found = told([(IS_CAT, REFUSED, REFUSED)] + [(IS_CAT, CAT, CAT)] * 20)
    assert found.notes == ("1 photos are answered by neither, and count for nothing.",)
    busy = named(told([(IS_CAT, Answer(429), CAT)] + [(IS_CAT, CAT, CAT)] * 20))["photos refused that live answers"]
    assert (busy.met, busy.note) == (None, "1 photos were refused as too busy (429), which tells nothing")


def test_a_chapter_without_an_answer_is_unknown() -> None:
    found = named(told([(UNLABELLED, REFUSED, REFUSED)] * 20))
    assert found["quality"].met is None


def test_labels_that_changed_places_are_found() -> None:
    swapped = answer("dog", "horse")  # of the index of "cat"
    found = named(told([(UNLABELLED, swapped, CAT)] * 20))["classes with another name"]
    assert (found.met, found.seen, found.reasons) == (False, "1 of 2", ("3: 'cat' is now 'dog'",))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_every_limit_of_agreement_can_be_said(share: float) -> None:
    assert named(told([(IS_CAT, HORSE, CAT)] * 30, Limits(agreement=share)))["same first label"].met is (share == 0)
