"""What the tests of judging share: a small model in three versions, photos whose classes are known, and a judgement."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline import colours
from tests.pipeline.conftest import no_servers
from tests.pipeline.importing import edit, imported, wanted
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.judging.judge import Asked, Judgement, judge
from topfive_pipeline.judging.limits import Limits
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo


@pytest.fixture(scope="session")
def judged_folder(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    """A folder with `repository`: pets:1, pets:2, which is the same, and pets:3, which is worse; and `photos`, 60."""
    folder = tmp_path_factory.mktemp("judged")
    said: Choices = {
        name: Choice(getattr(colours.RULES, name), "said", f"--{name}")
        for name in Preprocessing.__dataclass_fields__
        if getattr(colours.RULES, name) is not None
    }
    repository = folder / "repository"
    with no_servers():
        imported(wanted(folder, colours.network(), said=said, labels=colours.LABELS), repository, small_photos)
    for version in (2, 3):
        path = graph_path(repository, "pets_classify", version)
        path.parent.mkdir()
        shutil.copyfile(graph_path(repository, "pets_classify", 1), path)
    edit(graph_path(repository, "pets_classify", 3), confuse)
    colours.write_photos(folder / "photos", 60)
    return folder


def confuse(model: Any) -> None:
    """Red is taken for green, and green for red."""
    (tensor,) = (each for each in model.graph.initializer if tuple(each.dims) == (3, 3))
    weights = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(weights[:, [1, 0, 2]]), tensor.name))


@pytest.fixture(scope="session")
def asked(judged_folder: Path) -> Asked:
    """All three versions on all photos, with a limit of half a point; the speed as quickly as possible."""
    return Asked(
        models=("pets:1", "pets:2", "pets:3"),
        repository=judged_folder / "repository",
        photos=judged_folder / "photos",
        part="all",
        rounds=2,
        batches=(1, 3),
        cores=2,
        limits=Limits(loss=0.5),
    )


@pytest.fixture(scope="session")
def judgement(asked: Asked) -> Judgement:
    """What is found of them: made once, for nine processes load the models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topfive_pipeline.judging.speed.SLICE_SECONDS", 0.002)
        return judge(asked, lambda _: None)


@pytest.fixture(scope="session")
def without_speed(judgement: Judgement) -> Judgement:
    """The same, with the speed left out."""
    return replace(judgement, rounds=0, models=tuple(replace(model, paces=()) for model in judgement.models))
