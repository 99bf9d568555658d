"""Writes what a tuning found into a folder: JSON, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import markdown
from topfive_pipeline.tuning.contents import sections, summary
from topfive_pipeline.tuning.tuned import Tuned

TITLE: Final = "A model tuned"


def write(told: Tuned, folder: Path) -> list[Path]:
    """Write tuning.json, report.md and report.html into `folder`, which is made if need be; their paths."""
    from topfive_pipeline.judging import page  # needs matplotlib, as do the plots
    from topfive_pipeline.tuning import plots

    found = sections(told)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored, text, shown = (folder / name for name in ("tuning.json", "report.md", "report.html"))
        stored.write_text(json.dumps(told.to_dict(), indent=2) + "\n", encoding="utf-8")
        text.write_text(markdown.document(TITLE, summary(told), found), encoding="utf-8")
        whole = page.document(TITLE, summary(told), found, plots=plots.drawn(told), captions=plots.CAPTIONS)
        shown.write_text(whole, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--report {folder}: cannot be written ({error.strerror or error})") from error
    return [stored, text, shown]
