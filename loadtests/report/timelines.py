"""The plots over time: the server's CPU and memory, and the runs of shapes. Their style is in `drawing`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from loadtests.report import wanted
from loadtests.report.scene import Scene
from loadtests.results import Gap, Moment, Run, ShapePoint, ShapeRun
from topfive_loadgen.drawing import ALARM, COLOURS, FAINT, latency_axis, one_legend
from topfive_loadgen.tables import MB, MS

_NONE = float("nan")
"""matplotlib draws it as a gap."""
_BAND = 0.07
"""The height of the band for a silent health, as a share of the panel."""
_NARROW = 0.012
"""A share of the width. In a narrower phase its name does not fit, even upright."""


def resources(scene: Scene) -> Canvas | None:
    """Answers, CPU and memory over the whole run, with its phases, missed readings, and the loss of the server."""
    run = scene.run
    moments = sorted(run.moments, key=lambda moment: moment.at)
    told: list[tuple[str, list[float | None], float]] = [
        ("server CPU, cores", [moment.cpu_cores for moment in moments], 1.0),
        ("server RSS, MB", [moment.resident_bytes for moment in moments], MB),
    ]
    shown = [(title, values, scale) for title, values, scale in told if any(value is not None for value in values)]
    levels = _levels(run)
    if not shown and not (run.lost and levels):
        return None
    count = len(shown) + bool(levels)
    drawn = scene.canvas(1.2 + 1.9 * count)
    panels = list(drawn.subplots(count, 1, squeeze=False, sharex=True)[:, 0])
    first, last = _bounds(run, moments)
    for axes, (title, values, scale) in zip(panels[bool(levels) :], shown, strict=True):
        at, broken = _broken(moments, values, run.gaps)
        axes.plot(at, _gaps(broken, scale), color=COLOURS["random"], linewidth=1.3)
        axes.set_ylabel(title)
        if title.endswith("MB") and scene.objectives and scene.objectives.memory:
            limit = scene.objectives.memory.max_resident_mb
            wanted.across(axes, [limit], label=f"at most {limit:g} MB")
    if levels:
        _answers(panels[0], levels)
    for axes in panels:
        axes.set_ylim(bottom=0)
        axes.set_xlim(first, max(last, first + 1))  # a single moment needs a width too
        if moments:
            _shade(axes, moments, named=axes is panels[0])
        _missed(axes, run.gaps)
        if run.lost:
            axes.axvline(run.lost.at, color=ALARM, linewidth=1.6, label="the server was lost")
    panels[-1].set_xlabel("time since the run began, s")
    one_legend(drawn, *panels, columns=scene.columns(5))
    return drawn


def _bounds(run: Run, moments: Sequence[Moment]) -> tuple[float, float]:
    """The first and last time that is shown."""
    times = [moment.at for moment in moments] or [0.0, run.seconds]
    ends = [gap.ended for gap in run.gaps] + ([run.lost.said] if run.lost else [])
    return times[0], max([times[-1], *ends])


Level = tuple[float, float, float, float]
"""Begin and end of a stretch of load, the right answers per second in it, and the errors per second."""


def _levels(run: Run) -> list[Level]:
    """The windows of closed loops and the open loops, in their order."""
    found: list[Level] = [
        (one.began, one.began + one.seconds, one.throughput, one.errors / one.seconds)
        for cell in run.closed
        for one in cell.windows
    ]
    for run_open in (*run.open, *(probe for capacity in run.capacities for probe in capacity.probes)):
        if run_open.began is not None:
            errors = sum(run_open.errors.values()) / run_open.seconds
            found.append((run_open.began, run_open.began + run_open.seconds, run_open.throughput, errors))
    return sorted(found)


def _answers(axes: Axes, levels: Sequence[Level]) -> None:
    at = [time for began, ended, *_ in levels for time in (began, ended, ended)]
    right = [value for *_, right, _ in levels for value in (right, right, _NONE)]
    wrong = [value for *_, wrong in levels for value in (wrong or _NONE, wrong or _NONE, _NONE)]
    axes.plot(at, right, color=COLOURS["random"], linewidth=2, solid_capstyle="butt", label="right answers")
    if any(wrong for *_, wrong in levels):
        axes.plot(at, wrong, color=ALARM, linewidth=2, linestyle=(0, (2, 1)), label="errors")
    axes.set_ylabel("requests/s")


def _broken(
    moments: Sequence[Moment], values: Sequence[float | None], gaps: Sequence[Gap]
) -> tuple[list[float], list[float | None]]:
    """The values over time, with nothing where readings were missed, so that no line goes across."""
    pairs = [(moment.at, value) for moment, value in zip(moments, values, strict=True)]
    pairs += [((gap.began + gap.ended) / 2, None) for gap in gaps if gap.of == "metrics"]
    pairs.sort(key=lambda pair: pair[0])
    return [at for at, _ in pairs], [value for _, value in pairs]


def _missed(axes: Axes, gaps: Sequence[Gap]) -> None:
    """Shade the times in which the server did not tell its metrics, or its health."""
    words = {"metrics": "/metrics missed", "health": "health silent"}
    for gap in gaps:
        axes.axvspan(
            gap.began,
            max(gap.ended, gap.began + 0.5),  # a refused question takes no time
            ymax=1.0 if gap.of == "metrics" else _BAND,
            color=ALARM,
            alpha=0.22 if gap.of == "metrics" else 0.7,
            linewidth=0,
            label=words[gap.of],
            zorder=0.5,
        )


def _gaps(values: Iterable[float | None], scale: float = 1.0) -> list[float]:
    return [_NONE if value is None else value * scale for value in values]


def _shade(axes: Axes, moments: Sequence[Moment], *, named: bool) -> None:
    """Shade every second phase; with `named`, write the phases' names above the panel."""
    phases = [(phase, [moment.at for moment in group]) for phase, group in groupby(moments, lambda m: m.phase)]
    ends = [times[0] for _, times in phases[1:]] + [moments[-1].at]
    whole = (moments[-1].at - moments[0].at) or 1.0
    axes.grid(visible=False, axis="x")
    for number, ((phase, times), end) in enumerate(zip(phases, ends, strict=True)):
        if number % 2:
            axes.axvspan(times[0], end, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
        if named and phase and (end - times[0]) / whole >= _NARROW:
            axes.annotate(
                phase,
                ((times[0] + end) / 2, 1.03),
                xycoords=axes.get_xaxis_transform(),
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=7.5,
            )


def shapes(scene: Scene) -> Canvas | None:
    """Workers, throughput and latency of each shape, over time."""
    found = [shape for shape in scene.run.shapes if shape.points]
    if not found:
        return None
    drawn = scene.canvas(5.6)
    grid = drawn.subplots(3, len(found), squeeze=False, sharex="col", height_ratios=(1, 1.6, 1.6))
    for number, shape in enumerate(found):
        _shape(list(grid[:, number]), shape)
    one_legend(drawn, *grid[:, 0], *grid[:, -1], columns=scene.columns(6))
    return drawn


def _shape(panels: Sequence[Axes], shape: ShapeRun) -> None:
    workers, throughput, latency = panels
    points, colour = shape.points, COLOURS[shape.mix]
    at = [point.at for point in points]
    workers.step(at, [point.users for point in points], where="post", color=colour)
    workers.set_title(f"{shape.shape}, {shape.mix} queries")
    workers.set_ylabel("workers")
    workers.set_ylim(bottom=0)
    throughput.plot(at, [point.throughput for point in points], color=colour)
    throughput.set_ylabel("right, images/s")
    throughput.set_ylim(bottom=0)
    _failures(throughput, points)
    p50, p99 = [point.p50 for point in points], [point.p99 for point in points]
    latency.plot(at, _gaps(p50, MS), "-", color=colour, label="p50")
    latency.plot(at, _gaps(p99, MS), "--", color=colour, label="p99")
    latency_axis(latency, [value * MS for value in (*p50, *p99) if value is not None])
    latency.set_xlabel("time, s")


def _failures(axes: Axes, points: Sequence[ShapePoint]) -> None:
    """Mark the seconds with errors; a table has their number."""
    failed = [point for point in points if point.errors]
    if failed:
        axes.plot(
            [point.at for point in failed],
            [point.throughput for point in failed],
            "X",
            color=ALARM,
            markersize=6,
            label="with errors",
            clip_on=False,
        )
