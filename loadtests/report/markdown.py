"""Renders the report as Markdown; the console shows it too."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.report import judged
from loadtests.report.contents import Section, sections
from loadtests.results import Run
from topfive_loadgen.tables import escaped, markdown
from topfive_loadgen.verdict import Verdict


def render(run: Run, baseline: Run | None = None, verdict: Verdict | None = None) -> str:
    """The whole report without plots."""
    lines = [f"# Load test: {escaped(run.name)}", "", f"{escaped(run.url)}, {escaped(run.began)}", ""]
    for section in sections(run, baseline=baseline, verdict=verdict):
        if not section.empty:
            lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def verdict(found: Verdict) -> str:
    """The verdict alone: each reason on a line, and the measured value of every objective."""
    notes = [*found.reasons, *(f"to note: {note}" for note in found.notes)]
    title, tables = f"Verdict: {found.outcome}", judged.checks(found)
    section = Section(key="verdict", title=title, lead=judged.summary(found), tables=tables, notes=notes)
    return "\n".join(_section(section)).rstrip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {escaped(section.title)}", "")
    if section.lead:
        yield from (escaped(section.lead), "")
    if section.notes and section.key == "verdict":  # what must be known before any figure is read
        yield from (*(f"- {escaped(note)}" for note in section.notes), "")
    for table in (*section.tables, *(table for pair in section.pairs for table in pair)):
        yield from (markdown(table), "")
    if section.notes and section.key != "verdict":
        yield from (*(f"- {escaped(note)}" for note in section.notes), "")
