"""The plot of a tuning: latency against rate, of the candidates that came furthest."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from topfive_pipeline.judging.plots import COLOURS, INK, MARKERS, STYLE, empty, in_powers, legend, svg
from topfive_pipeline.tuning.tuned import Tried, Tuned

CAPTIONS: Final = {
    "latency": "Each mark is an open loop; the dashed line is the limit. Marks without a line through them did not "
    "hold: too slow, or too many requests were refused."
}
_BEST: Final = 4
_MS: Final = 1e3


def drawn(told: Tuned) -> dict[str, str]:
    """The plots that there is something for, as elements `<svg>`, by the keys of their sections."""
    shown = [each for each in best(told) if any(point.latency is not None for point in each.points)]
    if not told.objective.limits or not shown:
        return {}
    with mpl.rc_context(STYLE):
        return {"latency": svg(_latency(told, shown), name="latency")}


def best(told: Tuned) -> list[Tried]:
    """The configuration as it is, the chosen one, and those that held the highest rates in the most rounds."""
    first = [told.current] + ([] if told.chosen is None else [told.chosen])
    others = [each for each in told.tried if each not in first and each.points]
    others.sort(key=lambda each: (each.rounds, each.rate or 0.0), reverse=True)
    return [*first, *others][:_BEST]


def _latency(told: Tuned, shown: list[Tried]) -> Figure:
    limit = told.objective.limits[0]
    figure, axes = empty(3.6)
    for place, each in enumerate(shown):
        points = [(point.rate, point.latency * _MS, point.held) for point in each.points if point.latency is not None]
        held = sorted((rate, latency) for rate, latency, good in points if good)
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        axes.plot(*_split(held), marker, color=colour, linestyle="-", linewidth=1, label=each.setting.title)
        missed = [(rate, latency) for rate, latency, good in points if not good]
        axes.plot(*_split(missed), marker, color=colour, fillstyle="none", linestyle="none")
    axes.axhline(limit.seconds * _MS, color=INK, linestyle="--", linewidth=1)
    in_powers(axes)
    axes.set_xlim(left=0)
    axes.set_xlabel("requests a second")
    axes.set_ylabel(f"p{limit.percent}, ms")
    legend(figure, axes)
    return figure


def _split(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [rate for rate, _ in points], [latency for _, latency in points]
