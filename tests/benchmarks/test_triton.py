"""The comparison with Triton: who is measured when, what counts as wrong, and that it runs on the real one."""

import json
from pathlib import Path

import pytest

from benchmarks import triton, tritonserver
from benchmarks.__main__ import main
from benchmarks.server import ROOT
from benchmarks.triton_report import ALONE, EMBEDDED, ON_TRITON, scenario
from topfive_loadgen.closed_loop import Exchange
from topfive_loadgen.http1 import Response


def exchange(label: str, status: int = 200) -> Exchange:
    body = {"version": "1", "predictions": [{"label": label, "index": 0, "probability": 0.9}]}
    return Exchange(0, 0, 0.0, 0.1, Response(status, json.dumps(body).encode()))


def test_what_is_not_the_label_that_a_lone_request_was_given_is_wrong() -> None:
    work = triton.Work([b""], [frozenset({"cat", "tabby"})])
    assert work.wrong([exchange("cat"), exchange("tabby")]) == []
    assert len(work.wrong([exchange("cat"), exchange("dog"), exchange("cat", status=503)])) == 2


@pytest.mark.parametrize(("threads", "mentioned"), [(0, False), (3, True)])
def test_triton_is_told_its_threads_in_a_copy(tmp_path: Path, threads: int, mentioned: bool) -> None:
    """Of both graphs, and not of the ensemble, which has none."""
    source = ROOT / "model_repository"
    copy = triton.with_threads(tmp_path / "models", source, threads)
    for config in source.glob("*/config.pbtxt"):
        changed = (copy / config.parent.name / "config.pbtxt").read_text() != config.read_text()
        assert changed is (mentioned and config.parent.name != "efficientnet_lite0")


@pytest.mark.skipif(bool(tritonserver.missing()), reason=tritonserver.missing())
def test_a_quick_run_measures_all_three_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every answer right, whoever gave it; how fast it was is not this test's business."""
    options = ["--quick", "--input", "mixed", "--connections", "2", "--images", str(ROOT / "docs")]
    options += ["--json", str(tmp_path / "run.json")]
    assert main(["triton", *options]) == 0
    result = json.loads((tmp_path / "run.json").read_text())
    names = [EMBEDDED, ON_TRITON, ALONE]
    assert [window["scenario"] for window in result["windows"]] == [scenario("mixed", name) for name in names]
    assert [window["values"]["wrong answers"] for window in result["windows"]] == [0, 0, 0]
    printed = capsys.readouterr().out
    assert all(f" {name} |" in printed for name in names)
    assert "in Python" in printed
