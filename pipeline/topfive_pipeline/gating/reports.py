"""Writes a gate into a folder: JSON for programs, Markdown for reviews, JUnit for CI, and one HTML file for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from topfive_pipeline.gating import page
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.gate import Gated
from topfive_pipeline.gating.junit import as_junit
from topfive_pipeline.gating.telling import checks, compared, in_order, left_out, notes, remarks
from topfive_pipeline.judging import markdown
from topfive_pipeline.judging.documents import as_json, write_texts
from topfive_pipeline.judging.tables import Section


def write(told: Gated, folder: Path) -> list[Path]:
    """Write gate.json, gate.md, gate.html and junit.xml into `folder`, which is made if need be; their paths."""
    return write_texts(folder, texts(told))


def texts(told: Gated) -> dict[str, str]:
    """What is in these files, by their names."""
    return {
        "gate.json": as_json(told.as_json()),
        "gate.md": as_markdown(told),
        "gate.html": page.render(told),
        "junit.xml": as_junit(told),
    }


def as_markdown(told: Gated) -> str:
    """All but the plots: the sentence, what is missed or unknown, then every chapter."""
    return markdown.document(page.TITLE, told.sentence, list(_sections(told)))


def _sections(told: Gated) -> Iterator[Section]:
    missed, unknown, _ = in_order(told.findings)
    unmet = [*missed, *unknown]
    yield Section(
        key="unmet",
        title="Missed or unknown" if unmet else "All is met",
        lead=compared(told),
        tables=(checks(unmet),) if unmet else (),
        notes=tuple(filter(None, [*remarks(unmet), left_out(told)])),
    )
    yield from map(_section, told.chapters)


def _section(chapter: Chapter) -> Section:
    shown = (checks([each for part in in_order(chapter.findings) for each in part]),) if chapter.findings else ()
    return Section(
        key=chapter.key,
        title=chapter.title,
        lead=chapter.lead,
        tables=(*shown, *chapter.tables),
        notes=tuple(notes(chapter)),
    )
