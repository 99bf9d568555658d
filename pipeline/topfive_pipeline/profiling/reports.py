"""Writes a profile into a folder: JSON, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from topfive_pipeline.judging.documents import Document, as_json, write_texts
from topfive_pipeline.profiling.contents import TITLE, sections
from topfive_pipeline.profiling.profile import Profile


def write(told: Profile, folder: Path) -> list[Path]:
    """Write profile.json, profile.md and profile.html into `folder`, which is made if need be; their paths."""
    from topfive_pipeline.profiling import plots  # needs matplotlib

    document = Document(
        title=TITLE,
        said=told.summary,
        sections=sections(told),
        plots=plots.drawn(told),
        captions=plots.CAPTIONS,
    )
    return write_texts(
        folder,
        {
            "profile.json": as_json(told.to_dict()),
            "profile.md": document.as_markdown(),
            "profile.html": document.as_html(),
        },
    )
