"""What a report says before any figure: a lost server, errors, missed readings, shared cores; and objectives, drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from loadtests import report, slo
from loadtests.report import box, html, markdown, plots, timelines
from loadtests.report.scene import Scene
from loadtests.results import Gap, Lost, Moment, Run, Sharing
from tests.testkit.stored_run import stored_run
from topfive_loadgen.drawing import ALARM, STYLE, WANTED, svg

STYLE_SHEET = (Path(report.__file__).parent / "style.css").read_text(encoding="utf-8")
WHOLE = stored_run()
GAPS = [
    Gap(of="metrics", began=61.0, ended=64.2, count=3),
    Gap(of="metrics", began=200.0, ended=200.0, count=1),
    Gap(of="health", began=61.5, ended=64.0, count=2),
]
LOST = Lost(at=133.2, said=134.6, reason="the server is gone: connection refused, 3 times in a row")
RUN = replace(
    WHOLE,
    closed=WHOLE.closed[:3],
    open=[replace(WHOLE.open[0], began=90.0)],
    shapes=(),
    capacities=WHOLE.capacities[:1],
    moments=WHOLE.moments[:80],
    null=None,
    scrapes=400,
    gaps=GAPS,
    lost=LOST,
    sharing=Sharing(cores=2, told="generator and server share 2 cores", share=0.31),
    faults=[LOST.reason],
)
OBJECTIVES = slo.Objectives.model_validate(
    {
        "closed": [
            {"mix": "random", "workers": 1, "p99_ms": 30, "min_throughput": 80},
            {"mix": "random", "workers": 2, "scenario": "raw", "p99_ms": 31},
            {"mix": "random", "workers": 64, "p99_ms": 32},
        ],
        "open": [{"mix": "random", "rate": 40, "p99_ms": 70}],
        "capacity": [{"mix": "random", "p99_ms": 50, "min_rate": 90}],
        "memory": {"max_resident_mb": 500},
    }
)


@pytest.fixture(scope="module")
def page() -> str:
    return html.render(RUN, None, slo.judge(RUN, OBJECTIVES), OBJECTIVES)


def test_the_box_says_all_that_must_be_known_first() -> None:
    lost, answers, sharing, missed, silent = box.lines(RUN)
    assert lost.startswith("SERVER LOST at 2:13: the server is gone: connection refused, 3 times in a row. Known 1.4 s")
    assert re.match(r"\d+ right answers, 40 errors \(\d\.\d\d % of all below\)", answers)
    assert sharing == "generator and server share 2 cores; of the CPU that both used, the generator took 31 %"
    assert missed.startswith("4 of 400 readings of the server's metrics were missed, at 1:01–1:04 (3), 3:20 (1)")
    assert silent == "the server's health did not answer 2 times, at 1:01–1:04 (2)"


def test_the_box_stands_above_every_figure_on_the_page_and_on_the_terminal(page: str) -> None:
    shown = markdown.render(RUN, None, slo.judge(RUN, OBJECTIVES))
    for text in (page, shown):
        assert text.index("SERVER LOST at 2:13") < text.index("random × 1: p99")
        assert text.count(LOST.reason) == 1
    assert shown.index("## Verdict: INVALID") < shown.index("SERVER LOST")
    assert '<li class="bad">SERVER LOST' in page


def test_a_run_without_objectives_is_not_taken_for_a_good_one() -> None:
    shown = markdown.render(replace(RUN, faults=(), lost=None))
    assert "## Not judged: no objectives were given" in shown
    assert "right answers, 40 errors" in shown


@pytest.mark.parametrize(
    ("run", "told"),
    [
        pytest.param(replace(RUN, gaps=()), "all 400 readings of the server's metrics were answered", id="all"),
        pytest.param(
            replace(RUN, scrapes=4), "none of 4 readings of the server's metrics was answered: it has no", id="none"
        ),
        pytest.param(
            replace(RUN, gaps=[replace(GAPS[0], began=9.0 * n, ended=9.0 * n) for n in range(7)]),
            "(3) and 2 times more: shaded",
            id="many",
        ),
    ],
)
def test_readings_are_counted(run: Run, told: str) -> None:
    assert any(told in line for line in box.lines(run))


def test_nothing_is_said_of_what_is_not_known() -> None:
    bare = Run(name="bare", url="http://127.0.0.1:1", began="2026-11-21T08:00:00Z", seconds=1.0, environment={})
    assert box.lines(bare) == []


def test_every_missed_reading_has_a_line_in_a_table() -> None:
    shown = markdown.render(RUN)
    assert len([line for line in shown.splitlines() if line.startswith(("| its metrics", "| its health"))]) == 3


def test_a_cell_that_was_cut_short_says_so() -> None:
    shown = markdown.render(replace(RUN, closed=[replace(RUN.closed[0], cut=True, settled=False)]))
    assert "cut short: the server was lost" in shown


def test_nothing_of_a_cell_that_was_cut_short_is_met() -> None:
    cut = replace(RUN, closed=[replace(RUN.closed[0], cut=True, settled=False)], faults=())
    checks = [check for check in slo.judge(cut, OBJECTIVES).checks if check.name.startswith("random × 1: p99")]
    assert [(check.met, check.note) for check in checks] == [(None, "cut short: the server was lost")]


def test_a_peak_with_errors_says_so() -> None:
    shown = markdown.render(replace(RUN, closed=[replace(RUN.closed[0], errors={"429 queue_full": 100})]))
    [line] = [line for line in shown.splitlines() if "peak throughput" in line]
    assert re.search(r"1 worker; \d+\.\d\d % errors", line)


def drawn(run: Run, objectives: slo.Objectives | None = None) -> str:
    with mpl.rc_context(STYLE):
        picture = timelines.resources(Scene(run=run, objectives=objectives))
        assert picture is not None
        return svg(picture, name="resources")


def test_the_loss_and_the_missed_readings_are_marked_over_time() -> None:
    """Each in each panel: a line at the loss, and a shade for each gap."""
    calm = replace(RUN, gaps=(), lost=None, open=(), capacities=())
    none, gaps, lost = (
        drawn(run).count(ALARM) for run in (calm, replace(calm, gaps=GAPS), replace(calm, lost=LOST, gaps=GAPS))
    )
    assert none == 0
    assert gaps >= 3 * len(GAPS)
    assert lost >= gaps + 3


def test_a_run_whose_server_told_no_metrics_still_shows_its_loss() -> None:
    assert ALARM in drawn(replace(RUN, moments=(), gaps=()))


def test_no_line_goes_across_missed_readings() -> None:
    moments = [Moment(at=at, cpu_cores=1.0, resident_bytes=None, phase="") for at in (0.0, 1.0, 5.0, 6.0)]
    gap = Gap(of="metrics", began=1.5, ended=4.5, count=4)
    whole, broken = (
        timelines.resources(Scene(run=replace(RUN, closed=(), open=(), capacities=(), moments=moments, gaps=gaps)))
        for gaps in ((), [gap])
    )
    assert whole is not None
    assert broken is not None
    lines = [np.asarray(picture.axes[0].lines[0].get_ydata()) for picture in (whole, broken)]
    assert [int(np.isnan(line).sum()) for line in lines] == [0, 1]


@pytest.mark.parametrize("plot", [plots.throughput, plots.distributions, plots.knee, timelines.resources])
def test_objectives_are_drawn_beside_what_was_measured(plot: object) -> None:
    assert callable(plot)
    with mpl.rc_context(STYLE):
        calm = replace(RUN, capacities=(), moments=RUN.moments[:5])
        without, with_them = (
            svg(plot(Scene(run=calm, objectives=objectives)), name="plot") for objectives in (None, OBJECTIVES)
        )
    assert WANTED not in without
    assert WANTED in with_them


def test_a_search_has_its_limit_drawn_even_without_objectives() -> None:
    with mpl.rc_context(STYLE):
        picture = plots.knee(Scene(run=RUN))
    assert picture is not None
    assert any("p99 ≤ 50 ms, p99 searched for" in text.get_text() for text in picture.axes[0].texts)


def test_every_colour_of_the_plots_has_another_on_a_dark_ground(page: str) -> None:
    used = set(re.findall(r"var\((--plot-[0-9a-f]{6}), #", page))
    dark = STYLE_SHEET[STYLE_SHEET.index("prefers-color-scheme: dark") :]
    assert len(used) > 6
    assert used - set(re.findall(r"(--plot-[0-9a-f]{6}):", dark)) == set()
    plots_alone = page[page.index("<svg") :]
    assert re.findall(r'(?:fill|stroke)(?:="|: )#[0-9a-f]{6}', plots_alone) == []


def test_each_plot_is_drawn_for_a_wide_page_and_for_a_phone(page: str) -> None:
    assert page.count('<div class="wide">') == page.count('<div class="narrow">') >= 4
    widths = [float(width) for width in re.findall(r'<svg [^>]*?width="([\d.]+)pt"', page)]
    assert len({width > 500 for width in widths}) == 2


def test_every_axis_has_its_unit(page: str) -> None:
    units = re.compile(r"ms|/s|%|, s$|cores|MB|workers|seconds")
    with mpl.rc_context(STYLE):
        for plot in html.PLOTS.values():
            picture = plot(Scene(run=WHOLE, objectives=OBJECTIVES))
            assert picture is not None
            labels = [text for axes in picture.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text]
            assert labels
            assert [label for label in labels if not units.search(label)] == []


def test_words_are_not_broken_in_tables() -> None:
    """But for the environment, whose digests and addresses have no place to break."""
    rules = re.findall(r"([^{}]+)\{[^{}]*overflow-wrap: anywhere", STYLE_SHEET)
    assert [rule.strip() for rule in rules if "td" in rule] == ["#environment td"]
