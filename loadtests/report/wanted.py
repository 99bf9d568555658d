"""The lines of the objectives in the plots: what was promised, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from matplotlib.axes import Axes

from loadtests.report.measured import cells_of
from loadtests.report.scene import Scene
from loadtests.results import Mix
from topfive_loadgen.drawing import INK, WANTED, named
from topfive_loadgen.tables import MS

_DASHES: Final = (0, (4, 3))
_REACH: Final = 0.035  # half of the length of a tick, as a share of the axis


def closed(axes: Axes, scene: Scene, mix: Mix) -> list[float]:
    """Short lines across the cells that have a limit on p99, and thin upright ones for the least throughput."""
    if scene.objectives is None:
        return []
    cells = {cell.workers: cell for cell in cells_of(scene.run, mix) if cell.latency}
    widest = max((cell.throughput for cell in cells.values()), default=0.0)
    limits: list[float] = []
    least: list[float] = []
    for one in scene.objectives.closed:
        cell = cells.get(one.workers)
        if one.mix != mix or one.scenario is not None or cell is None:
            continue
        if one.p99_ms is not None:
            reach = _REACH * widest
            across = [cell.throughput - reach, cell.throughput + reach]
            axes.plot(across, [one.p99_ms] * 2, color=WANTED, linewidth=2.2, solid_capstyle="butt")
            limits.append(one.p99_ms)
        if one.min_throughput is not None:
            least.append(one.min_throughput)
    for rate in sorted(set(least)):
        axes.axvline(rate, color=WANTED, linestyle=_DASHES, linewidth=1)
    if limits:
        named(axes, "-", "objective: p99 at most", color=WANTED)
    if least:
        named(axes, _DASHES, "objective: images/s at least", color=WANTED)
    return limits


def percentiles(axes: Axes, scene: Scene, mix: Mix, *, colours: Mapping[int, str]) -> list[float]:
    """A tick at p99 for each number of workers that has a limit, in the colour of its line."""
    if scene.objectives is None:
        return []
    limits = {
        one.workers: one.p99_ms
        for one in scene.objectives.closed
        if one.mix == mix and one.scenario is None and one.p99_ms is not None and one.workers in colours
    }
    for workers, limit in limits.items():
        axes.plot([70, 140], [limit] * 2, color=colours[workers], linewidth=2.6, solid_capstyle="butt")
    if limits:
        named(axes, "-", "ticks at 99 %: objectives", color=WANTED)
    return list(limits.values())


def open_loops(axes: Axes, scene: Scene, mix: Mix) -> list[float]:
    """The limits on p99 of searches and rates, across; and the least capacity, upright."""
    limits = {capacity.p99_at_most * MS: "p99 searched for" for capacity in scene.run.capacities if capacity.mix == mix}
    if scene.objectives:
        searched = [one for one in scene.objectives.capacity if one.mix == mix]
        limits |= {one.p99_ms: f"≥ {one.min_rate:g}/s wanted" for one in searched}
        at_rates = [one for one in scene.objectives.open if one.mix == mix and one.p99_ms is not None]
        limits |= {one.p99_ms: f"wanted at {one.rate:g}/s" for one in at_rates if one.p99_ms is not None}
        for rate in sorted({one.min_rate for one in searched}):
            axes.axvline(rate, color=WANTED, linestyle=_DASHES, linewidth=1)
    for limit, why in sorted(limits.items()):
        across(axes, [limit], label=f"p99 ≤ {limit:g} ms, {why}")
    return list(limits)


def across(axes: Axes, limits: Iterable[float], *, label: str, colour: str = WANTED) -> None:
    """Dashed lines over the whole width, with their words above them."""
    for limit in limits:
        axes.axhline(limit, color=colour, linestyle=_DASHES, linewidth=1)
        place = axes.get_yaxis_transform()
        axes.annotate(label, (0.01, limit), xycoords=place, va="bottom", fontsize=8, color=INK)
