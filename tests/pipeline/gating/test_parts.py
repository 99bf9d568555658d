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
from topfive_pipeline.gating.parts import Asked, planned
from topfive_pipeline.gating.starting import Started
from topfive_pipeline.judging.leakage import properties
from topfive_pipeline.judging.subjects import Part, Subject
from topfive_pipeline.proof.photos import Photo


def test_without_photos_quality_is_left_out_and_that_is_said(both: Started) -> None:
    plan = planned(Asked(), both)
    assert [part.key for part in plan.parts] == ["cases"]
    assert plan.left_out == ("quality, agreement and side by side (--photos)",)
    (chapter,) = gate.run(plan.parts, lambda _: None)
    assert "none names a label" in chapter.notes[0]
    assert all(finding.met for finding in chapter.findings)


def test_own_cases_take_the_place_of_those_that_come_along(
    both: Started, known_photos: list[Photo], tmp_path: Path
) -> None:
    shutil.copyfile(known_photos[0].path, tmp_path / "a.png")
    shutil.copyfile(known_photos[1].path, tmp_path / "b.png")
    (tmp_path / "cases.yaml").write_text("cases: [{file: a.png, expect: {status: 200}}]", encoding="utf-8")
    (chapter,) = gate.run(planned(Asked(cases=tmp_path), both).parts, lambda _: None)
    assert [finding.name for finding in chapter.findings] == ["case: a.png"]
    assert chapter.notes == ("cases.yaml says nothing of b.png.",)


def test_photos_that_made_a_contestant_do_not_judge_it(
    both: Started, known_photos: list[Photo], judged_folder: Path, tmp_path: Path
) -> None:
    photos = judged_folder / "photos"
    candidate, live = both.found
    assert candidate is not None
    trained = replace(both, found=(_that_listed(candidate, known_photos[:20], tmp_path), live))
    plan = planned(Asked(photos=photos), trained)
    assert [photo.name for photo in plan.photos] == [photo.name for photo in known_photos[20:]]
    _, quality = gate.run(plan.parts, lambda _: None)
    assert quality.figures["photos"] == 40
    assert quality.notes[-1].startswith("Left out: 20 that calibrated pets:3 (0.png, 1.png, 2.png, …).")
    too_many = replace(both, found=(_that_listed(candidate, known_photos[:55], tmp_path), live))
    with pytest.raises(ConfigurationError, match="5 photos of its 60, the others made one of the two tell nothing"):
        planned(Asked(photos=photos), too_many)


def _that_listed(subject: Subject, photos: list[Photo], folder: Path) -> Subject:
    """The subject, whose graph says that these photos calibrated it."""
    model = onnx.load(subject.classify.path)
    stamp(model, properties({"calibrate": photos}))
    onnx.save(model, folder / "model.onnx")
    return replace(subject, classify=Part(folder / "model.onnx", subject.classify.config))
