"""Renders the report as one HTML file with its style and plots; it fetches nothing and runs no script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from loadtests.report import plots, timelines
from loadtests.report.contents import sections
from loadtests.report.scene import Scene
from loadtests.results import Run
from loadtests.slo import Objectives
from topfive_loadgen.drawing import STYLE, svg
from topfive_loadgen.verdict import Verdict

PLOTS: Final[Mapping[str, Callable[[Scene], Canvas | None]]] = {
    "throughput": plots.throughput,
    "distributions": plots.distributions,
    "stages": plots.stages,
    "knee": plots.knee,
    "resources": timelines.resources,
    "shapes": timelines.shapes,
}
_TONES: Final = (
    (re.compile(r"\b(INVALID|not settled|not comparable|too few)"), "unsure"),
    (re.compile(r"SERVER LOST|cut short"), "bad"),
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


def render(
    run: Run,
    baseline: Run | None = None,
    verdict: Verdict | None = None,
    objectives: Objectives | None = None,
) -> str:
    """The report as an HTML page."""
    drawn = _drawn(Scene(run=run, baseline=baseline, objectives=objectives))
    shown = [
        section
        for section in sections(run, baseline=baseline, verdict=verdict)
        if not section.empty or section.key in drawn
    ]
    return page("template.html", run=run, baseline=baseline, sections=shown, plots=drawn, tone=tone, verdict=verdict)


def page(template: str, **of: object) -> str:
    """A page by one of the templates beside this file."""
    return _TEMPLATES.get_template(template).render(**of) + "\n"


def tone(text: str) -> str:
    """The CSS class of a cell with a verdict; "" for other cells. The colour only repeats what the words say."""
    return next((name for pattern, name in _TONES if pattern.search(text)), "")


def both_widths(plot: Callable[[Scene], Canvas | None], scene: Scene, *, key: str) -> Markup | None:
    """A plot for a wide page and for a phone, of which the style shows one; None if there is nothing to draw."""
    drawn = []
    for is_narrow in (False, True):
        picture = plot(replace(scene, is_narrow=is_narrow))
        if picture is None:
            return None
        width = "narrow" if is_narrow else "wide"
        inner = svg(picture, name=f"{key}-{width}", label=key)
        drawn.append(f'<div class="{width}">{inner}</div>')
    return Markup("\n".join(drawn))  # noqa: S704  # matplotlib has escaped what it wrote


def _drawn(scene: Scene) -> dict[str, Markup]:
    with mpl.rc_context(STYLE):
        found = ((key, both_widths(plot, scene, key=key)) for key, plot in PLOTS.items())
        return {key: picture for key, picture in found if picture is not None}
