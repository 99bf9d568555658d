"""The curve of speed and accuracy, drawn from the rows of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from recipes.kit.rows import Row
from topfive_pipeline.judging.plots import COLOURS, INK, STYLE

_POINTS: Final = 100
_MARKERS: Final = "os^DvPX"


def draw(rows: Sequence[Row], series: Mapping[str, Mapping[str, str]], file: Path) -> Path:
    """Write top-1 against speed at batch 8 to the picture `file`, with the intervals of both; return `file`.

    `series`: what the legend calls them, each with its models and what is written beside those; points of a series are
    joined in this order. The model that all are compared with is at 1.
    """
    by_model = {row.model: row for row in rows}
    file.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.8), layout="constrained", facecolor="white")
        axes = figure.subplots()
        for (name, models), colour, marker in zip(series.items(), COLOURS[1:], _MARKERS, strict=False):
            found = [by_model[model] for model in models]
            speeds = [row.batch_8 or (1.0, 1.0, 1.0) for row in found]
            axes.errorbar(
                [speed[0] for speed in speeds],
                [_POINTS * row.top_1[0] for row in found],
                xerr=_arms(speeds),
                yerr=[[_POINTS * arm for arm in side] for side in _arms([row.top_1 for row in found])],
                marker=marker, color=colour, label=name, capsize=2, elinewidth=1, linewidth=1.2,
            )  # fmt: skip
            for text, speed, row in zip(models.values(), speeds, found, strict=True):
                place = (speed[0], _POINTS * row.top_1[0])
                axes.annotate(text, place, xytext=(5, 5), textcoords="offset points", fontsize=8, color=INK)
        axes.set_xscale("log")
        axes.set_xticks([1, 1.5, 2, 3, 4, 6, 8])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g} ×"))
        axes.set_xlabel("pictures a second in batches of 8, times those of the network that all began with")
        axes.set_ylabel("top-1, %")
        axes.legend(loc="best")
        figure.savefig(file, dpi=110)
    return file


def _arms(values: Sequence[tuple[float, float, float]]) -> list[list[float]]:
    """How far each interval reaches below and above its value."""
    return [[max(0.0, value - low) for value, low, _ in values], [max(0.0, high - value) for value, _, high in values]]
