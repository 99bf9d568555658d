"""The pictures of a profile: an average request as one bar, operators as bars, and the flame graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from topfive_pipeline.judging.plots import COLOURS, STYLE, empty, legend, svg
from topfive_pipeline.profiling import flame
from topfive_pipeline.profiling.advice import STAGE_NAMES
from topfive_pipeline.profiling.evidence import GraphTime, Spent
from topfive_pipeline.profiling.profile import Profile
from topfive_pipeline.profiling.stages import Stages

CAPTIONS: Final = {
    "stages": "The stages of an average request, one after the other.",
    "inference": "Operators of the network, milliseconds for an image.",
    "resize": "Operators of the resize graph, milliseconds for an image.",
    "flame": "The width of a box is how often its function was on the stack of its thread; what it calls is below it. "
    "Point at a box to read it.",
}
_MS: Final = 1e3
_BARS: Final = 6
_SHORT: Final = {"rest": "rest", "queue": "queue", "inference": "network", "decode": "decoding", "resize": "resizing"}
_NARROW: Final = 0.08


def drawn(told: Profile) -> dict[str, str]:
    """The pictures that there is something for, as elements `<svg>`, by the keys of their sections."""
    found = {}
    with mpl.rc_context(STYLE):
        stages = told.evidence.stages
        if stages is not None and stages.request > 0:
            found["stages"] = svg(_request(stages), name="stages")
        for graph in told.evidence.graphs:
            if graph.operators:
                found[graph.title] = svg(_operators(graph), name=graph.title)
    stacks = flame.drawn(told.stacks, label="flame graph")
    return found | ({"flame": stacks} if stacks else {})


def _request(stages: Stages) -> Figure:
    figure, axes = empty(1.5)
    left = 0.0
    for place, (stage, seconds) in enumerate(stages.seconds.items()):
        width = seconds * _MS
        axes.barh([0], [width], left=left, color=COLOURS[place], label=_SHORT[stage], height=0.6)
        if seconds > _NARROW * stages.request:
            axes.text(left + width / 2, 0, f"{width:.1f}", ha="center", va="center", fontsize=9, color="#ffffff")
        left += width
    axes.set_yticks([])
    axes.set_xlim(0, left)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"ms; {STAGE_NAMES[max(stages.seconds, key=lambda each: stages.seconds[each])]} takes longest")
    legend(figure, axes)
    return figure


def _operators(graph: GraphTime) -> Figure:
    shown = _first(graph.operators)
    figure, axes = empty(0.8 + 0.3 * len(shown))
    places = list(range(len(shown)))
    axes.barh(places, [each.milliseconds for each in shown], color=COLOURS[1], height=0.7)
    for place, each in enumerate(shown):
        axes.text(each.milliseconds, place, f" {each.share:.0%}", va="center", fontsize=9)
    axes.set_yticks(places, [each.name for each in shown])
    axes.set_xlim(0, 1.15 * max(each.milliseconds for each in shown) or 1.0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("ms for an image")
    return figure


def _first(spent: Sequence[Spent]) -> list[Spent]:
    """The dearest, and what is left in one."""
    first, others = list(spent[:_BARS]), spent[_BARS:]
    if not others:
        return first
    milliseconds, share = (sum(getattr(each, name) for each in others) for name in ("milliseconds", "share"))
    return [*first, Spent(f"{len(others)} others", milliseconds, share, sum(each.count for each in others))]
