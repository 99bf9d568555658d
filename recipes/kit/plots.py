"""The table as a picture: how much faster and how much less right each model is, a line for each, with its spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recipes.kit.rows import Row
from topfive_pipeline.judging.plots import COLOURS, INK, STYLE

_POINTS = 100
_WIDTH, _LINE = 7.6, 0.26
"""Inches: of the picture, and of each line in it."""


def plot(rows: Sequence[Row], file: Path) -> Path | None:
    """Draw all `rows` that are compared with another model into the PNG `file`; return it, or None if none is.

    Left: times as fast in batches of 8 (a logarithmic axis), the median of the rounds and their middle half. Right: the
    difference of top-1 in points with its interval of 95 %. A colour is a recipe.
    """
    compared = [row for row in rows if row.difference is not None and row.batch_8 is not None]
    if not compared:
        return None
    recipes = list(dict.fromkeys(row.recipe for row in compared))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 1 + _LINE * len(compared)), layout="constrained", facecolor="white")
        speed, loss = figure.subplots(1, 2, sharey=True)
        for place, row in enumerate(compared):
            colour = COLOURS[1 + recipes.index(row.recipe) % (len(COLOURS) - 1)]
            _point(speed, place, row.batch_8, 1, colour)
            _point(loss, place, row.difference, _POINTS, colour)
        speed.set_yticks(range(len(compared)), [row.model for row in compared], fontsize=8)
        speed.set_ylim(len(compared) - 0.5, -0.5)
        speed.set_xscale("log", base=2)
        speed.xaxis.set_major_formatter("{x:g}")
        speed.set_xlabel("times as fast, batch 8")
        loss.set_xlabel("top-1, points")
        speed.axvline(1, color=INK, linewidth=1)
        loss.axvline(0, color=INK, linewidth=1)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=110)
    return file


def _point(axes: Axes, place: int, values: tuple[float, float, float] | None, by: float, colour: str) -> None:
    assert values is not None
    middle, low, high = (by * value for value in values)
    spread = [[max(0.0, middle - low)], [max(0.0, high - middle)]]
    axes.errorbar([middle], [place], xerr=spread, fmt="o", color=colour, markersize=5, capsize=2.5)
