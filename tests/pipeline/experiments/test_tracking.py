"""What is recorded is MLflow's: its own client reads it, nothing is sent, and what cannot be kept is said."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.locking import is_in_use
from topfive_pipeline.experiments import tracking
from topfive_pipeline.experiments.runs import Run
from topfive_pipeline.experiments.tracking import Tracker

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
RUN = Run(
    model="pets:2",
    params={"photos": Path("/home/alice/photos"), "budget": 0.5, "plot": None},
    metrics={"top_1": 0.9, "loss": 0.25},
    tags={"topfive.model": "pets:2"},
    texts={"report.md": "| 90 % |\n"},
)


def kept(tracker: Tracker, run: Run = RUN, *, parent: str | None = None) -> str:
    run_id = tracker.begin(f"evaluate {run.model}")
    tracker.fill(run_id, run, parent=parent)
    return run_id


def test_mlflows_own_client_reads_what_was_recorded(logged: Tracker, store: str, tmp_path: Path) -> None:
    config = tmp_path / "config.pbtxt"
    config.write_text("name: 'pets'")
    run_id = kept(logged, Run(model="pets:2", params=RUN.params, metrics=RUN.metrics, files={"graphs/it": config}))
    from mlflow import MlflowClient

    client = MlflowClient(store)
    read = client.get_run(run_id)
    assert (read.info.run_name, read.info.status) == ("evaluate pets:2", "FINISHED")
    assert read.data.metrics == {"top_1": 0.9, "loss": 0.25}
    assert read.data.params == {"photos": "photos", "budget": "0.5"}
    assert [each.path for each in client.list_artifacts(run_id, "graphs")] == ["graphs/config.pbtxt"]
    assert Path(client.download_artifacts(run_id, "graphs/config.pbtxt", str(tmp_path))).read_bytes()


def test_mlflow_shows_the_photos_as_the_data_set_of_a_run(logged: Tracker, store: str) -> None:
    run_id = kept(logged, Run(model="pets:1", tags={"data.sha256": "a" * 64, "data.folder": "photos"}))
    from mlflow import MlflowClient

    (given,) = MlflowClient(store).get_run(run_id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("photos", "a" * 36)


def test_the_files_lie_beside_the_store_wherever_the_command_is_run(logged: Tracker, store: str) -> None:
    run_id = kept(logged)
    beside = Path(store.removeprefix("sqlite:///")).parent / "mlruns"
    assert [path.read_text() for path in beside.rglob(f"{run_id}/artifacts/report.md")] == ["| 90 % |\n"]


def test_a_run_comes_back_as_it_was_recorded_with_the_names_of_its_files(logged: Tracker) -> None:
    read = logged.run(kept(logged))
    assert (read.metrics, read.model, read.status) == (RUN.metrics, "pets:2", "FINISHED")
    assert read.artifacts == ("report.md",)


def test_the_newest_are_first_and_tags_choose(logged: Tracker) -> None:
    ids = [kept(logged, Run(model=f"pets:{number}", tags={"even": str(number % 2 == 0)})) for number in range(4)]
    assert [run.id for run in logged.runs(3)] == ids[:0:-1]
    assert [run.id for run in logged.runs(tags={"even": "True"})] == [ids[2], ids[0]]
    assert len(logged.runs()) == 4


def test_all_runs_are_read_however_many_pages_they_fill(logged: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_PAGE", 2)
    ids = [kept(logged, Run(model="pets:1")) for _ in range(5)]
    assert [run.id for run in logged.runs()] == ids[::-1]
    assert [run.id for run in logged.runs(3)] == ids[:1:-1]


def test_a_run_is_shown_below_its_parent(logged: Tracker) -> None:
    parent = kept(logged)
    assert logged.run(kept(logged, parent=parent)).tags["mlflow.parentRunId"] == parent


def test_a_run_that_is_given_up_has_failed(logged: Tracker) -> None:
    run_id = logged.begin("optimise pets")
    logged.fail(run_id)
    assert logged.run(run_id).status == "FAILED"


def test_mlflow_sends_no_telemetry(logged: Tracker) -> None:
    kept(logged, Run(model="pets:1"))
    from mlflow.telemetry import get_telemetry_client

    assert get_telemetry_client() is None


def test_commands_do_not_wait_for_mlflow_to_be_imported() -> None:
    """It takes a second: only a record, or a question about one, is worth it."""
    code = "import topfive_pipeline.commands.experiments, sys; print('mlflow' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout == "False\n"


@given(st.sampled_from(["http", "https", "postgresql"]), NAMES, NAMES, NAMES)
def test_neither_a_name_nor_a_message_of_a_store_has_its_password(scheme: str, user: str, word: str, host: str) -> None:
    tracker = Tracker(f"{scheme}://{user}:{word}@{host}:5000/store")
    assert tracker.where == f"{scheme}://{host}:5000/store"
    assert f":{word}@" not in tracker.name
    assert tracker.name in {tracker.where, f"{scheme}:///store"}


def test_a_graph_names_a_store_on_this_machine_without_its_folder() -> None:
    assert Tracker("sqlite:////home/alice/mlflow.db").name == "sqlite:///mlflow.db"
    assert Tracker("/home/alice/mlruns").name == "mlruns"
    assert Tracker("https://mlflow.example/x?token=1").name == "https://mlflow.example/x"


def test_a_store_that_cannot_be_written_is_said_at_once_and_in_a_line(logged: Tracker, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no database, and no folder")
    with pytest.raises(
        ConfigurationError, match=r"file cannot be used \(file is not a database\); set MLFLOW_TRACKING_URI"
    ):
        Tracker(f"sqlite:///{file}").begin("x")
    with pytest.raises(ConfigurationError, match=r"mlflow.db cannot be used \(\[Errno 17\] File exists"):
        Tracker(f"sqlite:///{file}/mlflow.db").begin("x")


def test_what_the_database_said_is_told_in_a_line_and_nothing_else(
    logged: Tracker, store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """MLflow would show a page of its own code; the database says that the disk is full, say."""
    logged.begin("so that there is a store")
    copy = Path(shutil.copyfile(store.removeprefix("sqlite:///"), tmp_path / "mlflow.db"))
    with closing(sqlite3.connect(copy)) as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    with pytest.raises(ConfigurationError, match=r"cannot be used \(the disk is full\); set"):
        Tracker(f"sqlite:///{copy}").begin("x")
    assert capfd.readouterr() == ("", "")


def test_one_command_at_a_time_opens_a_store(logged: Tracker, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow changes the tables of a new database as often as there are processes that do it at once, and fails."""
    import mlflow

    held = []

    def opened(*uris: str) -> mlflow.MlflowClient:
        held.append(is_in_use(Path(store.removeprefix("sqlite:///")).parent))
        return client(*uris)

    client = mlflow.MlflowClient
    monkeypatch.setattr(mlflow, "MlflowClient", opened)
    logged.begin("x")
    assert held == [True]


def test_a_server_that_is_not_there_is_said_without_the_password(
    logged: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConfigurationError, match=r"at http://127.0.0.1:9 cannot be used") as refused:
        Tracker("http://alice:secret@127.0.0.1:9").runs()
    assert "secret" not in str(refused.value)


def test_without_mlflow_it_is_said_how_to_get_it() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'topfive\[experiments\]'"):
        Tracker().runs()
