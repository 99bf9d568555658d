"""Plots the curve of speed against loss, by Matplotlib, which the extra `optimise` brings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.optimising.curve import Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ENDINGS = (".png", ".svg", ".pdf")


def check(path: Path) -> None:
    """Raise `ConfigurationError` unless a plot can be written to `path`."""
    if path.suffix not in _ENDINGS:
        raise ConfigurationError(f"--plot {path}: the file's name must end in {', '.join(_ENDINGS)}")
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"--plot {path}: there is no such folder; make it first")
    if find_spec("matplotlib") is None:
        raise ConfigurationError("--plot needs Matplotlib: pip install 'topfive[optimise]'")


def save(points: Sequence[Point], chosen: Point, path: Path, *, title: str) -> None:
    """Write the curve to `path`: a point for each mixture, with how many layers it has in floating point."""
    figure = _drawn(points, chosen, title)
    figure.savefig(path)


def as_svg(points: Sequence[Point], chosen: Point) -> str:
    """The same as an element `<svg>` in the style of reports."""
    import matplotlib as mpl

    from topfive_pipeline.judging.plots import STYLE, svg

    with mpl.rc_context(STYLE):
        return svg(_drawn(points, chosen, ""), name="curve")


def _drawn(points: Sequence[Point], chosen: Point, title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ordered = sorted(points, key=lambda point: point.floats)
    ratios = [point.trial.pace for point in ordered]
    decibels = [point.trial.distance.sqnr for point in ordered]
    axes.plot(ratios, decibels, marker="o", color="tab:blue", label="layers in floating point")
    for point, ratio, level in zip(ordered, ratios, decibels, strict=True):
        said = f" {point.floats}" + ("" if point.loss is None else f" ({point.loss * 100:+.1f} points)")
        axes.annotate(said, (ratio, level), textcoords="offset points", xytext=(4, 4), fontsize=8)
    axes.plot(
        [chosen.trial.pace], [chosen.trial.distance.sqnr], marker="*", markersize=16, color="tab:red", label="chosen"
    )
    axes.set_xlabel("speed, times that of floating point")
    axes.set_ylabel("SQNR of the scores, dB")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    return figure
