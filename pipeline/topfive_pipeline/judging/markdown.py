"""Sections as Markdown: the tables, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from topfive_pipeline.judging.tables import Section, Table

_SPECIAL: Final = re.compile(r"([\\`*_\[\]|<])")


def document(title: str, said: str, found: Sequence[Section]) -> str:
    """Sections below `title` and what is `said` first."""
    lines = [f"# {title}", "", escaped(said), ""]
    for section in found:
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """The text on one line, with Markdown's own characters escaped."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {escaped(section.title)}", "")
    if section.lead:
        yield from (escaped(section.lead), "")
    for table in section.tables:
        yield from (*_table(table), "")
    if section.notes:
        yield from (*(f"- {escaped(note)}" for note in section.notes), "")


def _table(table: Table) -> Iterator[str]:
    yield _row(table.columns)
    yield "|---|" + "---:|" * (len(table.columns) - 1)
    yield from (_row(row) for row in table.rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"
