"""Writes a judgement into a folder: JSON, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import markdown
from topfive_pipeline.judging.judge import Judgement


def check_can_draw() -> None:
    """Raise `ConfigurationError` unless plots can be drawn: before anything is measured, for that takes minutes."""
    if find_spec("matplotlib") is None:
        raise ConfigurationError("--report needs the extra `optimise`: pip install 'topfive[optimise]'")


def write(judgement: Judgement, folder: Path) -> list[Path]:
    """Write judgement.json, report.md and report.html into `folder`, which is made if need be; their paths."""
    from topfive_pipeline.judging import page  # needs matplotlib

    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored, text, shown = (folder / name for name in ("judgement.json", "report.md", "report.html"))
        stored.write_text(json.dumps(judgement.as_json(), indent=2) + "\n", encoding="utf-8")
        text.write_text(markdown.render(judgement), encoding="utf-8")
        shown.write_text(page.render(judgement), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--report {folder}: cannot be written ({error.strerror or error})") from error
    return [stored, text, shown]
