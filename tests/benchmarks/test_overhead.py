"""The benchmark as a command, over the real service and the real graphs."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import TARGETS
from benchmarks.server import ROOT
from tests.conftest import Encode, Photo


def test_a_quick_run_measures_reports_and_draws(
    tmp_path: Path, cat: Photo, coffee: Photo, palace: Photo, encode: Encode
) -> None:
    """Every answer right, every target listed, both files written; how fast it was is not this test's business."""
    for number, photo in enumerate((cat, coffee, palace)):
        (tmp_path / f"{number}.jpg").write_bytes(encode(photo[:300, :400], "JPEG"))
    options = ["--quick", "--scenario", "mixed", "--connections", "2", "--json", "run.json", "--plot", "run.png"]
    options += ["--images", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks", "overhead", *options]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run.json").read_text())
    service = [window["values"] for window in result["windows"] if window["setting"] == 2]
    assert [values["wrong answers"] for values in service] == [0]
    assert len(result["targets"]) == len(TARGETS)
    assert "| mixed |" in done.stdout
    assert (tmp_path / "run.png").stat().st_size > 10_000
