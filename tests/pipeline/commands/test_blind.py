"""`topfive judge` as somebody types it."""

from __future__ import annotations

import getpass
import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.gating.sides import answered, judged
from topfive_pipeline.commands.blind import main
from topfive_pipeline.gating import differing
from topfive_pipeline.gating.judgements import FILE, opened


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The folder of a report: two differ on four photos of six."""
    folder = tmp_path / "report"
    folder.mkdir()
    differing.write(folder, differing.find(answered(tmp_path, [1, 2, 3, 4, 0, 0], [0] * 6)))
    return folder


def judge(report: Path, *verdicts: str) -> None:
    with opened(report / FILE) as store:
        for question, verdict in zip(differing.read(report).questions, verdicts, strict=False):
            store.add(judged(question.key, verdict))


def test_nobody_has_judged_yet(run: Run, report: Path) -> None:
    ran = run(main, report, "--show")
    assert (ran.code, ran.err) == (0, "")
    assert ran.words == "0 of 4 photos judged, by: nobody No photo decides yet."


def test_what_was_judged_so_far(run: Run, report: Path) -> None:
    judge(report, "candidate", "candidate", "live")
    assert run(main, report, "--show").words == (
        "3 of 4 photos judged, by: ada 3 The candidate won 2, lost 1, neither 0: 66.7 % of those decided "
        "(95 %: 19.4 to 93.2 %), sign test p 1 either way."
    )
    shown = json.loads(run(main, report, "--json").out)
    assert (shown["won"], shown["lost"], shown["photos"], shown["of"]) == (2, 1, 3, 4)


def test_what_cannot_be_used_is_refused(run: Run, report: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((tmp_path,), "there is no differing.json in it; name the folder of a report of topfive gate"),
        ((report, "--as", "a\nb"), "a name has at most 64 letters, digits, spaces and . @ _ -"),
        ((report, "--as", "x" * 65), "a name has at most 64"),
    ):
        ran = run(main, *arguments)
        assert ran.code == 2
        assert message in " ".join(ran.err.split())
    (tmp_path / "photo-1.png").unlink()
    ran = run(main, report, "--as", "ada")
    assert (ran.code, "the photo cannot be read" in ran.err) == (2, True)
    assert not (report / FILE).exists()


def test_a_judge_without_a_name_is_asked_for_it(run: Run, report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user is in no list of users."""

    def nobody() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", nobody)
    ran = run(main, report)
    assert (ran.code, "this machine does not know your name; say it: --as NAME" in ran.err) == (2, True)


def test_it_serves_until_it_is_stopped(report: Path) -> None:
    command = "import sys; from topfive_pipeline.commands.blind import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", command, str(report), "--as", "ada", "--most", "3"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        while not (found := re.search(r"http://\S+/", said)):
            said += process.stdout.readline()
        with urllib.request.urlopen(f"{found[0]}state") as response:
            state = json.load(response)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert "3 photos to judge as ada. Open this" in said
    assert (state["photos"], state["done"]) == (3, 0)
    assert "0 of 3 photos judged." in rest
    assert "The same command goes on where this ended." in rest
    assert process.returncode == 0
