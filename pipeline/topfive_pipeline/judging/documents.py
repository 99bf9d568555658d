"""Writes what was found into a folder: JSON for programs, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import hypertext, markdown
from topfive_pipeline.judging.tables import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Sections below `title` and what is `said` first; `plots`, elements `<svg>`, and `captions` by their keys."""

    title: str
    said: str
    sections: Sequence[Section]
    plots: Mapping[str, str] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)

    def as_markdown(self) -> str:
        """All but the plots."""
        return markdown.document(self.title, self.said, self.sections)

    def as_html(self) -> str:
        """The whole page."""
        return hypertext.document(self.title, self.said, self.sections, plots=self.plots, captions=self.captions)


def check_can_draw() -> None:
    """Raise `ConfigurationError` unless plots can be drawn: before anything is measured, for that takes minutes."""
    if find_spec("matplotlib") is None:
        raise ConfigurationError("--report needs the extra `optimise`: pip install 'topfive[optimise]'")


def check_can_write(folder: Path) -> None:
    """Make `folder`; raise `ConfigurationError` unless files can be written there: before anything is measured."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(f"--report {folder}: cannot be written ({error.strerror or error})") from error


def write(folder: Path, name: str, found: Mapping[str, Any], document: Document) -> list[Path]:
    """Write `found` as NAME.json, and `document` as report.md and report.html; see `write_texts`."""
    texts = {f"{name}.json": as_json(found), "report.md": document.as_markdown(), "report.html": document.as_html()}
    return write_texts(folder, texts)


def as_json(found: Mapping[str, Any]) -> str:
    """The text of a file in JSON."""
    return json.dumps(found, indent=2) + "\n"


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write `texts`, by their names, into `folder`, which is made if need be; their paths.

    Raises `ConfigurationError` if they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--report {folder}: cannot be written ({error.strerror or error})") from error
    return [folder / name for name in texts]
