"""Runs as a table for other programs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.pipeline.experiments.runs import stored
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.experiments.exports import format_of, render, write

RUNS = (stored(1, metrics={"loss": 0.1234567}), stored(2, params={"note": 'a "b", c\nd'}, metrics={"top_1": 0.9}))


def test_csv_has_a_row_for_each_run_and_a_column_for_all_that_any_has(tmp_path: Path) -> None:
    write(RUNS, tmp_path / "new" / "runs.csv", "csv")
    with (tmp_path / "new" / "runs.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert (first["run"], first["model"], first["metrics.loss"], first["metrics.top_1"]) == (
        RUNS[0].id,
        "pets:1",
        "0.1234567",
        "",
    )
    assert (second["params.note"], second["metrics.top_1"]) == ('a "b", c\nd', "0.9")
    assert list(first)[:5] == ["run", "began", "status", "command", "model"]


def test_json_has_all_of_each_run() -> None:
    first, second = json.loads(render(RUNS, "json"))
    assert first["began"] == "2026-01-02T03:01:00+00:00"
    assert second["tags"]["data.sha256"] == "a" * 64
    assert "artifacts" not in first


def test_markdown_has_the_figures_and_no_bar_of_a_name_breaks_its_table() -> None:
    run = stored(1, tags={"topfive.model": "a|b:1", "topfive.command": "check"})
    head, line, row = render([run], "markdown").splitlines()
    assert head == "| run | began | command | model | photos | top_1 |"
    assert line.endswith("| ---: |")
    assert row == f"| {run.short} | 2026-01-02 03:01 | check | a\\|b:1 |  | 0.9 |"


def test_the_name_of_the_file_says_the_format() -> None:
    assert [format_of(Path(name)) for name in ("a.csv", "b.JSON", "c.md")] == ["csv", "json", "markdown"]
    with pytest.raises(ConfigurationError, match="--format csv, json or markdown"):
        format_of(Path("runs"))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"it cannot be written \(Is a directory\)"):
        write(RUNS, tmp_path, "csv")
