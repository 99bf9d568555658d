"""Commands record what they did, and never let the record cost the result."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.commands.test_evaluating import JUDGEMENT
from tests.pipeline.commands.test_importing import FLAGS
from tests.pipeline.graphs import networks
from topfive_pipeline.commands import checking, importing
from topfive_pipeline.commands.recording import of_judgement
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.experiments.tracking import Tracker
from topfive_pipeline.judging.limits import Limits, choose
from topfive_pipeline.judging.subjects import find
from topfive_pipeline.proof.photos import Photo

WRITTEN = graph_path(Path("my_models"), "pets_classify", 1)


@pytest.fixture
def start(tmp_path: Path, small_photos: list[Photo], monkeypatch: pytest.MonkeyPatch, unserved: None) -> list[str]:
    """The arguments of an import in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    networks.saved(networks.linear(), tmp_path)
    (tmp_path / "pets.txt").write_text("ant\nbee\ncat\n", encoding="utf-8")
    photos = small_photos[0].path.parent
    return ["model.onnx", "--name", "pets", "--labels", "pets.txt", "--photos", str(photos), *FLAGS]


def test_an_import_records_what_its_graphs_do(run: Run, start: list[str], logged: Tracker) -> None:
    ran = run(importing.main, *start, "--log-graphs")
    assert (ran.code, ran.err) == (0, "")
    (stored,) = logged.runs()
    assert f"logged: run {stored.short}" in ran.words
    assert (stored.command, stored.model) == ("import", "pets:1")
    assert stored.params["network"] == "model.onnx"
    assert stored.params["preprocessing.resize"] == "squash"
    assert stored.tags["graph.sha256"] == sha256(WRITTEN)
    assert stored.metrics["photos"] == 3
    assert logged.run(stored.id).artifacts == (
        "config.pbtxt",
        "graphs/pets_classify/1/model.onnx",
        "graphs/pets_resize/1/model.onnx",
        "proof.json",
    )


def test_the_same_import_writes_the_same_bytes_whether_it_is_logged_or_not(
    run: Run, start: list[str], logged: Tracker
) -> None:
    run(importing.main, *start)
    before = WRITTEN.read_bytes()
    run(importing.main, *start, "--no-log", "--replace")
    assert WRITTEN.read_bytes() == before
    assert len(logged.runs()) == 1


def test_without_mlflow_a_line_says_how_to_get_it_and_no_log_is_silent(run: Run, start: list[str]) -> None:
    assert "not logged: pip install 'topfive[experiments]'" in run(importing.main, *start).words
    assert "logged" not in run(importing.main, *start, "--no-log").words


def test_a_record_that_fails_is_said_and_the_model_is_there(
    run: Run, start: list[str], logged: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///pets.txt/mlflow.db")
    ran = run(importing.main, *start, "--json")
    assert (ran.code, json.loads(ran.out)["version"]) == (0, 1)
    assert WRITTEN.is_file()
    assert ran.err.startswith(
        "topfive import: this run is not logged: the log of experiments at sqlite:///pets.txt/mlf"
    )
    assert ran.err.count("\n") == 1


def test_a_check_records_a_run_for_each_model(run: Run, start: list[str], logged: Tracker) -> None:
    run(importing.main, *start, "--no-log")
    WRITTEN.parents[2].joinpath("pets", "labels.txt").write_text("x\ny\nz\n", encoding="utf-8")
    assert run(checking.main, "my_models").code == 1
    (stored,) = logged.runs()
    assert (stored.command, stored.model, stored.tags["graph.sha256"]) == ("check", "pets:1", sha256(WRITTEN))
    assert stored.tags["topfive.refused"]


def test_a_judgement_is_a_run_for_each_model_and_the_first_has_the_report(repository: Path) -> None:
    (subject,) = find(["efficientnet_lite0"], repository)
    models = tuple(replace(each, title=f"/home/al_ice/models/{each.title}") for each in JUDGEMENT.models)
    given = replace(JUDGEMENT, models=models, choice=choose(models, Limits(loss=5)), warnings=(models[0].title,))
    found = list(of_judgement(given, [subject] * 2, Path("/home/al_ice/photos"), {"rounds": 1}, None))
    assert [run.model for run in found] == ["models/pets:1", "models/pets:2"]
    assert [sorted(run.texts) for run in found] == [["judgement.json", "report.md"], []]
    assert found[1].metrics["speed_batch_8"] == 2.5
    assert found[1].tags["compared.with"] == "models/pets:1"
    assert (found[0].tags["data.folder"], found[0].tags["data.sha256"]) == ("photos", "f" * 64)
    assert not re.search(r"home|al.{1,2}ice", "".join(found[0].texts.values()))
    assert "models/pets" in found[0].texts["report.md"]
