"""All files are read before a server is started, no photo judges what it made, and no flag is ignored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.provenance import stamp
from topfive_pipeline.gating.inputs import Asked, Inputs, read
from topfive_pipeline.gating.starting import Competing
from topfive_pipeline.judging.leakage import properties
from topfive_pipeline.judging.subjects import Part, Subject
from topfive_pipeline.proof.photos import Photo


def test_nothing_is_read_that_is_not_asked_for(both: Competing) -> None:
    assert read(Asked(), both) == Inputs()


def test_objectives_are_those_of_the_file(both: Competing, tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text("memory: {max_resident_mb: 900}", encoding="utf-8")
    objectives = read(Asked(slo=tmp_path / "slo.yaml"), both).objectives
    assert objectives is not None
    assert objectives.memory is not None
    assert objectives.memory.max_resident_mb == 900


def test_photos_that_made_a_contestant_do_not_judge_it(
    both: Competing, known_photos: list[Photo], judged_folder: Path, tmp_path: Path
) -> None:
    asked = Asked(photos=judged_folder / "photos")
    found = read(asked, replace(both, candidate=_that_listed(both.subjects[0], known_photos[:20], tmp_path)))
    assert [photo.name for photo in found.photos] == [photo.name for photo in known_photos[20:]]
    (note,) = found.notes_on_photos
    assert note.startswith("Left out: 20 that calibrated pets:3 (0.png, 1.png, 2.png, …).")
    too_many = replace(both, candidate=_that_listed(both.subjects[0], known_photos[:55], tmp_path))
    with pytest.raises(ConfigurationError, match="5 photos of its 60, the others made one of the two tell nothing"):
        read(asked, too_many)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"frequency": "a.csv"}, "--frequency is of photos; say --photos too"),
        ({"judged": "a.jsonl"}, "--judged is of photos; say --photos too"),
        ({"judged": "a.jsonl", "photos": "PHOTOS"}, "--judged a.jsonl: there is no such file"),
        ({"slo": "slo.yaml", "load": "none"}, "--slo needs the load, which --no-load leaves out"),
        ({"slo": "none.yaml"}, "--slo none.yaml cannot be read"),
        ({"cases": "none"}, "--cases none: there is no such folder"),
        ({"photos": "none"}, "--photos none: there is no such folder"),
    ],
)
def test_what_would_be_ignored_or_is_not_there_is_refused(
    asked: dict[str, str], words: str, both: Competing, judged_folder: Path
) -> None:
    said: dict[str, Any] = {name: value if name == "load" else Path(value) for name, value in asked.items()}
    if asked.get("photos") == "PHOTOS":
        said["photos"] = judged_folder / "photos"
    with pytest.raises(ConfigurationError, match=words):
        read(Asked(**said), both)


def _that_listed(subject: Subject, photos: list[Photo], folder: Path) -> Subject:
    """The subject, whose graph says that these photos calibrated it."""
    model = onnx.load(subject.classify.path)
    stamp(model, properties({"calibrate": photos}))
    onnx.save(model, folder / "model.onnx")
    return replace(subject, classify=Part(folder / "model.onnx", subject.classify.config))
