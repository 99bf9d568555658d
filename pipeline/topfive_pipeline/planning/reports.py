"""Writes a plan into a folder: JSON, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from topfive_pipeline.judging import documents
from topfive_pipeline.judging.documents import Document
from topfive_pipeline.planning.contents import Prices, sections, summary, to_dict
from topfive_pipeline.planning.planner import Told


def write(told: Told, prices: Prices, folder: Path) -> list[Path]:
    """Write plan.json, report.md and report.html into `folder`, which is made if need be; their paths."""
    from topfive_pipeline.planning import plots  # needs matplotlib

    document = Document(
        title="A fleet planned",
        said=summary(told),
        sections=sections(told, prices),
        plots=plots.drawn(told),
        captions=plots.CAPTIONS,
    )
    return documents.write(folder, "plan", to_dict(told, prices), document)
