"""A result never waits for its record, nor is it lost with it; what went wrong is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from topfive_pipeline.experiments.log import Log, Logged
from topfive_pipeline.experiments.runs import RUN_ID, TRACKING, Run
from topfive_pipeline.experiments.tracking import Tracker

RUNS = (Run(model="pets:1", metrics={"top_1": 0.9}), Run(model="pets:2", tags={"topfive.refused": "it loses"}))


def never() -> Sequence[Run]:
    raise AssertionError("nothing is put together for a record that is not kept")


@pytest.fixture
def broken(logged: Tracker, tmp_path: Path) -> Tracker:
    """A store that cannot be: its folder is a file."""
    (tmp_path / "file").touch()
    return Tracker(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_every_run_says_its_command_its_model_and_what_it_was_run_with(logged: Tracker) -> None:
    kept = Log("evaluate").record(lambda: RUNS)
    first, second = (logged.run(run_id) for run_id in kept.ids)
    assert [(run.command, run.model) for run in (first, second)] == [("evaluate", "pets:1"), ("evaluate", "pets:2")]
    assert first.tags["mlflow.source.name"] == "topfive evaluate"
    assert {"onnxruntime", "cpu", "topfive.version"} <= first.tags.keys()
    assert second.tags["mlflow.parentRunId"] == first.id
    assert second.tags["topfive.refused"] == "it loses"


def test_a_graph_names_the_run_that_is_recorded_afterwards(logged: Tracker) -> None:
    with Log("optimise") as log:
        link = log.link("pets:2")
        kept = log.record(lambda: RUNS[:1])
    assert kept == Logged((link[RUN_ID],))
    assert link[TRACKING] == "sqlite:///mlflow.db"
    assert logged.run(link[RUN_ID]).status == "FINISHED"


def test_a_run_that_is_stopped_before_its_record_has_failed(logged: Tracker) -> None:
    ids = []

    def stopped() -> None:
        with Log("optimise") as log:
            ids.append(log.link("pets:2")[RUN_ID])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [logged.run(run_id).status for run_id in ids] == ["FAILED"]


def test_a_record_that_is_not_wanted_is_not_begun(logged: Tracker) -> None:
    log = Log("import", wanted=False)
    assert (log.link("pets:1"), log.record(never)) == ({}, Logged())
    assert logged.runs() == []


def test_without_mlflow_nothing_is_recorded_and_that_is_told() -> None:
    log = Log("import")
    assert (log.link("pets:1"), log.record(never)) == ({}, Logged(is_missing=True))


def test_a_store_that_cannot_be_used_is_a_fault_and_no_error(broken: Tracker) -> None:
    kept = Log("check", tracker=broken).record(lambda: RUNS)
    assert kept.ids == ()
    assert kept.fault is not None
    assert "cannot be used" in kept.fault


def test_a_fault_while_a_graph_is_written_is_told_with_the_result(broken: Tracker) -> None:
    log = Log("optimise", tracker=broken)
    assert log.link("pets:2") == {}
    kept = log.record(never)
    assert kept.fault is not None
    assert "cannot be used" in kept.fault


def test_a_file_that_is_gone_is_a_fault_too(logged: Tracker, tmp_path: Path) -> None:
    kept = Log("import").record(lambda: [Run(model="pets:1", files={"config.pbtxt": tmp_path / "config.pbtxt"})])
    assert kept.ids == ()
    assert kept.fault is not None
    assert "config.pbtxt" in kept.fault
    assert [run.status for run in logged.runs()] == ["FAILED"]


def test_a_sum_that_cannot_be_taken_is_a_fault_too(logged: Tracker, tmp_path: Path) -> None:
    def gone() -> Sequence[Run]:
        return [Run(model=(tmp_path / "model.onnx").read_text())]

    assert Log("import").record(gone).fault == f"{tmp_path / 'model.onnx'}: No such file or directory"
