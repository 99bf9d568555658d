"""The plots over time: the server's CPU and memory, and the runs of shapes. Their style is in `drawing`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from loadtests.results import Moment, Run, ShapePoint, ShapeRun
from topfive_loadgen.drawing import COLOURS, FAINT, canvas, latency_axis, one_legend
from topfive_loadgen.tables import MB, MS

_NONE = float("nan")
"""matplotlib draws it as a gap."""
_NARROW = 0.012
"""A share of the width. In a narrower phase its name does not fit, even upright."""


def resources(run: Run, baseline: Run | None) -> Canvas | None:
    """CPU and memory, with the phases of the run."""
    del baseline
    moments = sorted(run.moments, key=lambda moment: moment.at)
    told = [
        ("CPU, cores", [moment.cpu_cores for moment in moments], 1.0),
        ("RSS, MB", [moment.resident_bytes for moment in moments], MB),
    ]
    shown = [(title, values, scale) for title, values, scale in told if any(value is not None for value in values)]
    if not shown:
        return None
    drawn = canvas(1.2 + 1.9 * len(shown))
    panels = list(drawn.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0])
    at = [moment.at for moment in moments]
    for axes, (title, values, scale) in zip(panels, shown, strict=True):
        axes.plot(at, _gaps(values, scale), color=COLOURS["random"], linewidth=1.3)
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
        axes.set_xlim(at[0], max(at[-1], at[0] + 1))  # a single moment needs a width too
        _shade(axes, moments, named=axes is panels[0])
    panels[-1].set_xlabel("s since the run began")
    return drawn


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


def shapes(run: Run, baseline: Run | None) -> Canvas | None:
    """Workers, throughput and latency of each shape, over time."""
    del baseline
    found = [shape for shape in run.shapes if shape.points]
    if not found:
        return None
    drawn = canvas(5.6)
    grid = drawn.subplots(3, len(found), squeeze=False, sharex="col", height_ratios=(1, 1.6, 1.6))
    for number, shape in enumerate(found):
        _shape(list(grid[:, number]), shape)
    one_legend(drawn, *grid[:, 0], *grid[:, -1])
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
    throughput.set_ylabel("images/s")
    throughput.set_ylim(bottom=0)
    _failures(throughput, points)
    p50, p99 = [point.p50 for point in points], [point.p99 for point in points]
    latency.plot(at, _gaps(p50, MS), "-", color=colour, label="p50")
    latency.plot(at, _gaps(p99, MS), "--", color=colour, label="p99")
    latency_axis(latency, [value * MS for value in (*p50, *p99) if value is not None])
    latency.set_xlabel("s")


def _failures(axes: Axes, points: Sequence[ShapePoint]) -> None:
    """Mark the seconds with errors; a table has their number."""
    failed = [point for point in points if point.errors]
    if failed:
        axes.plot(
            [point.at for point in failed],
            [point.throughput for point in failed],
            "X",
            color="#c2255c",
            markersize=6,
            label="with errors",
            clip_on=False,
        )
