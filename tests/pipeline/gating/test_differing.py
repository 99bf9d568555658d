"""Photos on which two differ: which these are, and the file in which they lie beside a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipeline.gating.sides import REFUSED, answered, differing, said
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer, PhotoAnswers, Prediction
from topfive_pipeline.gating.differing import FILE, check_unchanged, differ, find, read, write
from topfive_pipeline.gating.differing import said as told


def test_two_differ_by_what_is_said_first() -> None:
    assert not differ(said(1, 0.9), said(1, 0.5))
    assert differ(said(1), said(2))
    assert differ(Answer(200, (Prediction("cat", 1, 0.9),)), Answer(200, (Prediction("kitten", 1, 0.9),)))
    assert differ(said(1), REFUSED)
    assert not differ(REFUSED, REFUSED)
    assert differ(REFUSED, Answer(504, (), "deadline_exceeded"))


def test_an_answer_in_a_table() -> None:
    assert [told(each) for each in (said(3, 0.256), REFUSED, Answer(200))] == [
        "label 3 25.6 %",
        "422 not_an_image",
        "no label",
    ]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    answers = answered(tmp_path, [1, 2, 3], [1, 7, 8], [1, 2, None])
    found = find(PhotoAnswers(answers.photos, answers.candidate, (*answers.live[:2], REFUSED)))
    assert [(each.place, each.photo.label) for each in found.questions] == [(1, 2), (2, None)]
    assert write(tmp_path, found) == tmp_path / FILE
    assert read(tmp_path) == found


def test_a_question_is_the_same_while_photo_and_first_labels_are(tmp_path: Path) -> None:
    before, after = (find(answered(tmp_path, [1, said_now], [0, 0])) for said_now in (2, 3))
    assert before.questions[0].key == after.questions[0].key
    assert before.questions[1].key != after.questions[1].key


def test_a_photo_that_has_changed_or_gone_is_refused(tmp_path: Path) -> None:
    found = differing(tmp_path, 2)
    check_unchanged(found.questions)
    found.questions[1].photo.path.write_bytes(b"another")
    with pytest.raises(
        ConfigurationError, match=r"photo-1\.png: the photo has changed since the gate ran; run the gate"
    ):
        check_unchanged(found.questions)
    found.questions[1].photo.path.unlink()
    with pytest.raises(ConfigurationError, match=r"photo-1\.png: the photo cannot be read \(No such file"):
        check_unchanged(found.questions)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no differing\.json in it; name the folder of a report"):
        read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"photos": 0},
        {"photos": "many"},
        {"differing": [{"file": "a"}]},
        {"differing": 3},
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = write(tmp_path, differing(tmp_path, 1))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ConfigurationError, match="run the gate again"):
        read(tmp_path)


def test_another_document_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(ConfigurationError, match="it is not as topfive gate wrote it"):
        read(tmp_path)
