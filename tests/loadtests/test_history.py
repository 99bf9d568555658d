"""The history of stored runs: by date, with the noise, and nothing made of runs that are INVALID."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from loadtests import history
from loadtests.report import chronicle
from loadtests.report.scene import Scene
from loadtests.results import Run, UnreadableRun, save
from tests.testkit.stored_run import stored_run
from topfive_loadgen.drawing import PAPER, STYLE


def dated(day: int, *, speed: float = 1.0, faults: tuple[str, ...] = ()) -> Run:
    run = stored_run(f"run {day}", speed=speed, commit=f"c0ffee{day}")
    cells = [cell for cell in run.closed if cell.workers in {1, 8}]
    return replace(run, began=f"2026-11-{day:02}T08:00:00Z", closed=cells, faults=faults)


RUNS = [dated(1), dated(2, speed=0.9), dated(3, faults=("the server hangs",)), dated(4, speed=1.2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, run in enumerate(reversed(RUNS)):
        (tmp_path / str(number)).mkdir()
        save(run, tmp_path / str(number) / "run.json")
    (tmp_path / "report.md").write_text("no run")
    return tmp_path


def test_runs_are_found_in_all_folders_and_come_by_date(folder: Path) -> None:
    assert [run.name for run in history.find(folder)] == ["run 1", "run 2", "run 3", "run 4"]


def test_a_file_that_is_no_run_and_a_folder_that_is_none_are_said(folder: Path) -> None:
    (folder / "run.json").write_text("{}")
    with pytest.raises(UnreadableRun, match="is not a stored run"):
        history.find(folder)
    with pytest.raises(UnreadableRun, match="is no folder"):
        history.find(folder / "missing")


def test_each_cell_has_its_history_with_the_range_over_its_windows() -> None:
    lines = history.lines(RUNS)
    assert [line.subject for line in lines] == ["random × 1", "random × 8", "complex × 1", "complex × 8"]
    for line in lines:
        assert [point.commit for point in line.points] == ["c0ffee1", "c0ffee2", "c0ffee3", "c0ffee4"]
        for point in line.points:
            assert point.throughput.least <= point.throughput.value <= point.throughput.most
            assert point.p99 is not None
            assert point.p99.least < point.p99.most


def test_what_says_nothing_of_the_server_is_in_doubt() -> None:
    cell = RUNS[0].closed[0]
    cells = [cell, replace(cell, settled=False), replace(cell, settled=False, cut=True)]
    [line] = history.lines(replace(RUNS[0], closed=[one]) for one in cells)
    assert [point.doubt for point in line.points] == ["", "not settled", "INVALID: cut short"]
    [line, *_] = history.lines(RUNS)
    assert [point.doubt for point in line.points] == ["", "", "INVALID: the server hangs", ""]


def test_a_tail_of_too_few_samples_is_no_point() -> None:
    cell = RUNS[0].closed[0]
    assert cell.latency is not None
    few = replace(cell, latency=replace(cell.latency, count=20))
    [line] = history.lines([replace(RUNS[0], closed=[few])])
    assert line.points[0].p99 is None


@pytest.mark.parametrize("is_narrow", [False, True])
def test_no_line_goes_through_an_invalid_run(is_narrow: bool) -> None:
    with mpl.rc_context(STYLE):
        picture = chronicle.draw(history.lines(RUNS), Scene(run=RUNS[-1], is_narrow=is_narrow))
    assert picture is not None
    assert len(picture.axes) == 4
    for axes in picture.axes:
        drawn = [line for line in axes.lines if np.size(line.get_xdata()) and line.get_marker() in ("o", "s")]
        for line in drawn:
            hollow = line.get_markerfacecolor() == PAPER
            assert np.asarray(line.get_xdata()).tolist() == ([2] if hollow else [0, 1, 3])
            assert (line.get_linestyle() == "None") is hollow
        assert len(drawn) == 4  # two cells, each with its good runs and the other


def test_the_page_and_the_text_have_every_run(folder: Path, tmp_path: Path) -> None:
    page, text = chronicle.write(RUNS, tmp_path)
    shown = page.read_text(encoding="utf-8")
    assert (page.name, text.name) == ("history.html", "history.md")
    for run in RUNS:
        assert run.name in shown
        assert run.name in text.read_text(encoding="utf-8")
    assert shown.count("<svg") == 2
    assert "INVALID: the server hangs" in shown


def test_runs_without_closed_loops_have_no_history_to_draw(tmp_path: Path) -> None:
    chronicle.write([replace(RUNS[0], closed=())], tmp_path)
    assert "<svg" not in (tmp_path / "history.html").read_text(encoding="utf-8")
