"""What a recipe found is recorded with the version of its data; a record that cannot be kept costs nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.conftest import logged, needs_export, store, unlogged

needs_export()

from recipes.kit.data import load  # noqa: E402  # imports torch, once it is known to be there
from recipes.kit.record import record  # noqa: E402
from recipes.kit.setting import Setting  # noqa: E402
from tests.recipes.example_rows import BEGAN, HALF  # noqa: E402
from topfive_pipeline.experiments.tracking import Tracker  # noqa: E402

pytestmark = pytest.mark.untraced

__all__ = ["logged", "store", "unlogged"]  # fixtures


def setting_in(folder: Path, said: list[str]) -> Setting:
    return Setting(data=load("digits"), photos=None, out=folder, quick=True, seed=7, logs=True, say=said.append)


def test_each_model_is_a_run_with_its_figures_and_its_data(logged: Tracker, tmp_path: Path) -> None:
    """The first above the others; none with `--no-log`."""
    said: list[str] = []
    setting = setting_in(tmp_path, said)
    record(replace(setting, logs=False), "prune", [BEGAN])
    assert (logged.runs(), said) == ([], [])
    record(setting, "prune", [BEGAN, HALF])
    assert said[0].startswith("logged: run ")
    found = {run.model: logged.run(run.id) for run in logged.runs()}
    began, half = found["whole"], found["half"]
    assert half.params == {"recipe": "prune", "seed": "7", "quick": "True", "data": "digits"}
    assert half.tags["data.train.sha256"] == setting.data.fingerprint
    assert half.metrics["difference"] == -0.01
    assert half.metrics["speed_batch_8_high"] == 2.5
    assert began.metrics == {"minutes": 2.25, "size_ratio": 1, "top_1": 0.9, "top_1_low": 0.88, "top_1_high": 0.915}


@pytest.mark.usefixtures("logged")
def test_a_store_that_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is a file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    said: list[str] = []
    record(setting_in(tmp_path, said), "prune", [BEGAN])
    assert len(said) == 1
    assert said[0].startswith("this run is not logged: ")
    assert "cannot be used" in said[0]
