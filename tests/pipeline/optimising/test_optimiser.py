"""From a model in a repository to its int8 version, or to a sentence why there is none."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.importing import contents
from tests.pipeline.optimising import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.entry.provenance import properties_of, sha256
from topfive_pipeline.judging.split import part_of
from topfive_pipeline.judging.subjects import find
from topfive_pipeline.optimising import asked, curve, optimiser, proving, trials
from topfive_pipeline.optimising.asked import Wanted
from topfive_pipeline.optimising.measuring import Speed
from topfive_pipeline.optimising.optimiser import Optimised, optimise
from topfive_pipeline.proof.photos import Photo, read_photos
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.verdict import Finding

COUNT = 64


@pytest.fixture(scope="module")
def photos(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos whose labels are what the network says of them: it is always right."""
    folder = networks.write_photos(tmp_path_factory.mktemp("photos") / "given", COUNT)
    resize, classify = (Graph(graph_path(pets, f"pets_{part}", 1)) for part in ("resize", "classify"))
    rows = []
    for path in sorted(folder.glob("*.png")):
        image = np.asarray(Photo(path).image())
        rows.append((path.name, int(classify.named(resize.run(image[np.newaxis])[0])["indices"][0, 0])))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "index"), *rows])
    return folder


@pytest.fixture
def repository(pets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pets, tmp_path / "repository"))


@pytest.fixture
def ratio(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How fast every int8 graph is said to be: no test depends on what the machine is fast at."""
    said = [2.0]

    def speeds(models: Sequence[Any], *_: object, **__: object) -> list[dict[int, Speed]]:
        faster = Speed(said[0], said[0], said[0])
        return [{1: Speed(1, 1, 1), 8: Speed(1, 1, 1)}, *({1: faster, 8: faster} for _ in models[1:])]

    for module in (trials, curve, optimiser):
        monkeypatch.setattr(module, "speeds", speeds)
    return said


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs leave the server out."""
    monkeypatch.setattr(proving, "_server", lambda *_: iter([Finding("server", None, "left out")]))


def _optimised(repository: Path, photos: Path, **fields: Any) -> Optimised:
    given: dict[str, Any] = {"model": "pets", "repository": repository, "budget": 10.0} | fields
    return optimise(Wanted(**given), read_photos(photos), progress=lambda _: None)


def test_the_next_version_is_written_and_the_server_serves_it(
    repository: Path, photos: Path, ratio: list[float], warm: None
) -> None:
    before = contents(repository)
    done = _optimised(repository, photos)
    assert done.refused is None
    assert done.proof is not None
    assert [finding.passed for finding in done.proof.findings] == [True, True, True]
    new = set(contents(repository)) - set(before)
    assert new == {"pets_classify/2", "pets_classify/2/model.onnx"}
    assert {name: before[name] for name in before} == {name: contents(repository)[name] for name in before}


def test_the_graph_says_how_it_was_made(repository: Path, photos: Path, ratio: list[float], unasked: None) -> None:
    done = _optimised(repository, photos)
    said = properties_of(onnx.load(graph_path(repository, "pets_classify", 2)))
    assert said["int8.source.sha256"] == sha256(graph_path(repository, "pets_classify", 1))
    assert said["int8.calibration.photos"] == str(done.calibrated_on)
    assert said["int8.speed"] == '{"batch 1": 2.0, "batch 8": 2.0}'
    assert len(said["int8.calibration.sha256"]) == 64
    assert said["producer"] == "topfive import"  # its origin stays, and `topfive check` reads it


def test_a_model_of_its_own_has_three_folders_and_the_same_resize_graph(
    repository: Path, photos: Path, ratio: list[float], unasked: None
) -> None:
    done = _optimised(repository, photos, place="pets_int8")
    assert (done.name, done.version) == ("pets_int8", 1)
    assert sorted(path.name for path in done.folders) == ["pets_int8", "pets_int8_classify", "pets_int8_resize"]
    one, other = (graph_path(repository, f"{name}_resize", 1).read_bytes() for name in ("pets", "pets_int8"))
    assert one == other


def test_an_int8_version_is_not_quantised_again(
    repository: Path, photos: Path, ratio: list[float], unasked: None
) -> None:
    _optimised(repository, photos)
    with pytest.raises(ConfigurationError, match="name a version in floating point, as in NAME:1"):
        _optimised(repository, photos)
    assert _optimised(repository, photos, model="pets:1").version == 3


def test_a_dry_run_proves_and_writes_nothing(repository: Path, photos: Path, ratio: list[float], unasked: None) -> None:
    before = contents(repository)
    done = _optimised(repository, photos, dry_run=True)
    assert (done.refused, done.folders) == (None, ())
    assert done.proof is not None
    assert contents(repository) == before


def test_what_does_not_pay_is_said_and_not_written(repository: Path, photos: Path, ratio: list[float]) -> None:
    ratio[0] = 0.6
    before = contents(repository)
    done = _optimised(repository, photos)
    assert (done.refused or "").startswith("int8 does not pay for this network on this machine")
    assert {trial.verdict for trial in done.trials} >= {"refused: slower than FP32"}
    assert contents(repository) == before


def test_more_than_the_budget_is_not_written(
    repository: Path, photos: Path, ratio: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimiser, "judge", lambda *each, budget: _all_lost(*each, budget=budget))
    before = contents(repository)
    done = _optimised(repository, photos, budget=0.5)
    assert "points on" in (done.refused or "")
    assert contents(repository) == before


def _all_lost(pictures: Any, scores: Any, reference: Any, *, budget: float) -> Any:
    from topfive_pipeline.optimising.judged import judge

    return judge(pictures, -scores, reference, budget=budget)


def test_photos_that_calibrate_or_choose_never_judge(photos: Path) -> None:
    calibrating, held, judging = asked.halves(read_photos(photos))
    paths = [photo.path for photo in (*calibrating, *held, *judging)]
    assert len(paths) == len(set(paths))
    assert {part_of(photo.path) for photo in (*calibrating, *held)} == {"calibrate"}
    assert {part_of(photo.path) for photo in judging} == {"judge"}


def test_too_few_photos_are_refused(repository: Path, photos: Path) -> None:
    with pytest.raises(ConfigurationError, match="8 of each are needed, so give at least 40, better 500"):
        optimise(Wanted(model="pets", repository=repository), read_photos(photos, most=20), progress=lambda _: None)


@pytest.mark.parametrize(
    ("place", "name", "version"), [("next", "pets", 2), ("7", "pets", 7), ("pets_int8", "pets_int8", 1)]
)
def test_as_says_where_it_lands(place: str, name: str, version: int, repository: Path) -> None:
    wanted = Wanted(model="pets", repository=repository, place=place)
    assert asked.place_of(wanted, asked.subject_of(wanted)) == (name, version)


def test_a_version_that_is_there_is_not_written_over(repository: Path, photos: Path) -> None:
    with pytest.raises(ConfigurationError, match="has that version already; leave --as out to take the next, 2"):
        _optimised(repository, photos, place="1")


def test_as_checks_a_place_before_it_takes_minutes(repository: Path, photos: Path) -> None:
    with pytest.raises(ConfigurationError, match="--name"):
        _optimised(repository, photos, place="a/b")


def test_beside_both_graphs_are_in_one_version(
    repository: Path, photos: Path, ratio: list[float], unasked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "dot_products_of_bytes", lambda: ("avx512_vnni",))
    (repository / "pets_classify" / "1" / "weights.bin").write_bytes(b"of the original")
    done = _optimised(repository, photos, place="beside")
    assert (done.refused, done.name, done.version) == (None, "pets", 2)
    folder = repository / "pets_classify" / "2"
    assert sorted(path.name for path in folder.iterdir()) == ["model.int8.onnx", "model.onnx", "weights.bin"]
    assert (folder / "model.onnx").read_bytes() == graph_path(repository, "pets_classify", 1).read_bytes()
    said = properties_of(onnx.load(folder / "model.int8.onnx"))
    assert said["int8.source.sha256"] == sha256(folder / "model.onnx")
    floating, int8 = find(["pets@fp32", "pets@int8"], repository)
    assert (floating.classify.path.name, int8.classify.path.name) == ("model.onnx", "model.int8.onnx")
    assert _optimised(repository, photos, place="beside").version == 3  # the original is quantised, not its int8 graph


def test_beside_is_refused_where_no_server_would_take_it(
    repository: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "dot_products_of_bytes", tuple)
    with pytest.raises(ConfigurationError, match=r"would not choose the int8 graph, .*avx512_vnni.*--as next has it"):
        _optimised(repository, photos, place="beside")
