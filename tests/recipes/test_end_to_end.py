"""A recipe ends in a model that topfive serves, and in a table that `topfive evaluate` filled."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.pipeline.conftest import needs_export

needs_export()

pytestmark = pytest.mark.untraced

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = ["fold_norms", "fold_folded", "fold_exported", "fold_raw"]


def run(*arguments: str, out: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("service", "pipeline", "."))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "recipes", *arguments, "--out", str(out)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_fold_is_served_and_stands_in_the_table(tmp_path: Path) -> None:
    """One that trains, exports, imports and evaluates, as all do; and its answers stay, which the table shows."""
    ended = run("fold", "--quick", "--data", "digits", "--cores", "1", "--no-log", out=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name in NAMES:
        assert sorted(path.name for path in (tmp_path / "models").glob(f"{name}_*")) == [
            f"{name}_classify", f"{name}_resize",
        ]  # fmt: skip
    rows = json.loads((tmp_path / "rows" / "fold.json").read_text(encoding="utf-8"))
    assert [(row["recipe"], row["model"], row["photos"]) for row in rows] == [("fold", name, 200) for name in NAMES]
    assert rows[0]["difference"] is None
    for row in rows[1:]:
        assert row["difference"][0] == 0
        assert row["agreement"] == 1
        assert row["change"] <= 1e-5
        assert row["batch_8"][0] > 0
        assert row["minutes"] > 0
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table in ended.stdout
    assert [line.split(" | ")[1] for line in table.splitlines()[2:]] == NAMES
    assert (tmp_path / "table.png").stat().st_size > 0
