"""Sections as one HTML file with its style and plots: it fetches nothing and runs no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Final

from topfive_pipeline.judging.tables import Section, Table

_STYLE: Final = resources.files("topfive_pipeline.judging") / "style.css"
_CODE: Final = re.compile(r"`([^`]+)`")


def document(
    title: str, said: str, found: Sequence[Section], *, plots: Mapping[str, str], captions: Mapping[str, str]
) -> str:
    """A page of sections below `title` and what is `said` first; `plots`, elements `<svg>`, by the keys of theirs."""
    body = "".join(_section(section, plots.get(section.key), captions) for section in found)
    return whole(title, said, f"<header><h1>{escape(title)}</h1><p>{words(said)}</p></header>\n{body}")


def whole(title: str, said: str, body: str, *, style: str = "") -> str:
    """A page around `body`, which is HTML; `style` beside that of all pages."""
    shared = _STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}: {escape(said)}</title>\n<style>\n{shared}{style}</style>\n</head>\n<body>\n"
        f"{body}</body>\n</html>\n"
    )


def _section(section: Section, plot: str | None, captions: Mapping[str, str]) -> str:
    parts = [f'<section id="{section.key}">\n<h2>{escape(section.title)}</h2>\n']
    if section.lead:
        parts.append(f'<p class="lead">{words(section.lead)}</p>\n')
    parts += [*map(table, section.tables), listed(section.notes)]
    if plot is not None:
        parts.append(figure(plot, captions[section.key]))
    return "".join([*parts, "</section>\n"])


def words(text: str) -> str:
    """Text in which what is between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def table(shown: Table) -> str:
    """A table that scrolls by itself where the page is narrow."""
    return f'<div class="table">\n{"".join(_rows(shown))}</div>\n'


def listed(notes: Sequence[str]) -> str:
    """Remarks as a list; nothing if there are none."""
    return "".join(["<ul>\n", *(f"<li>{words(note)}</li>\n" for note in notes), "</ul>\n"]) if notes else ""


def figure(plot: str, caption: str) -> str:
    """A plot, an element `<svg>`, with what it shows."""
    return f"<figure>\n{plot}<figcaption>{escape(caption)}</figcaption>\n</figure>\n"


def _rows(shown: Table) -> Iterator[str]:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in shown.columns)
    yield f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
    for first, *others in shown.rows:
        cells = "".join(f"<td{_tone(cell)}>{escape(cell)}</td>" for cell in others)
        yield f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>\n'
    yield "</tbody>\n</table>\n"


def _tone(cell: str) -> str:
    """The class of a verdict, whose colour only repeats what its sign says."""
    return {"✓": ' class="good"', "✗": ' class="bad"'}.get(cell[:1], "")
