"""The style of plots, and their rendering as SVG. What is plotted is in `plots` and `timelines`.

Letters are drawn as paths, so a plot looks the same in every browser and in print; a font of another width would make
labels overlap. The tables beside the plots hold all figures as text, so a search finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

COLOURS: Final = {"random": "#0b7285", "complex": "#e8590c"}
INK, FAINT, MIDDLE = "#495057", "#dee2e6", "#868e96"
PAPER, WANTED, ALARM = "#ffffff", "#9c36b5", "#c2255c"
SEQUENCE: Final = ("#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#1c7ed6", "#5c940d", "#862e9c")
_DASHES: Final = ((6, 1, 1, 1, 1, 1), (1, 1), (8, 3), (4, 1, 1, 1))
LINES: Final[tuple[Any, ...]] = ("-", "--", "-.", ":", *((0, dashes) for dashes in _DASHES))
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES: Final = ("", "///", "...", "xx", "\\\\\\", "++", "oo", "--")
WIDTH: Final = 10.0
STYLE: Final[dict[Any, Any]] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), FAINT),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    **dict(zip(("axes.titlelocation", "axes.titleweight", "axes.titlesize"), ("left", "bold", 11), strict=True)),
    **dict(zip(("lines.linewidth", "lines.markersize"), (1.8, 5), strict=True)),
    **dict.fromkeys(("axes.labelsize", "legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 9),
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "text.parse_math": False,  # a "$" in a name is a dollar
    "svg.fonttype": "path",
    "svg.hashsalt": "topfive",  # otherwise names within the file are random
    "hatch.linewidth": 0.6,
    "hatch.color": "white",
}
_NO_METADATA: Final = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_COLOUR: Final = re.compile(r"(\b(?:fill|stroke): )#([0-9a-f]{6})")
_ATTRIBUTE: Final = re.compile(r'(?<= )fill="#([0-9a-f]{6})"')  # of hatches; only in a style can it be a variable
_NAMES: Final = re.compile(r'(?<=\bid=")|(?<=url\(#)|(?<=href="#)')


def canvas(height: float, *, width: float = WIDTH) -> Canvas:
    """An empty figure, as wide as a page; in inches."""
    return Canvas(figsize=(width, height), layout="constrained")


def svg(drawn: Canvas, *, name: str, label: str = "") -> str:
    """The element `<svg>`; ids in it begin with `name`, because a page holds several plots.

    Each colour is a variable of CSS with the colour itself as its default, `var(--plot-0b7285, #0b7285)`: a page may
    set others for a dark ground. `label`: the name for who does not see it.
    """
    file = StringIO()
    with mpl.rc_context(STYLE):
        drawn.savefig(file, format="svg", metadata=_NO_METADATA, transparent=True)
    text = file.getvalue()
    text = _NAMES.sub(f"{name}-", text[text.index("<svg") :])
    text = _ATTRIBUTE.sub(r'style="fill: #\1"', text)
    text = _COLOUR.sub(r"\1var(--plot-\2, #\2)", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label or name}" ', 1)


def milliseconds(axis: Axis) -> None:
    """Make the axis logarithmic, in ms, with plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def latency_axis(axes: Axes, shown: Iterable[float]) -> None:
    """Make the y axis one of latencies in ms, from just below the least to just above the most."""
    axes.set_yscale("log")
    known = [value for value in shown if value > 0]
    if known:
        axes.set_ylim(min(known) / 1.6, max(known) * 1.6)
    milliseconds(axes.yaxis)
    axes.set_ylabel("latency, ms")


def named(axes: Axes, line: Any, label: str, *, color: str = INK) -> None:
    """Add a line in a neutral colour to the legend; it stands for a line style in all panels."""
    if isinstance(line, tuple):
        axes.plot([], [], linestyle=line, color=color, label=label)
    else:
        axes.plot([], [], line, color=color, label=label)


def one_legend(drawn: Canvas, *axes: Axes, columns: int = 6) -> None:
    """Draw one legend below all panels, with each label once."""
    labels = {label: handle for each in axes for handle, label in zip(*each.get_legend_handles_labels(), strict=True)}
    if labels:
        drawn.legend([*labels.values()], [*labels], loc="outside lower center", ncols=min(columns, len(labels)))
