"""Writes an optimisation into a folder: JSON, Markdown, and one HTML file with the curve that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from topfive_pipeline.judging import documents
from topfive_pipeline.judging.documents import Document
from topfive_pipeline.judging.tables import Section
from topfive_pipeline.optimising import plot
from topfive_pipeline.optimising.results import Optimised
from topfive_pipeline.optimising.telling import sections

_CAPTIONS: Final = {
    "curve": "Up is more faithful, to the right is faster. Beside a point: how many layers are in floating point, and "
    "the loss on the photos that compare."
}


def write(done: Optimised, document: Mapping[str, Any], folder: Path, *, model: str, budget: float) -> None:
    """Write optimisation.json (the `document`), report.md and report.html into `folder`, which is made if need be.

    `budget` in points.
    """
    drawn = {} if done.chosen is None else {"curve": plot.as_svg(done.curve, done.chosen)}
    told = Document(
        title="A model made faster",
        said=f"{model}, in eight-bit integers, on this machine",
        sections=[*sections(done, budget=budget), _end(done)],
        plots=drawn,
        captions=_CAPTIONS,
    )
    documents.write(folder, "optimisation", document, told)


def _end(done: Optimised) -> Section:
    said = f"Written as version {done.version} of {done.name}." if done.folders else "Nothing was written."
    refused = () if done.refused is None else (f"Refused: {done.refused}.",)
    return Section(key="end", title="What came of it", lead=said, notes=(*refused, *done.warnings))
