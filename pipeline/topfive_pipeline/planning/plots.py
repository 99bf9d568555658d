"""The plot of a plan: latency against rate of the fleet that was chosen."""

from __future__ import annotations

import math
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from topfive_pipeline.judging.plots import COLOURS, INK, MARKERS, STYLE, empty, in_powers, legend, svg
from topfive_pipeline.planning.planner import Told

CAPTIONS: Final = {
    "curve": "Simulated. The dashed line is the limit, the dotted one the planned rate; open marks are rates at which "
    "requests are refused."
}
_MS: Final = 1e3
_PERCENTS: Final = ("50", "90", "99")


def drawn(told: Told) -> dict[str, str]:
    """The plots that there is something for, as elements `<svg>`, by the keys of their sections."""
    if not told.curve:
        return {}
    with mpl.rc_context(STYLE):
        return {"curve": svg(_curve(told), name="curve")}


def _curve(told: Told) -> Figure:
    figure, axes = empty(3.6)
    for percent, colour, marker in zip(_PERCENTS, COLOURS[1:], MARKERS, strict=False):
        points = [(probe.rate, probe.at(percent) * _MS, probe.failed) for probe in told.curve]
        known = [(rate, latency, failed) for rate, latency, failed in points if math.isfinite(latency)]
        axes.plot([p[0] for p in known], [p[1] for p in known], color=colour, linewidth=1, label=f"p{percent}")
        for style, refuses in (("full", False), ("none", True)):
            some = [(rate, latency) for rate, latency, failed in known if bool(failed) == refuses]
            axes.plot(
                [p[0] for p in some], [p[1] for p in some], marker, color=colour, fillstyle=style, linestyle="none"
            )
    for limit in told.demand.objective.limits:
        axes.axhline(limit.seconds * _MS, color=INK, linestyle="--", linewidth=1)
    axes.axvline(told.demand.rate, color=INK, linestyle=":", linewidth=1)
    in_powers(axes)
    axes.set_xlim(left=0)
    axes.set_xlabel("images a second")
    axes.set_ylabel("latency, ms")
    legend(figure, axes)
    return figure
