"""What is asked for is planned, what is not is said, and no photo judges what it made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.provenance import stamp
from topfive_pipeline.gating import gate
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.inputs import Asked, read
from topfive_pipeline.gating.parts import planned
from topfive_pipeline.gating.starting import Competing
from topfive_pipeline.judging.leakage import properties
from topfive_pipeline.judging.subjects import Part, Subject
from topfive_pipeline.proof.photos import Photo


def looked_at(asked: Asked, both: Competing, pair: Pair) -> list[Chapter]:
    return list(gate.run(planned(asked, read(asked, both), pair).parts, lambda _: None))


def test_without_photos_quality_is_left_out_and_that_is_said(both: Competing, pair: Pair) -> None:
    plan = planned(Asked(), read(Asked(), both), pair)
    assert [part.key for part in plan.parts] == ["cases"]
    assert plan.left_out == ("quality, agreement and side by side (--photos)",)
    (chapter,) = looked_at(Asked(), both, pair)
    assert chapter.notes[0].endswith("None names a label, for the live version does not have those of ImageNet.")
    assert all(finding.met for finding in chapter.findings)


def test_own_cases_take_the_place_of_those_that_come_along(
    both: Competing, pair: Pair, known_photos: list[Photo], tmp_path: Path
) -> None:
    shutil.copyfile(known_photos[0].path, tmp_path / "a.png")
    shutil.copyfile(known_photos[1].path, tmp_path / "b.png")
    (tmp_path / "cases.yaml").write_text("cases: [{file: a.png, expect: {status: 200}}]", encoding="utf-8")
    (chapter,) = looked_at(Asked(cases=tmp_path, load="none"), both, pair)
    assert [finding.name for finding in chapter.findings] == ["case: a.png"]
    assert chapter.notes == ("cases.yaml says nothing of b.png.",)


def test_photos_that_made_a_contestant_do_not_judge_it(
    both: Competing, pair: Pair, known_photos: list[Photo], judged_folder: Path, tmp_path: Path
) -> None:
    asked = Asked(photos=judged_folder / "photos", load="none")
    trained = replace(both, candidate=_that_listed(both.subjects[0], known_photos[:20], tmp_path))
    assert [photo.name for photo in read(asked, trained).photos] == [photo.name for photo in known_photos[20:]]
    _, quality = looked_at(asked, trained, pair)
    assert quality.figures["photos"] == 40
    assert quality.notes[-1].startswith("Left out: 20 that calibrated pets:3 (0.png, 1.png, 2.png, …).")
    too_many = replace(both, candidate=_that_listed(both.subjects[0], known_photos[:55], tmp_path))
    with pytest.raises(ConfigurationError, match="5 photos of its 60, the others made one of the two tell nothing"):
        read(asked, too_many)


def _that_listed(subject: Subject, photos: list[Photo], folder: Path) -> Subject:
    """The subject, whose graph says that these photos calibrated it."""
    model = onnx.load(subject.classify.path)
    stamp(model, properties({"calibrate": photos}))
    onnx.save(model, folder / "model.onnx")
    return replace(subject, classify=Part(folder / "model.onnx", subject.classify.config))
