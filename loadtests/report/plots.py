"""The plots of closed and open loops. Their style is in `drawing`, plots over time in `timelines`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from loadtests.report import wanted
from loadtests.report.measured import cells_of, probes_of, workers_in_words
from loadtests.report.scene import Scene
from loadtests.results import MIXES, Cell, Mix, OpenRun, Run
from topfive_loadgen.drawing import (
    COLOURS,
    HATCHES,
    INK,
    LINES,
    MARKERS,
    MIDDLE,
    PAPER,
    SEQUENCE,
    latency_axis,
    named,
    one_legend,
)
from topfive_loadgen.percentiles import Latencies
from topfive_loadgen.tables import MS

STAGES = ("queue", "decode", "resize", "inference")
_FAR = 10
_NINES = (50, 90, 99, 99.9, 99.99)


def throughput(scene: Scene) -> Canvas | None:
    """Latency against throughput, a panel for each mix; the objectives are ticks across the points they are for."""
    run, baseline = scene.run, scene.baseline
    mixes = [mix for mix in MIXES if any(cell.latency for cell in cells_of(run, mix))]
    if not mixes:
        return None
    drawn, panels = scene.panels(len(mixes), height=3.9)
    for mix, axes in zip(mixes, panels, strict=True):
        shown = _closed_curve(axes, cells_of(run, mix), colour=COLOURS[mix], alpha=1.0, whose="")
        if baseline:
            shown += _closed_curve(axes, cells_of(baseline, mix), colour=MIDDLE, alpha=0.9, whose="baseline’s ")
        opened = [each for each in run.open if each.mix == mix and each.valid and each.latency]
        shown += _points(axes, opened)
        shown += wanted.closed(axes, scene, mix)
        shown += _floor(axes, run, least=min(shown))
        axes.set_title(f"{mix} queries")
        axes.set_xlabel("right answers, images/s")
        axes.set_xlim(left=0)
        latency_axis(axes, shown)
    one_legend(drawn, *panels, columns=scene.columns(4))
    return drawn


def _closed_curve(axes: Axes, cells: Sequence[Cell], *, colour: str, alpha: float, whose: str) -> list[float]:
    measured = [(cell, cell.latency) for cell in cells if cell.latency]
    across = [cell.throughput for cell, _ in measured]
    style: dict[str, Any] = {"color": colour, "alpha": alpha, "linewidth": 1.2 if whose else 1.8}
    p50, p99 = [each.p50 * MS for _, each in measured], [each.p99 * MS for _, each in measured]
    for name, line, values in (("p50", "o-", p50), ("p99", "s--", p99)):
        axes.plot(across, values, line, label=f"{whose}{name}" if whose else "", **style)
        if not whose:
            named(axes, line, name)
    unsettled = [(cell.throughput, each) for cell, each in measured if not cell.settled]
    for percentile, marker in (("p50", "o"), ("p99", "s")):
        hollow = [getattr(each, percentile) * MS for _, each in unsettled]
        axes.plot([x for x, _ in unsettled], hollow, marker, color=colour, markerfacecolor=PAPER)
    if not whose:
        for cell, each in measured:
            place = (cell.throughput, each.p99 * MS)
            axes.annotate(str(cell.workers), place, xytext=(0, 5), textcoords="offset points", ha="center", fontsize=8)
    return p50 + p99


def _points(axes: Axes, opened: Sequence[OpenRun]) -> list[float]:
    rows = [(each.throughput, each.latency) for each in opened if each.latency]
    if not rows:
        return []
    across, p50, p99 = zip(*((x, each.p50 * MS, each.p99 * MS) for x, each in rows), strict=True)
    axes.plot(across, p50, "^", color=INK, markerfacecolor=PAPER, label="open loop p50")
    axes.plot(across, p99, "^", color=INK, label="open loop p99")
    return [*p50, *p99]


def _floor(axes: Axes, run: Run, *, least: float) -> list[float]:
    """Draw the generators' own latency as a line; as text if a line would compress the other lines."""
    if run.null is None or run.null.floor is None or run.null.floor.latency is None:
        return []
    floor = run.null.floor.latency.p50 * MS
    if floor < least / _FAR:
        text = f"null backend’s floor: p50 {floor:.2g} ms, far below"
        axes.annotate(text, (0.01, 0.02), xycoords="axes fraction", fontsize=8)
        return []
    axes.axhline(floor, color=MIDDLE, linestyle=":", linewidth=1.5, label="null backend’s floor")
    return [floor]


def distributions(scene: Scene) -> Canvas | None:
    """Percentiles on an axis of nines, as HdrHistogram draws them. No baseline: there would be too many lines."""
    run = scene.run
    mixes = [mix for mix in MIXES if any(cell.latency for cell in cells_of(run, mix))]
    if not mixes:
        return None
    drawn, panels = scene.panels(len(mixes), height=3.9)
    for mix, axes in zip(mixes, panels, strict=True):
        measured = [(cell.workers, cell.latency) for cell in cells_of(run, mix) if cell.latency]
        for number, (workers, latency) in enumerate(measured):
            _distribution(axes, latency, number=number, label=workers_in_words(workers))
        axes.set_title(f"{mix} queries")
        axes.set_xscale("log")
        axes.set_xlim(1, max(1000.0, *(_nines(latency)[-1] for _, latency in measured)) * 1.1)
        axes.xaxis.set_major_locator(FixedLocator([100 / (100 - nine) for nine in _NINES]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 - 100 / x:.4g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("percentile of right answers, %")
        shown = [value * MS for _, latency in measured for _, value in _curve(latency)]
        shown += wanted.percentiles(
            axes, scene, mix, colours=dict(zip([w for w, _ in measured], SEQUENCE, strict=False))
        )
        latency_axis(axes, shown)
    one_legend(drawn, *panels, columns=scene.columns(6))
    return drawn


def _curve(latency: Latencies) -> list[tuple[float, float]]:
    """The points of the curve without 100 %, which has no place on an axis of nines."""
    return [point for point in latency.curve if point[0] < 100] or [(0.0, latency.p50)]


def _nines(latency: Latencies) -> list[float]:
    return [100 / (100 - percent) for percent, _ in _curve(latency)]


def _distribution(axes: Axes, latency: Latencies, *, number: int, label: str) -> None:
    values = [value * MS for _, value in _curve(latency)]
    colour, line = SEQUENCE[number % len(SEQUENCE)], LINES[number % len(LINES)]
    axes.plot(_nines(latency), values, linestyle=line, color=colour, label=label)
    axes.plot(_nines(latency)[-1:], values[-1:], MARKERS[number % len(MARKERS)], color=colour)


def stages(scene: Scene) -> Canvas | None:
    """Stacked bars: the stages of a request's time in the server."""
    run = scene.run
    told = {mix: [cell for cell in cells_of(run, mix) if cell.server and cell.server.stages] for mix in MIXES}
    mixes = [mix for mix, cells in told.items() if cells]
    if not mixes:
        return None
    drawn, panels = scene.panels(len(mixes), height=3.2)
    known = {name for cells in told.values() for cell in cells if cell.server for name in cell.server.stages}
    names = [*(name for name in STAGES if name in known), *sorted(known.difference(STAGES))]
    for mix, axes in zip(mixes, panels, strict=True):
        _stack(axes, told[mix], names)
        axes.set_title(f"{mix} queries")
        axes.set_xlabel("workers")
        axes.set_ylabel("mean time, ms")
        axes.grid(visible=False, axis="x")
    one_legend(drawn, *panels, columns=scene.columns(6))
    return drawn


def _stack(axes: Axes, cells: Sequence[Cell], names: Sequence[str]) -> None:
    bottom = [0.0] * len(cells)
    places = [str(cell.workers) for cell in cells]
    for number, name in enumerate(names):
        heights = [(cell.server.stages.get(name) or 0) * MS if cell.server else 0 for cell in cells]
        colour, hatch = SEQUENCE[number % len(SEQUENCE)], HATCHES[number % len(HATCHES)]
        axes.bar(places, heights, 0.62, bottom=bottom, color=colour, hatch=hatch, label=name, edgecolor=PAPER)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]


def knee(scene: Scene) -> Canvas | None:
    """Latency against the offered rate, for all open loops and probes."""
    run = scene.run
    tried: dict[Mix, list[OpenRun]] = {mix: _tried(run, mix) for mix in MIXES}
    mixes = [mix for mix, runs in tried.items() if runs]
    if not mixes:
        return None
    drawn, panels = scene.panels(len(mixes), height=3.9)
    for mix, axes in zip(mixes, panels, strict=True):
        shown: list[float] = []
        style: dict[str, Any] = {"color": COLOURS[mix]}
        for name, line, of in _PERCENTILES:
            shown += _rates(axes, tried[mix], of, label=name, line=line, **style)
        shown += wanted.open_loops(axes, scene, mix)
        axes.set_title(f"{mix} queries")
        axes.set_xlabel("offered, requests/s")
        axes.set_xlim(left=0)
        latency_axis(axes, shown)
    one_legend(drawn, *panels, columns=scene.columns(6))
    return drawn


_PERCENTILES: tuple[tuple[str, str, Callable[[Latencies], float]], ...] = (
    ("p50", "o-", lambda latency: latency.p50),
    ("p99", "s--", lambda latency: latency.p99),
)


def _tried(run: Run, mix: Mix) -> list[OpenRun]:
    runs = [each for each in (*run.open, *probes_of(run)) if each.mix == mix and each.latency]
    return sorted(runs, key=lambda each: each.rate)


def _rates(
    axes: Axes, runs: Sequence[OpenRun], of: Callable[[Latencies], float], *, label: str, line: str, color: str
) -> list[float]:
    """Draw VALID runs as a line, and INVALID ones as single hollow points."""
    points = [(each.rate, of(each.latency) * MS, each.valid) for each in runs if each.latency]
    valid = [(rate, value) for rate, value, good in points if good]
    invalid = [(rate, value) for rate, value, good in points if not good]
    axes.plot([x for x, _ in valid], [y for _, y in valid], line, color=color)
    named(axes, line, label)
    if invalid:
        axes.plot(
            [x for x, _ in invalid],
            [y for _, y in invalid],
            line[0],
            color=color,
            markerfacecolor=PAPER,
            label=f"{label}, INVALID",
        )
    return [value for _, value, _ in points]
