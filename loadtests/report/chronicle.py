"""The page of the history of stored runs: throughput and p99 of each cell over time; `history` has the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from loadtests import history
from loadtests.history import Known, Line, Point
from loadtests.report import html
from loadtests.report.scene import Scene
from loadtests.results import MIXES, Run
from topfive_loadgen import tables
from topfive_loadgen.drawing import ALARM, MARKERS, PAPER, SEQUENCE, STYLE, latency_axis, named, one_legend
from topfive_loadgen.tables import MS, Table, numbers, texts

TITLE = "Load tests: history"
LEAD = (
    "Each point is one cell of one run; the bar through it is the range over its windows that agreed. Hollow: the run "
    "was INVALID, or the cell never settled; no line goes through those."
)
_MOST_LABELS = 12  # on an axis; more would overlap


def write(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write history.html and history.md."""
    page, text = folder / "history.html", folder / "history.md"
    page.write_text(render(runs), encoding="utf-8")
    text.write_text(markdown(runs), encoding="utf-8")
    return [page, text]


def markdown(runs: Sequence[Run]) -> str:
    """The history as tables."""
    parts = [f"# {TITLE}", LEAD, *(tables.markdown(table) for table in _tables(history.lines(runs)))]
    return "\n\n".join(parts) + "\n"


def render(runs: Sequence[Run]) -> str:
    """The history as an HTML page that needs nothing else."""
    found = history.lines(runs)
    with mpl.rc_context(STYLE):
        picture = html.both_widths(lambda scene: draw(found, scene), Scene(run=runs[-1]), key="history")
    return html.page("history.html", title=TITLE, lead=LEAD, plot=picture, tables=_tables(found), tone=html.tone)


def draw(found: Sequence[Line], scene: Scene) -> Canvas | None:
    """Throughput and p99, a column for each mix; on a phone, below each other."""
    mixes = [mix for mix in MIXES if any(line.subject.startswith(mix) for line in found)]
    if not mixes:
        return None
    places = _places(found)
    drawn = scene.canvas(len(mixes) * 6.4 if scene.is_narrow else 6.4)
    shape = (2 * len(mixes), 1) if scene.is_narrow else (2, len(mixes))
    panels = list(drawn.subplots(*shape, squeeze=False).T.flat)
    for number, mix in enumerate(mixes):
        lines = [line for line in found if line.subject.startswith(mix)]
        above, below = panels[2 * number : 2 * number + 2]
        above.set_title(f"{mix} queries")
        _panel(above, lines, places, lambda point: point.throughput, scale=1.0)
        above.set_ylabel("right answers, images/s")
        above.set_ylim(bottom=0)
        shown = _panel(below, lines, places, lambda point: point.p99, scale=MS)
        latency_axis(below, shown)
        below.set_ylabel("p99, ms")
        for axes in (above, below):
            _dates(axes, places, narrow=scene.is_narrow)
    named(panels[0], "|", "range over its windows")
    if any(point.doubt for line in found for point in line.points):
        panels[0].plot([], [], "o", color=ALARM, markerfacecolor=PAPER, label="INVALID or not settled")
    one_legend(drawn, *panels, columns=scene.columns(6))
    return drawn


def _places(found: Sequence[Line]) -> dict[Point, int]:
    """The place of each point on the axis: one for each run, in their order, whatever the time between."""
    runs = sorted({(point.began, point.run) for line in found for point in line.points})
    numbers_of = {key: number for number, key in enumerate(runs)}
    return {point: numbers_of[point.began, point.run] for line in found for point in line.points}


def _panel(
    axes: Axes,
    lines: Sequence[Line],
    places: dict[Point, int],
    of: Callable[[Point], Known | None],
    *,
    scale: float,
) -> list[float]:
    """Draw each cell's line through its good points, and its other points hollow; return all values."""
    shown: list[float] = []
    for number, line in enumerate(lines):
        colour, marker = SEQUENCE[number % len(SEQUENCE)], MARKERS[number % len(MARKERS)]
        workers = line.subject.partition("× ")[2]
        axes.plot([], [], f"{marker}-", color=colour, label=f"{workers} worker{'' if workers == '1' else 's'}")
        for good in (True, False):
            known = [
                (places[point], value)
                for point in line.points
                if (value := of(point)) is not None and (not point.doubt) is good
            ]
            if not known:
                continue
            at = [place for place, _ in known]
            values = [value.value * scale for _, value in known]
            spread = [
                [(value.value - value.least) * scale for _, value in known],
                [(value.most - value.value) * scale for _, value in known],
            ]
            axes.errorbar(
                at,
                values,
                yerr=spread,
                marker=marker,
                color=colour,
                elinewidth=1,
                capsize=2.5,
                linestyle="-" if good else "none",
                markerfacecolor=colour if good else PAPER,
            )
            shown += [*values, *((value.least * scale) for _, value in known), *((v.most * scale) for _, v in known)]
    return shown


def _dates(axes: Axes, places: dict[Point, int], *, narrow: bool) -> None:
    labels = {place: point.label for point, place in places.items()}
    every = -(-len(labels) // (_MOST_LABELS // 2 if narrow else _MOST_LABELS))
    shown = sorted(labels)[::every]
    axes.set_xticks(shown, [labels[place] for place in shown], rotation=45, ha="right", fontsize=7)
    axes.set_xlim(-0.5, max(labels) + 0.5)


def _tables(found: Sequence[Line]) -> list[Table]:
    return [
        Table(
            line.subject,
            [
                texts("began", [f"{point.began:%Y-%m-%d %H:%M}" for point in line.points]),
                texts("run", [point.run for point in line.points]),
                texts("commit", [point.commit or tables.NOTHING for point in line.points]),
                numbers("images/s", [point.throughput.value for point in line.points]),
                numbers("least", [point.throughput.least for point in line.points]),
                numbers("most", [point.throughput.most for point in line.points]),
                numbers("p99, ms", [point.p99.value if point.p99 else None for point in line.points], scale=MS),
                texts("doubts", [point.doubt for point in line.points], "verdict"),
            ],
        )
        for line in found
    ]
