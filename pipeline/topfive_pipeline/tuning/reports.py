"""Writes what a tuning found into a folder: JSON, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from topfive_pipeline.judging import documents
from topfive_pipeline.judging.documents import Document
from topfive_pipeline.tuning.contents import sections, summary
from topfive_pipeline.tuning.tuned import Tuned


def write(told: Tuned, folder: Path) -> list[Path]:
    """Write tuning.json, report.md and report.html into `folder`, which is made if need be; their paths."""
    from topfive_pipeline.tuning import plots  # needs matplotlib

    document = Document(
        title="A model tuned",
        said=summary(told),
        sections=sections(told),
        plots=plots.drawn(told),
        captions=plots.CAPTIONS,
    )
    return documents.write(folder, "tuning", told.to_dict(), document)
