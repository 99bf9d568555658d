"""The plots of the loads: latencies by workers with the lines of objectives, and memory over time."""

from __future__ import annotations

from typing import Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from topfive_pipeline.gating.findings import Plot
from topfive_pipeline.gating.load_cells import pooled
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import ROLES, Measured, Role
from topfive_pipeline.judging.plots import COLOURS, INK, STYLE, empty, in_powers, svg
from topfive_pipeline.under_load.mixes import Mix

_MS: Final = 1e3
_MB: Final = 1e6
_COLOURS: Final[dict[Role, str]] = {"candidate": COLOURS[2], "live": COLOURS[1]}
_MARKERS: Final[dict[Role, str]] = {"candidate": "s", "live": "o"}
_LINES: Final[dict[int, Literal[":", "--", "-"]]] = {50: ":", 90: "--", 99: "-"}
_LIMIT: Final = "#e03131"
_WIDE: Final = 1.25
"""How far the line of an objective reaches to both sides of its workers, as a factor."""


def latency(measured: Measured, mix: Mix) -> tuple[Plot, ...]:
    """p50, p90 and p99 of both by the number of workers; nothing where nothing was answered."""
    cells = [cell for cell in measured.plan.cells if cell.mix == mix and cell.workers and _answered(measured, cell)]
    if not cells:
        return ()
    with mpl.rc_context(STYLE):
        figure, axes = empty(4.0)
        for role in ROLES:
            for percent, line in _LINES.items():
                axes.plot(
                    [cell.workers or 0 for cell in cells],
                    [_MS * pooled(measured, cell, role).percentile(percent) for cell in cells],
                    line,
                    color=_COLOURS[role],
                    marker=_MARKERS[role],
                    markersize=5,
                    linewidth=1.5,
                )
        limits = _limits(axes, measured, mix)
        _scale(axes, [cell.workers or 0 for cell in cells])
        axes.set_xlabel("workers, each with one request in flight")
        axes.set_ylabel("latency, ms (log scale)")
        _legend(figure, limits=limits)
        drawn = svg(figure, name=f"load-{mix}")
    caption = f"Latencies of closed loops, {mix} images: of the candidate (squares) and of the live version (circles)."
    return (Plot(svg=drawn, caption=caption + (" Red: objectives of p99." if limits else "")),)


def memory(measured: Measured) -> tuple[Plot, ...]:
    """The resident memory of both over the time; nothing where no server told it."""
    if not any(one.samples for one in measured.memory.values()):
        return ()
    objectives = measured.plan.objectives
    with mpl.rc_context(STYLE):
        figure, axes = empty(3.0)
        for role in ROLES:
            samples = measured.memory[role].samples
            axes.plot(
                [at for at, _ in samples],
                [size / _MB for _, size in samples],
                color=_COLOURS[role],
                marker=_MARKERS[role],
                markersize=3,
                linewidth=1.2,
                label=role,
            )
        if objectives is not None and objectives.memory is not None:
            axes.axhline(objectives.memory.max_resident_mb, color=_LIMIT, linewidth=1.2, label="objective")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds since the loads began")
        axes.set_ylabel("resident memory, MB")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        drawn = svg(figure, name="memory")
    return (Plot(svg=drawn, caption="Resident memory of each server while it was under load."),)


def _answered(measured: Measured, cell: Cell) -> bool:
    return all(pooled(measured, cell, role).latencies for role in ROLES)


def _limits(axes: Axes, measured: Measured, mix: Mix) -> bool:
    """A line for each objective of p99 at its number of workers; whether there is one."""
    objectives = measured.plan.objectives
    found = [] if objectives is None else objectives.closed
    lines = [(one.workers, one.p99_ms) for one in found if one.mix == mix and one.p99_ms and one.scenario is None]
    for workers, limit in lines:
        axes.plot([workers / _WIDE, workers * _WIDE], [limit, limit], color=_LIMIT, linewidth=2.5)
    return bool(lines)


def _scale(axes: Axes, workers: list[int]) -> None:
    """Both axes logarithmic, with plain numbers."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(workers))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    in_powers(axes)


def _legend(figure: Figure, *, limits: bool) -> None:
    """Colours for the versions, lines for the percentiles, below the axes."""
    handles = [Line2D([], [], color=_COLOURS[role], marker=_MARKERS[role], label=role) for role in ROLES]
    handles += [Line2D([], [], color=INK, linestyle=line, label=f"p{percent}") for percent, line in _LINES.items()]
    if limits:
        handles.append(Line2D([], [], color=_LIMIT, linewidth=2.5, label="p99 at most"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
