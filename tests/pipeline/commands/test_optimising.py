"""`topfive optimise` as somebody types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.importing import contents
from tests.pipeline.optimising import networks
from topfive_pipeline.commands.optimising import main
from topfive_pipeline.entry.provenance import properties_of, sha256
from topfive_pipeline.experiments.runs import GRAPHS, RUN_ID, TRACKING
from topfive_pipeline.experiments.tracking import Tracker
from topfive_pipeline.judging.leakage import leaks
from topfive_pipeline.judging.split import in_part
from topfive_pipeline.optimising import comparison, curve, proving, trials
from topfive_pipeline.optimising.measuring import Speed
from topfive_pipeline.proof.photos import read_photos
from topfive_pipeline.proof.verdict import Finding


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository, and photos without labels."""
    folder = tmp_path_factory.mktemp("given")
    networks.repository(folder)
    networks.write_photos(folder / "photos", 64)
    return folder


@pytest.fixture
def copy(given: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(given, tmp_path / "copy"))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every int8 graph is said to be twice as fast, and the server is left out of the proof."""

    def speeds(models: Sequence[Any], *_: object, **__: object) -> list[dict[int, Speed]]:
        return [{1: Speed(2, 1.9, 2.1), 8: Speed(2, 1.9, 2.1)} for _ in models]

    for module in (trials, curve, comparison):
        monkeypatch.setattr(module, "speeds", speeds)
    monkeypatch.setattr(proving, "_server", lambda *_: iter([Finding("server", None, "left out")]))


def _flags(folder: Path, *more: object) -> tuple[object, ...]:
    return ("pets", "--repository", folder / "repository", "--photos", folder / "photos", *more)


def test_it_shows_what_was_tried_the_curve_the_verdict_and_the_folders(run: Run, copy: Path, fast: None) -> None:
    ran = run(main, *_flags(copy, "--plot", copy / "curve.svg", "--report", copy / "report"))
    assert (ran.code, ran.err) == (0, "")
    for said in ("What was tried", "U8S8 max", "← chosen", "They have no labels, so the loss is unknown"):
        assert said in ran.words
    assert (copy / "curve.svg").is_file()
    page, text = ((copy / "report" / f"report.{ending}").read_text(encoding="utf-8") for ending in ("html", "md"))
    for title in ("INT8 (entropy)", "INT8 (chosen)", "What came of it"):
        assert title in page
        assert title.replace("_", "") in text
    assert '<svg role="img" aria-label="curve"' in page
    assert json.loads((copy / "report" / "optimisation.json").read_text(encoding="utf-8"))["outcome"] == "unlabelled"
    assert (copy / "repository" / "pets_classify" / "2" / "model.onnx").is_file()


def test_json_has_the_curve_as_data(run: Run, copy: Path, fast: None) -> None:
    ran = run(main, *_flags(copy, "--json", "--as", "pets_int8", "--calibration", "max"))
    document = json.loads(ran.out)
    assert (document["name"], document["version"], document["refused"]) == ("pets_int8", 1, None)
    assert (document["curve"][0]["layers_in_float"], document["curve"][0]["floats"]) == (0, [])
    assert [point["chosen"] for point in document["curve"]].count(True) == 1
    assert {each["calibration"] for each in document["tried"]} == {"max"}
    assert document["judged"]["loss"] is None
    assert len(document["written"]) == 3


def test_what_does_not_pay_is_exit_code_one(run: Run, copy: Path, fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Speed(0.5, 0.4, 0.6)
    monkeypatch.setattr(trials, "speeds", lambda models, *_, **__: [{1: slow, 8: slow} for _ in models])
    before = contents(copy)
    ran = run(main, *_flags(copy))
    assert ran.code == 1
    assert "Nothing was written: int8 does not pay" in ran.words
    assert contents(copy) == before


def test_the_graph_names_the_run_that_made_it_and_the_photos_that_must_not_judge_it(
    run: Run, copy: Path, fast: None, logged: Tracker
) -> None:
    ran = run(main, *_flags(copy, "--calibration", "max"))
    assert (ran.code, ran.err) == (0, "")
    graph = copy / "repository" / "pets_classify" / "2" / "model.onnx"
    said = properties_of(onnx.load(graph))
    stored = logged.run(said[RUN_ID])
    assert said[TRACKING] == "sqlite:///mlflow.db"
    assert f"logged: run {stored.short}; topfive experiments show {stored.short}" in ran.words
    assert (stored.command, stored.model, stored.status) == ("optimise", "pets:2", "FINISHED")
    assert (stored.tags[GRAPHS], stored.params["chosen.integers"]) == (sha256(graph), "U8S8")
    assert stored.artifacts == ("config.pbtxt", "optimised.json")
    photos = read_photos(copy / "photos")
    assert {leak.role for leak in leaks({"pets:2": graph}, photos)} == {"calibrate", "choose"}
    assert leaks({"pets:2": graph}, in_part(photos, "judge")) == []


def test_what_did_not_pay_is_recorded_too(
    run: Run, copy: Path, fast: None, logged: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Speed(0.5, 0.4, 0.6)
    monkeypatch.setattr(trials, "speeds", lambda models, *_, **__: [{1: slow, 8: slow} for _ in models])
    assert run(main, *_flags(copy)).code == 1
    (stored,) = logged.runs()
    assert stored.tags["topfive.refused"].startswith("int8 does not pay")
    assert GRAPHS not in stored.tags


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--time", "soon"), "--time soon: say a number of seconds, minutes or hours"),
        (("--time", "0s"), "--time 0s"),
        (("--budget", "-1"), "--budget -1: points of accuracy are from 0 to 100"),
        (("--plot", "curve.jpg"), "--plot curve.jpg"),
        (("--as", "a/b"), "a name has letters"),
        (("--engines", "tensorrt"), "--engines tensorrt: there are onnxruntime, openvino"),
        (("--engines", "ort,openvino"), "chooses one engine for all versions of a model"),
        (("--precisions", "int8,fp64"), "say int8 or mixed"),
        (("--precisions", "bf16"), "say int8 or mixed"),
        (("--labels",), "--labels: the classes of the pictures in "),
    ],
)
def test_what_cannot_be_meant_is_refused(flags: tuple[str, ...], said: str, run: Run, given: Path) -> None:
    ran = run(main, *_flags(given, *flags))
    assert ran.code == 2
    assert said in ran.err


def test_a_model_that_is_not_there_is_refused(run: Run, given: Path) -> None:
    ran = run(main, "cats", *_flags(given)[1:])
    assert (ran.code, "has no model 'cats'" in ran.err) == (2, True)
