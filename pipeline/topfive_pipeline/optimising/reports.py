"""Writes an optimisation into a folder: JSON, Markdown, and one HTML file with the curve that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import markdown
from topfive_pipeline.judging.tables import Section
from topfive_pipeline.optimising import plot
from topfive_pipeline.optimising.results import Optimised
from topfive_pipeline.optimising.telling import sections

_TITLE: Final = "A model made faster"
_CAPTIONS: Final = {
    "curve": "Up is more faithful, to the right is faster. Beside a point: how many layers are in floating point, and "
    "the loss on the photos that compare."
}


def write(done: Optimised, document: Mapping[str, Any], folder: Path, *, model: str, budget: float) -> None:
    """Write optimisation.json (the `document`), report.md and report.html into `folder`, which is made if need be.

    `budget` in points.
    """
    from topfive_pipeline.judging import page  # needs matplotlib

    shown = [*sections(done, budget=budget), _end(done)]
    drawn = {} if done.chosen is None else {"curve": plot.as_svg(done.curve, done.chosen)}
    said = f"{model}, in eight-bit integers, on this machine"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "optimisation.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown.document(_TITLE, said, shown), encoding="utf-8")
        html = page.document(_TITLE, said, shown, plots=drawn, captions=_CAPTIONS)
        (folder / "report.html").write_text(html, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--report {folder}: cannot be written ({error.strerror or error})") from error


def _end(done: Optimised) -> Section:
    said = f"Written as version {done.version} of {done.name}." if done.folders else "Nothing was written."
    refused = () if done.refused is None else (f"Refused: {done.refused}.",)
    return Section(key="end", title="What came of it", lead=said, notes=(*refused, *done.warnings))
