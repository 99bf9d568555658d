"""`topfive experiments` as somebody types it, of runs that the commands recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipeline.commands.conftest import Run as Runs
from topfive_pipeline.commands.experiments import main
from topfive_pipeline.experiments.runs import Run
from topfive_pipeline.experiments.tracking import Tracker


def kept(tracker: Tracker, number: int, *, photos: str = "a", **tags: str) -> str:
    run_id = tracker.begin(f"evaluate pets:{number}")
    said = {"topfive.command": "evaluate", "topfive.model": f"pets:{number}", "data.sha256": photos * 64}
    found = {"top_1": 0.9 - number / 100, "loss": 0.5, "speed_batch_8": 2.0}
    tracker.fill(run_id, Run(model="", params={"rounds": number}, metrics=found, tags=said | tags, texts={"a.md": "x"}))
    return run_id


@pytest.fixture
def three(logged: Tracker) -> list[str]:
    """The ids of three runs; the last is of other photos, on another processor."""
    return [kept(logged, 1), kept(logged, 2), kept(logged, 3, photos="b", cpu="another")]


def test_the_newest_run_is_first(run: Runs, three: list[str]) -> None:
    ran = run(main)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines if line[:8] in {each[:8] for each in three}] == [
        each[:8] for each in reversed(three)
    ]
    assert "evaluate pets:1 aaaaaa 89.0% 0.500 2.00 ×" in ran.words
    assert run(main, "list", "--last", 1).out.count("evaluate") == 1


def test_json_is_one_document(run: Runs, three: list[str]) -> None:
    assert [each["run"] for each in json.loads(run(main, "--json").out)] == three[::-1]
    assert json.loads(run(main, "show", three[0][:10], "--json").out)["artifacts"] == ["a.md"]
    document = json.loads(run(main, "compare", three[0], three[2], "--json").out)
    assert [each["model"] for each in document["runs"]] == ["pets:1", "pets:3"]
    assert len(document["doubts"]) == 1


def test_a_log_without_runs_says_so(run: Runs, logged: Tracker) -> None:
    assert "has no run yet" in run(main).words


def test_show_has_all_of_a_run(run: Runs, three: list[str]) -> None:
    ran = run(main, "show", three[2][:10])
    assert ran.words.startswith(f"evaluate pets:3, run {three[2]}, finished")
    for said in ("rounds 3", "top_1 0.87", "data.sha256 bbbbbbbbbbbb…", "cpu another", "Files: a.md"):
        assert said in ran.words


def test_compare_shows_differences_and_says_what_cannot_be_compared(run: Runs, three: list[str]) -> None:
    ran = run(main, "compare", *(each[:10] for each in three))
    assert "these runs are of different photos" in ran.words
    assert "rounds 1 2 3" in ran.words
    assert "top_1 0.89 0.88 0.87" in ran.words
    assert "different photos" not in run(main, "compare", *three[:2]).words


def test_export_writes_a_row_for_each_run(run: Runs, three: list[str], tmp_path: Path) -> None:
    ran = run(main, "export", tmp_path / "runs.csv")
    assert "written: 3 runs into" in ran.words
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 4
    assert run(main, "export", tmp_path / "runs", "--format", "json", "--last", 1).code == 0
    assert [each["run"] for each in json.loads((tmp_path / "runs").read_text())] == [three[2]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shwo",), "there is no 'shwo'; there are list (as without a word), show, compare, export"),
        (("compare", "abcd"), "a comparison needs two runs or more"),
        (("export", "runs"), "--format csv, json or markdown"),
        (("show", "abcd", "--repository", "none"), "abcd is no run of sqlite:///"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_two(
    words: tuple[str, ...], said: str, run: Runs, logged: Tracker
) -> None:
    ran = run(main, *words)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


def test_without_mlflow_it_says_how_to_get_it(run: Runs) -> None:
    ran = run(main)
    assert (ran.code, "pip install 'topfive[experiments]'" in ran.err) == (2, True)
