"""A judgement holds all figures of all models, on the photos that may judge, and says what was left out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import judge as judging
from topfive_pipeline.judging.footprint import Footprint
from topfive_pipeline.judging.judge import Asked, Judgement, judge
from topfive_pipeline.judging.split import fingerprint, in_part
from topfive_pipeline.proof.photos import read_photos


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started to load a model."""
    monkeypatch.setattr(judging, "footprint_of", lambda *_, **__: Footprint(1, 1.0, 1.0, 1e6))


def test_all_figures_of_all_models(judgement: Judgement) -> None:
    first, same, worse = judgement.models
    assert [model.title for model in judgement.models] == ["pets:1", "pets:2", "pets:3"]
    assert first.difference is None
    assert same.difference is not None
    assert (same.difference.top_1, same.difference.agreement, same.difference.loss_error) == (0, 1, 0)
    assert worse.difference is not None
    assert worse.difference.interval.high < 0
    assert worse.accuracy.loss > first.accuracy.loss
    assert [pace.case for pace in first.paces] == ["alone", "batch 1", "batch 3"]
    assert all(model.footprint.memory_bytes > 0 for model in judgement.models)
    assert judgement.choice is not None
    assert "pets:3" in judgement.choice.out


def test_it_is_one_json_document(judgement: Judgement) -> None:
    document = json.loads(json.dumps(judgement.as_json()))
    assert document["models"][2]["difference"]["lost"] > 0
    assert document["choice"]["best"] in {"pets:1", "pets:2"}
    assert document["machine"]["cores"] == 2


def test_by_default_only_the_judging_half_judges(asked: Asked, unloaded: None) -> None:
    photos = read_photos(asked.photos)
    found = judge(replace(asked, part="judge", rounds=0), lambda _: None)
    half = in_part(photos, "judge")
    assert found.photos == len(half) < len(photos)
    assert found.fingerprint == fingerprint(half)
    assert found.models[0].paces == ()


def test_batches_without_memory_are_left_out_with_a_warning(
    asked: Asked, unloaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image takes 1 MB in each of three models and two slots; half of 20 MB may be taken."""
    monkeypatch.setattr(judging, "memory_left", lambda: 20_000_000)
    monkeypatch.setattr("topfive_pipeline.judging.speed.SLICE_SECONDS", 0.001)
    found = judge(replace(asked, rounds=1), lambda _: None)
    assert [pace.case for pace in found.models[0].paces] == ["alone", "batch 1"]
    assert found.warnings == ("batches of 3 are left out: they would take 0.0 of 0.0 GB",)
    monkeypatch.setattr(judging, "memory_left", lambda: None)
    assert judge(replace(asked, rounds=1), lambda _: None).warnings == ()


def test_too_few_photos_are_refused(asked: Asked, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(asked.photos, tmp_path / "few"))
    lines = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()[:12]
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"few: \d photos tell nothing of its 11 the half that judges; --part"):
        judge(replace(asked, photos=folder, part="judge"), lambda _: None)


def test_photos_without_classes_are_refused(asked: Asked, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(asked.photos, tmp_path / "unknown"))
    (folder / "labels.csv").unlink()
    with pytest.raises(ConfigurationError, match=r"the classes of its pictures are not known; add labels.csv"):
        judge(replace(asked, photos=folder), lambda _: None)
