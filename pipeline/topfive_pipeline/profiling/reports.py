"""Writes a profile into a folder: JSON, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import markdown
from topfive_pipeline.profiling.contents import TITLE, sections
from topfive_pipeline.profiling.profile import Profile


def write(told: Profile, folder: Path) -> list[Path]:
    """Write profile.json, profile.md and profile.html into `folder`, which is made if need be; their paths."""
    from topfive_pipeline.judging import page  # needs matplotlib, as do the plots
    from topfive_pipeline.profiling import plots

    found = sections(told)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored, text, shown = (folder / f"profile.{ending}" for ending in ("json", "md", "html"))
        stored.write_text(json.dumps(told.to_dict(), indent=2) + "\n", encoding="utf-8")
        text.write_text(markdown.document(TITLE, told.summary, found), encoding="utf-8")
        whole = page.document(TITLE, told.summary, found, plots=plots.drawn(told), captions=plots.CAPTIONS)
        shown.write_text(whole, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--report {folder}: cannot be written ({error.strerror or error})") from error
    return [stored, text, shown]
