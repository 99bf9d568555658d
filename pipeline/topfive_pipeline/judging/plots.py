"""The plots of a judgement as SVG: speed against loss, accuracy with its intervals, and speed by batch size.

Letters are drawn as paths, so a plot looks the same everywhere; the tables beside it hold all figures as text. Ink and
lines are drawn in stand-ins that become variables of the page's style, so they follow its dark mode.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from topfive_pipeline.judging.accuracy import POINTS
from topfive_pipeline.judging.judge import Judgement
from topfive_pipeline.judging.results import short_names
from topfive_pipeline.judging.speed import ALONE, Spread

COLOURS: Final = ("#868e96", "#1098ad", "#f76707", "#7950f2", "#37b24d", "#e64980", "#4dabf7", "#94d82d")
"""Of the models, the first is the reference; each stands out from white and from black."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
INK, _LINE, _PAPER = "#495057", "#dee2e6", "#fefefe"
_STYLED: Final = {INK: "var(--soft)", _LINE: "var(--line)", _PAPER: "var(--paper)"}
STYLE: Final[dict[Any, Any]] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), _LINE),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "text.parse_math": False,  # a "$" in a name is a dollar
    "svg.fonttype": "path",
    "svg.hashsalt": "topfive",  # otherwise names within the file are random
}
_NO_METADATA: Final = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_NAMES: Final = re.compile(r'(?<=\bid=")|(?<=url\(#)|(?<=href="#)')
_WIDTH: Final = 5.6
"""Inches: so narrow that the letters can still be read on a phone."""


def drawn(judgement: Judgement) -> dict[str, str]:
    """The plots that there is something for, as elements `<svg>`, by the keys of their sections."""
    found = {}
    with mpl.rc_context(STYLE):
        for key, draw in _PLOTS.items():
            figure = draw(judgement)
            if figure is not None:
                found[key] = svg(figure, name=key)
    return found


def _speed_against_loss(judgement: Judgement) -> Figure | None:
    """Each model's speed at its best batch size, against its difference in top-1."""
    models = [model for model in judgement.models if model.fastest is not None]
    if len(models) < 2:
        return None
    figure, axes = empty(3.6)
    _, names = short_names(judgement.models)
    for place, model in enumerate(judgement.models):
        assert model.fastest is not None
        ratio, difference = model.fastest.ratio, model.difference
        points = 0.0 if difference is None else difference.top_1 * POINTS
        low, high = (
            (0.0, 0.0) if difference is None else (difference.interval.low * POINTS, difference.interval.high * POINTS)
        )
        axes.errorbar(
            [ratio.median],
            [points],
            xerr=_bars(ratio),
            yerr=[[max(0.0, points - low)], [max(0.0, high - points)]],
            **_mark(place),
            label=names[place],
        )
    if judgement.limits.loss is not None:
        axes.axhline(-judgement.limits.loss, color=INK, linestyle="--", linewidth=1)
        place_of_words = (0.01, -judgement.limits.loss)
        axes.annotate(
            f"{judgement.limits.loss:g} points allowed",
            place_of_words,
            xycoords=("axes fraction", "data"),
            xytext=(0, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
        )
    axes.set_xlabel(f"times as fast as {names[0]}")
    axes.set_ylabel("top-1, points")
    axes.set_xlim(left=0)
    legend(figure, axes)
    return figure


def _accuracies(judgement: Judgement) -> Figure:
    """Top-1 of each model with its interval, a line for each."""
    figure, axes = empty(0.9 + 0.35 * len(judgement.models))
    for place, model in enumerate(judgement.models):
        found = model.accuracy.top_1
        share = found.share * POINTS
        low, high = found.interval.low * POINTS, found.interval.high * POINTS
        axes.errorbar([share], [-place], xerr=[[max(0.0, share - low)], [max(0.0, high - share)]], **_mark(place))
    axes.yaxis.set_major_locator(FixedLocator([-place for place in range(len(judgement.models))]))
    axes.yaxis.set_major_formatter(_words(short_names(judgement.models)[1]))
    axes.set_ylim(-len(judgement.models) + 0.5, 0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("top-1, %")
    return figure


def _speeds(judgement: Judgement) -> Figure | None:
    """Ratios by case, a bar for each model but the first."""
    compared = list(enumerate(judgement.models))[1:]
    if not compared or not judgement.models[0].paces:
        return None
    figure, axes = empty(3.2)
    _, names = short_names(judgement.models)
    cases = [pace.case.removeprefix("batch ") for pace in judgement.models[0].paces]
    width = 0.8 / len(compared)
    for number, (place, model) in enumerate(compared):
        across = np.arange(len(cases)) + (number - (len(compared) - 1) / 2) * width
        ratios = [pace.ratio for pace in model.paces]
        spreads = np.hstack([_bars(ratio) for ratio in ratios])
        axes.bar(
            across,
            [ratio.median for ratio in ratios],
            width * 0.9,
            yerr=spreads,
            color=COLOURS[place % len(COLOURS)],
            ecolor=INK,
            capsize=2,
            label=names[place],
        )
    axes.axhline(1, color=INK, linewidth=1)
    axes.xaxis.set_major_locator(FixedLocator(list(range(len(cases)))))
    axes.xaxis.set_major_formatter(_words(cases))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("images in a batch" if cases[0] != ALONE else "one image alone, or images in a batch")
    axes.set_ylabel(f"times as fast as {names[0]}", fontsize=8)
    legend(figure, axes)
    return figure


_PLOTS: Final[Mapping[str, Callable[[Judgement], Figure | None]]] = {
    "accuracy": _accuracies,
    "difference": _speed_against_loss,
    "speed": _speeds,
}


def empty(height: float) -> tuple[Figure, Axes]:
    """A figure of that height, in inches, with empty axes."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _mark(place: int) -> dict[str, Any]:
    colour = COLOURS[place % len(COLOURS)]
    return {"fmt": MARKERS[place % len(MARKERS)], "color": colour, "markersize": 7, "capsize": 3, "linewidth": 1.6}


def _bars(spread: Spread) -> Any:
    """FP64 [2, 1]: from the median down and up."""
    return np.array([[spread.median - spread.low], [spread.high - spread.median]])


def _words(words: Sequence[str]) -> FuncFormatter:
    """The first of `words` at 0, and so on, in whichever direction the axis goes."""
    return FuncFormatter(lambda value, _: words[round(abs(value))])


def in_powers(axes: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers at 1, 2 and 5 of each power of ten."""
    axes.set_yscale("log")
    axis = axes.yaxis
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if math.isfinite(value) else ""))
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, two names beside each other."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)


def svg(figure: Figure, *, name: str) -> str:
    """The element `<svg>`; ids in it begin with `name`, for a page holds several plots."""
    file = StringIO()
    figure.savefig(file, format="svg", metadata=_NO_METADATA, transparent=True)
    text = file.getvalue()
    text = _NAMES.sub(f"{name}-", text[text.index("<svg") :])
    for stand_in, styled in _STYLED.items():
        text = text.replace(stand_in, styled)
    return text.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
