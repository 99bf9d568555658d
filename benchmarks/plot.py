"""Draws the results of `overhead`: throughput and CPU efficiency against the bare limit, and latency."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter, StrMethodFormatter

from benchmarks.figures import BARE_LATENCY, EFFICIENCY, TARGETS, THROUGHPUT, Figure
from benchmarks.workloads import JPEG, MIXED, RAW224
from topfive_loadgen.drawing import INK, SEQUENCE, STYLE

NAMES = {RAW224: "raw 224 × 224", MIXED: "raw, mixed sizes", JPEG: "JPEG files"}
COLOURS = dict(zip(NAMES, SEQUENCE, strict=False))
MARK: dict[str, Any] = {"marker": "_", "s": 400, "linewidths": 3, "alpha": 0.4}


def draw(measured: Mapping[Figure, float], path: Path) -> None:
    """Write the picture to `path`, in the format given by its suffix."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(13, 4.4), layout="constrained")
        throughput, efficiency, latency = canvas.subplots(1, 3)
        throughput.set_title("Throughput of the bare loop's best")
        _ratio(throughput, measured, name=THROUGHPUT)
        efficiency.set_title("CPU per image: bare ÷ service")
        _ratio(efficiency, measured, name=EFFICIENCY)
        latency.set_title("Latency, ms: p50, shade to p99, dots: bare")
        _latency(latency, measured)
        canvas.legend(*throughput.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        canvas.savefig(path, dpi=150)


def _ratio(axes: Axes, measured: Mapping[Figure, float], *, name: str) -> None:
    wanted = {target.figure: target.limit for target in TARGETS}
    for scenario, colour in COLOURS.items():
        reached, limits = (_points(values, name, scenario=scenario) for values in (measured, wanted))
        axes.plot([*reached], [*reached.values()], "o-", color=colour, label=NAMES[scenario])
        axes.scatter([*limits], [*limits.values()], color=colour, **MARK)
    axes.scatter([], [], color=INK, label="target", **MARK)
    axes.axhline(1, color=INK, linewidth=1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _connections(axes, measured)


def _latency(axes: Axes, measured: Mapping[Figure, float]) -> None:
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for scenario, colour in COLOURS.items():
        p50, p99, bare = (_points(measured, name, scenario=scenario) for name in ("p50", "p99", BARE_LATENCY))
        axes.plot([*p50], [*p50.values()], "o-", color=colour)
        axes.fill_between([*p50], [*p50.values()], [*p99.values()], color=colour, alpha=0.13, linewidth=0)
        axes.plot([*bare], [*bare.values()], ":", color=colour, linewidth=1.5)
    _connections(axes, measured)


def _connections(axes: Axes, measured: Mapping[Figure, float]) -> None:
    counts = {count for scenario in COLOURS for count in _points(measured, "p50", scenario=scenario)}
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted(counts)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("connections")


def _points(measured: Mapping[Figure, float], name: str, *, scenario: str) -> dict[int, float]:
    """The values of a figure by number of connections."""
    points = {figure.setting: value for figure, value in measured.items() if figure[:2] == (name, scenario)}
    return {count: points[count] for count in sorted(count for count in points if isinstance(count, int))}
