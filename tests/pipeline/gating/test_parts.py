"""What is asked for is looked at, in its order, and what is not is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from topfive_pipeline.gating import gate, parts
from topfive_pipeline.gating.client import Unreachable
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.inputs import Asked, Inputs, read
from topfive_pipeline.gating.parts import planned
from topfive_pipeline.gating.starting import Competing
from topfive_pipeline.proof.photos import Photo


def looked_at(asked: Asked, both: Competing, pair: Pair) -> list[Chapter]:
    return list(gate.run(planned(asked, read(asked, both), pair).parts, lambda _: None))


def test_without_photos_quality_is_left_out_and_that_is_said(both: Competing, pair: Pair) -> None:
    asked = Asked(load="none")
    assert planned(asked, read(asked, both), pair).left_out[0] == "quality, agreement and side by side (--photos)"
    (chapter,) = looked_at(asked, both, pair)
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


def test_photos_are_sent_once_and_judged_twice_also_by_frequency(
    both: Competing, pair: Pair, judged_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "frequency.csv").write_text("file,count\n0.png,50\n1.png,1\n2.png,1\n", encoding="utf-8")
    asked = Asked(photos=judged_folder / "photos", frequency=tmp_path / "frequency.csv", load="none")
    steps: list[str] = []
    plan = planned(asked, read(asked, both), pair)
    cases, quality, sides = gate.run(plan.parts, steps.append)
    assert [chapter.key for chapter in (cases, quality, sides)] == ["cases", "quality", "side-by-side"]
    assert any(finding.name == "top-1 difference by frequency" for finding in quality.findings)
    assert any("57 of 60 photos were not asked in production" in note for note in quality.notes)
    assert sum("photo 60 of 60" in step for step in steps) == 1
    assert plan.answers is not None
    assert plan.answers.found is not None
    assert len(plan.answers.found.photos) == 60


def test_load_is_part_of_it_unless_it_is_left_out(both: Competing, pair: Pair) -> None:
    """The loads themselves are tested beside them."""
    full, quick = (planned(Asked(load=load), Inputs(), pair) for load in ("full", "quick"))
    assert [part.key for part in full.parts] == ["cases", "load"]
    assert full.parts[-1].seconds > 300 > 150 > quick.parts[-1].seconds
    assert planned(Asked(load="none"), Inputs(), pair).left_out[-1] == "load, memory and start-up (--no-load)"


def test_a_server_that_hangs_is_waited_for_once(
    both: Competing, pair: Pair, judged_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quality and side by side need the same answers; a wait takes a minute."""
    asked: list[object] = []

    def hangs(*of: object) -> None:
        asked.append(of)
        raise Unreachable("pets:3 does not answer (timed out)")

    monkeypatch.setattr(parts, "answers_of", hangs)
    _, quality, sides = looked_at(Asked(photos=judged_folder / "photos", load="none"), both, pair)
    for chapter in (quality, sides):
        assert (chapter.findings[0].met, chapter.findings[0].note) == (None, "pets:3 does not answer (timed out)")
    assert len(asked) == 1
