"""Renders the report as one HTML file with its style and plots; it fetches nothing and runs no script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from loadtests.report import plots, timelines
from loadtests.report.contents import sections
from loadtests.results import Run
from topfive_loadgen.drawing import STYLE, svg
from topfive_loadgen.verdict import Verdict

PLOTS: Final[Mapping[str, Callable[[Run, Run | None], Canvas | None]]] = {
    "throughput": plots.throughput,
    "distributions": plots.distributions,
    "stages": plots.stages,
    "knee": plots.knee,
    "resources": timelines.resources,
    "shapes": timelines.shapes,
}
_TONES: Final = (
    (re.compile(r"\b(INVALID|not settled|not comparable|too few)"), "unsure"),
    (re.compile(r"^(FAIL|missed)|✗|\bworse\b"), "bad"),
    (re.compile(r"^(PASS|met|VALID)|✓|\bbetter\b"), "good"),
)
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(run: Run, baseline: Run | None = None, verdict: Verdict | None = None) -> str:
    """The report as an HTML page."""
    drawn = _drawn(run, baseline)
    shown = [
        section
        for section in sections(run, baseline=baseline, verdict=verdict)
        if not section.empty or section.key in drawn
    ]
    template = _TEMPLATES.get_template("template.html")
    return template.render(run=run, baseline=baseline, sections=shown, plots=drawn, tone=tone, verdict=verdict) + "\n"


def tone(text: str) -> str:
    """The CSS class of a cell with a verdict; "" for other cells. The colour only repeats what the words say."""
    return next((name for pattern, name in _TONES if pattern.search(text)), "")


def _drawn(run: Run, baseline: Run | None) -> dict[str, Markup]:
    drawn = {}
    with mpl.rc_context(STYLE):
        for key, plot in PLOTS.items():
            picture = plot(run, baseline)
            if picture is not None:
                drawn[key] = Markup(svg(picture, name=key))  # noqa: S704  # matplotlib has escaped what it wrote
    return drawn
