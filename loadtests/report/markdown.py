"""The report as Markdown, which is also what the console shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from loadgen.tables import Column, Table
from loadtests.report import judged
from loadtests.report.contents import Section, sections
from loadtests.results import Run
from loadtests.slo import Verdict

_SPECIAL = re.compile(r"([\\`*\[\]|])")


def render(run: Run, baseline: Run | None = None, verdict: Verdict | None = None) -> str:
    """All of it but the plots."""
    lines = [f"# Load test: {_escaped(run.name)}", "", f"{_escaped(run.url)}, {_escaped(run.began)}", ""]
    for section in sections(run, baseline=baseline, verdict=verdict):
        if not section.empty:
            lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def verdict(found: Verdict) -> str:
    """The verdict alone: each reason in a line, and what was seen of every objective."""
    notes = [*found.reasons, *(f"to note: {note}" for note in found.notes)]
    title, tables = f"Verdict: {found.outcome}", judged.checks(found)
    section = Section(key="verdict", title=title, lead=judged.summary(found), tables=tables, notes=notes)
    return "\n".join(_section(section)).rstrip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {_escaped(section.title)}", "")
    if section.lead:
        yield from (_escaped(section.lead), "")
    for table in (*section.tables, *(table for pair in section.pairs for table in pair)):
        yield from _table(table)
    if section.notes:
        yield from (*(f"- {_escaped(note)}" for note in section.notes), "")


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield from (f"### {_escaped(table.title)}", "")
    columns = [_padded(column) for column in table.columns]
    yield _line([column[0] for column in columns])
    yield _line([_rule(column, table.columns[number]) for number, column in enumerate(columns)])
    yield from (_line(row) for row in zip(*(column[1:] for column in columns), strict=True))
    yield ""


def _padded(column: Column) -> list[str]:
    """As wide as the widest, so that the text itself reads as a table."""
    cells = [_escaped(cell) for cell in (column.title, *column.cells)]
    width = max(3, *map(len, cells))
    return [cell.rjust(width) if column.kind == "number" else cell.ljust(width) for cell in cells]


def _rule(cells: Sequence[str], column: Column) -> str:
    width = len(cells[0])
    return "-" * (width - 1) + ":" if column.kind == "number" else "-" * width


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """As text on one line, whatever it holds."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", plain)
