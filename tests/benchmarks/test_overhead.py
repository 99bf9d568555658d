"""The benchmark as a command, over the real service and the real graphs."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.figures import TARGETS
from tests.conftest import Encode, Photo


def test_a_quick_run_measures_reports_and_draws(
    tmp_path: Path,
    cat: Photo,
    coffee: Photo,
    encode: Encode,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every answer right, every target listed, both files written; how fast it was is not this test's business."""
    for number, photo in enumerate((cat, coffee)):
        (tmp_path / f"{number}.jpg").write_bytes(encode(photo[:300, :400], "JPEG"))
    files = {"--json": tmp_path / "run.json", "--plot": tmp_path / "run.png", "--images": tmp_path}
    given = [str(word) for pair in files.items() for word in pair]
    assert main(["overhead", "--quick", "--scenario", "mixed", "--connections", "2", *given]) == 0
    result = json.loads((tmp_path / "run.json").read_text())
    service = [window["values"] for window in result["windows"] if window["setting"] == 2]
    assert [values["wrong answers"] for values in service] == [0]
    assert len(result["targets"]) == len(TARGETS)
    assert "| mixed |" in capsys.readouterr().out
    assert (tmp_path / "run.png").stat().st_size > 10_000
