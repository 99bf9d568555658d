"""`topfive gate` as somebody types it: one sentence, an exit code, and the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.gating.conftest import warm_contestants
from topfive_pipeline.commands.gating import main
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.experiments.tracking import Tracker


@pytest.fixture(autouse=True)
def warm() -> Iterator[None]:
    with warm_contestants():
        yield


def test_a_worse_version_may_not_go_live_and_the_run_is_recorded(
    run: Run, judged_folder: Path, tmp_path: Path, logged: Tracker
) -> None:
    repository, report = judged_folder / "repository", tmp_path / "report"
    flags = ("--photos", judged_folder / "photos", "--report", report, "--cores", 1, "--no-load")
    ran = run(main, f"{repository}/pets:3", "--against", "pets:1", "--repository", repository, *flags)
    assert (ran.code, ran.err) == (1, "")
    told = json.loads((report / "gate.json").read_text(encoding="utf-8"))
    assert told["sentence"].startswith("NO: ")
    assert "top-1 difference −" in told["sentence"]
    assert told["sentence"] in ran.words
    assert "Must-pass cases: 16 of 16 met" in ran.words
    assert "✗ missed top-1 difference: −" in ran.words
    (stored,) = logged.runs()
    assert (stored.command, stored.model) == ("gate", "repository/pets:3")
    assert (stored.params["verdict"], stored.params["against"]) == ("no", "pets:1")
    assert stored.metrics["missed"] >= 1
    assert stored.metrics["difference"] < 0 < stored.metrics["agreement"] < 1
    assert (report / "differing.json").is_file()
    assert stored.tags["graph.sha256"] == sha256(graph_path(repository, "pets_classify", 3))
    assert stored.tags["topfive.refused"] == told["sentence"]
    assert logged.run(stored.id).artifacts == ("gate.html", "gate.json", "gate.md", "junit.xml")
    assert str(judged_folder) not in json.dumps([stored.params, stored.tags])


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_measured(
    run: Run, judged_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    flags = ("--repository", judged_folder / "repository", "--report", tmp_path / "file", "--no-load")
    ran = run(main, "pets:2", "--against", "pets:1", *flags)
    assert (ran.code, ran.out) == (2, "")
    assert "file: cannot be written (File exists)" in ran.err


def test_the_same_version_may_go_live(run: Run, judged_folder: Path) -> None:
    ran = run(
        main,
        "pets:2",
        "--against",
        "pets:1",
        "--repository",
        judged_folder / "repository",
        "--json",
        "--no-log",
        "--no-load",
    )
    assert (ran.code, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert (told["verdict"], told["sentence"]) == (
        "yes",
        "YES: all 16 met; not looked at: quality, agreement and side by side, load, memory and start-up.",
    )
    assert len(told["left_out"]) == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--budget", "-1"), "--budget -1: say points from 0 to 100"),
        (("--min-agreement", "95"), "--min-agreement 95: say a share from 0 to 1"),
        (("--cases", "none"), "--cases none: there is no such folder"),
        (("--photos", "none"), "--photos none: there is no such folder"),
        (("--cores", "-1"), "cores"),
        (("--quick", "--no-load"), "--quick and --no-load exclude each other"),
    ],
)
def test_what_cannot_be_looked_at_is_exit_code_two(
    flags: tuple[str, str], words: str, run: Run, judged_folder: Path
) -> None:
    ran = run(main, "pets:2", "--against", "pets:1", "--repository", judged_folder / "repository", *flags)
    assert ran.code == 2
    assert words in ran.err
