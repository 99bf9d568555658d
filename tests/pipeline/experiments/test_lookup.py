"""A run is found by the beginning of its id, or by a graph: by what that says of itself, or by its SHA-256."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from tests.pipeline.conftest import no_servers
from tests.pipeline.importing import edit, imported, wanted
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.experiments.lookup import one, runs_of
from topfive_pipeline.experiments.runs import GRAPHS, RUN_ID, TRACKING, Run
from topfive_pipeline.experiments.tracking import Tracker
from topfive_pipeline.proof.photos import Photo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with no_servers():
        imported(wanted(folder), folder / "repository", small_photos)
    return folder / "repository"


@pytest.fixture
def pets(made: Path, tmp_path: Path) -> Path:
    """A repository with the model `pets`, which tests may change."""
    return Path(shutil.copytree(made, tmp_path / "repository"))


def kept(tracker: Tracker, **tags: str) -> str:
    run_id = tracker.begin("x")
    tracker.fill(run_id, Run(model="pets:1", tags=tags))
    return run_id


def graph(repository: Path) -> Path:
    return graph_path(repository, "pets_classify", 1)


def stamp(repository: Path, run_id: str) -> None:
    said = {RUN_ID: run_id, TRACKING: "http://mlflow.example"}
    edit(graph(repository), lambda model: onnx.helper.set_model_props(model, said))


def test_the_beginning_of_an_id_names_a_run(logged: Tracker, pets: Path) -> None:
    ids = [kept(logged) for _ in range(3)]
    assert [one(run_id[:12], logged, pets).id for run_id in ids] == ids


def test_a_beginning_that_several_have_is_refused(logged: Tracker, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(logged)
    (run,) = logged.runs()
    monkeypatch.setattr(Tracker, "runs", lambda self, *_, **__: [run, run])
    with pytest.raises(ConfigurationError, match="several runs begin with"):
        one(run.short, logged, pets)


def test_a_graph_is_found_by_its_sha256_wherever_it_lies(logged: Tracker, pets: Path, tmp_path: Path) -> None:
    first, second = (kept(logged, **{GRAPHS: sha256(graph(pets))}) for _ in range(2))
    kept(logged, **{GRAPHS: "0" * 64})
    moved = pets.rename(tmp_path / "moved")
    assert [run.id for run in runs_of("pets:1", logged, moved).runs] == [second, first]
    assert one("pets", logged, moved).id == second


def test_a_graph_that_names_its_run_is_of_that_run_however_often_it_was_judged_since(
    logged: Tracker, pets: Path
) -> None:
    maker = logged.begin("optimise pets:1")
    stamp(pets, maker)
    logged.fill(maker, Run(model="pets:1", tags={GRAPHS: sha256(graph(pets))}))
    judged = kept(logged, **{GRAPHS: sha256(graph(pets))})
    assert one("pets", logged, pets).id == maker
    assert [run.id for run in runs_of("pets", logged, pets).runs] == [judged, maker]


def test_a_graph_that_was_changed_since_still_names_its_run(logged: Tracker, pets: Path) -> None:
    maker = kept(logged)
    stamp(pets, maker)
    assert one("pets", logged, pets).id == maker


def test_a_graph_of_another_store_says_which(logged: Tracker, pets: Path) -> None:
    stamp(pets, "f" * 32)
    with pytest.raises(
        ConfigurationError, match=r"the run f{32} made pets:1, and was recorded in http://mlflow.example"
    ):
        one("pets", logged, pets)
    judged = kept(logged, **{GRAPHS: sha256(graph(pets))})
    assert one("pets", logged, pets).id == judged


def test_what_is_neither_a_run_nor_a_model_is_refused(logged: Tracker, pets: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cafe is no run of sqlite:///.*, and no model: .* no model 'cafe'"):
        one("cafe", logged, pets)
    with pytest.raises(ConfigurationError, match=r"no run of .* is of pets:1"):
        one("pets", logged, pets)
