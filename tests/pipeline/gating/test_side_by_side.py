"""Side by side as a chapter: who wins where two differ, by labels, by eye and by frequency."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.gating.sides import REFUSED, answered, judged
from topfive_pipeline.gating.answers import PhotoAnswers
from topfive_pipeline.gating.differing import find, read
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.judgements import opened
from topfive_pipeline.gating.side_by_side import chapter, write


def one(found: Chapter) -> Finding:
    (finding,) = found.findings
    return finding


def labelled(folder: Path, won: int, lost: int, same: int) -> PhotoAnswers:
    """Photos of class 1, to which the two say 1 or 2."""
    candidate = [1] * won + [2] * lost + [1] * same
    live = [2] * won + [1] * lost + [1] * same
    return answered(folder, candidate, live, [1] * (won + lost + same))


def store(folder: Path, answers: PhotoAnswers, verdicts: list[str]) -> Path:
    path = folder / "judged.jsonl"
    with opened(path) as file:
        for question, verdict in zip(find(answers).questions, verdicts, strict=False):
            file.add(judged(question.key, verdict, left="candidate"))
    return path


def test_a_candidate_that_loses_by_its_labels(tmp_path: Path) -> None:
    found = chapter(labelled(tmp_path, 1, 9, 10), weights=None, judged=None)
    finding = one(found)
    assert (finding.name, finding.met) == ("Side by side, by labels", False)
    assert finding.seen == "wins 10.0 % (2.3 to 41.3 %) of 10 decided photos, p 0.011"
    assert finding.note == ""
    contests, photos = found.tables
    assert contests.rows[0][:6] == ("By labels", "10 of 20", "1", "9", "0", "10.0")
    assert photos.rows[0] == ("photo-0.png", "label 1 90.0 %", "label 2 90.0 %", "label 1", "candidate", "–")
    assert [row[4] for row in photos.rows] == ["candidate"] + ["live"] * 9


def test_a_candidate_that_wins(tmp_path: Path) -> None:
    assert one(chapter(labelled(tmp_path, 9, 1, 10), weights=None, judged=None)).met is True


def test_too_few_photos_say_how_many_are_lacking(tmp_path: Path) -> None:
    finding = one(chapter(labelled(tmp_path, 2, 3, 5), weights=None, judged=None))
    assert finding.met is None
    assert finding.note.endswith(
        "would be found out with a probability of 13 %. It takes 51 more decided photos for 80 %."
    )


def test_what_is_undecided_can_be_accepted(tmp_path: Path) -> None:
    finding = one(chapter(labelled(tmp_path, 2, 3, 5), weights=None, judged=None, accept=True))
    assert (finding.met, finding.accepted) == (True, True)
    assert finding.note.startswith("Undecided, and accepted as --accept-undecided says. Too few photos:")
    lost = one(chapter(labelled(tmp_path, 1, 9, 10), weights=None, judged=None, accept=True))
    assert lost.met is False
    unjudged = one(chapter(answered(tmp_path, [1] * 4, [0] * 4), weights=None, judged=None, accept=True))
    assert unjudged.met is None


def test_both_wrong_and_refusals_decide_as_they_are(tmp_path: Path) -> None:
    """A refusal is no right answer; where both are wrong nobody wins."""
    answers = answered(tmp_path, [5, 1, 1], [6, 1, 1], [1, 1, 1])
    refusing = PhotoAnswers(answers.photos, (answers.candidate[0], REFUSED, REFUSED), (*answers.live[:2], REFUSED))
    found = chapter(refusing, weights=None, judged=None)
    assert found.tables[0].rows[0][:5] == ("By labels", "2 of 3", "0", "1", "1")
    assert found.tables[1].rows[1][1:5] == ("422 not_an_image", "label 1 90.0 %", "label 1", "live")


def test_none_that_differ(tmp_path: Path) -> None:
    finding = one(chapter(labelled(tmp_path, 0, 0, 4), weights=None, judged=None))
    assert (finding.seen, finding.met) == ("they differ on 0 of 4 photos", True)
    assert (
        finding.note == "The two hardly differ, but these photos do not prove that it stays so; about 280 photos would."
    )
    assert chapter(answered(tmp_path, [1] * 4, [1] * 4), weights=None, judged=None).findings == ()


def test_photos_without_labels_are_unknown_until_somebody_judges(tmp_path: Path) -> None:
    answers = answered(tmp_path, [*[1] * 8, 0], [0] * 9)
    finding = one(chapter(answers, weights=None, judged=None))
    assert (finding.name, finding.met) == ("Side by side, by eye", None)
    assert finding.seen == "8 photos without a label differ, and nobody has judged them"
    path = store(tmp_path, answers, ["candidate"] * 6 + ["equal"])
    found = chapter(answers, weights=None, judged=path)
    assert (one(found).seen, one(found).met) == ("wins 100.0 % (59.0 to 99.6 %) of 6 decided photos, p 1", True)
    assert found.tables[0].rows[0][:5] == ("By eye", "8 of 9", "6", "0", "1")
    assert [row[5] for row in found.tables[1].rows] == ["candidate"] * 6 + ["neither", "–"]
    assert f"Photos judged by eye: ada 7; of 8 that differ ({path})." in found.notes
    assert any(note.startswith("Whoever judged preferred a side: left 6, right 0") for note in found.notes)


def test_judgements_of_other_answers_do_not_count(tmp_path: Path) -> None:
    path = store(tmp_path, answered(tmp_path, [1] * 6, [0] * 6), ["candidate"] * 6)
    found = chapter(answered(tmp_path, [2] * 6, [0] * 6), weights=None, judged=path)
    assert one(found).met is None
    assert f"Photos judged by eye: nobody; of 6 that differ ({path})." in found.notes


def test_labels_and_eyes_are_told_apart(tmp_path: Path) -> None:
    answers = labelled(tmp_path, 1, 9, 10)
    path = store(tmp_path, answers, ["candidate", *["live"] * 4, *["candidate"] * 4, "equal"])
    found = chapter(answers, weights=None, judged=path)
    assert [(each.name.rpartition(", ")[2], each.met) for each in found.findings] == [
        ("by labels", False),
        ("by eye", None),
    ]
    assert any(note.startswith("About ") and "decided photos would tell who is better" in note for note in found.notes)


def test_how_far_judges_agree_is_told(tmp_path: Path) -> None:
    answers = answered(tmp_path, [1, 1, 1], [0, 0, 0])
    path = store(tmp_path, answers, ["live", "candidate", "live"])
    with opened(path) as file:
        for question, verdict in zip(find(answers).questions, ["live", "candidate", "equal"], strict=True):
            file.add(judged(question.key, verdict, judge="bob"))
    found = chapter(answers, weights=None, judged=path)
    assert "Judges agree beyond chance with a kappa of 0.50; 1 is full agreement." in found.notes


def test_weights_may_turn_it_round(tmp_path: Path) -> None:
    """Even by photos; but the candidate loses those that are asked for often."""
    answers = labelled(tmp_path, 10, 10, 20)
    weights = [0.1] * 10 + [1.9] * 10 + [1.0] * 20
    found = chapter(answers, weights=weights, judged=store(tmp_path, answers, ["candidate"] * 10 + ["live"] * 10))
    assert [(each.name.rpartition(", ")[2], each.met) for each in found.findings] == [
        ("by labels", None),
        ("by labels and frequency", False),
        ("by eye", None),
        ("by eye and frequency", False),
    ]
    figures = found.figures["contests"]
    assert isinstance(figures, dict)
    assert figures["by labels and frequency"]["win_rate"] == pytest.approx(0.05)
    assert figures["by labels and frequency"] == figures["by eye and frequency"]
    assert figures["by labels"] == figures["by eye"]


def test_judged_photos_that_weigh_nothing_tell_nothing_by_frequency(tmp_path: Path) -> None:
    answers = answered(tmp_path, [1, 1, 0], [0, 0, 0])
    found = chapter(answers, weights=[0.0, 0.0, 3.0], judged=store(tmp_path, answers, ["live", "live"]))
    assert [each.met for each in found.findings] == [None, True]  # of what is asked for, all is the same
    assert found.findings[1].seen == "they differ on 2 of 3 photos, none of which one has won"


def test_the_table_is_bounded_and_the_file_is_not(tmp_path: Path) -> None:
    base = answered(tmp_path, [1], [0])
    many = PhotoAnswers(base.photos * 205, base.candidate * 205, base.live * 205)
    found = chapter(many, weights=None, judged=None)
    assert len(found.tables[0].rows) == 200
    assert "The table has the first 200 of 205 photos; differing.json has all." in found.notes
    write(tmp_path, many)
    assert len(read(tmp_path).questions) == 205
