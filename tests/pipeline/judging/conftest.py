"""What the tests of judging share: what is asked of a small model in three versions, and a judgement of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from topfive_pipeline.judging.footprint import footprint_of
from topfive_pipeline.judging.judge import Asked, Judgement, judge
from topfive_pipeline.judging.limits import Limits


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
    """What is found of them: made once, for a process for each loads the models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topfive_pipeline.judging.speed.SLICE_SECONDS", 0.002)
        patch.setattr("topfive_pipeline.judging.judge.footprint_of", partial(footprint_of, loads=1))
        return judge(asked, lambda _: None)


@pytest.fixture(scope="session")
def without_speed(judgement: Judgement) -> Judgement:
    """The same, with the speed left out."""
    return replace(judgement, rounds=0, models=tuple(replace(model, paces=()) for model in judgement.models))
