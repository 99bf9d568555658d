"""A judgement, or other sections, as one HTML file with its style and plots: it fetches nothing and runs no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Final

from topfive_pipeline.judging.contents import sections, summary
from topfive_pipeline.judging.judge import Judgement
from topfive_pipeline.judging.plots import drawn
from topfive_pipeline.judging.tables import Section, Table

_STYLE: Final = resources.files("topfive_pipeline.judging") / "style.css"
_CODE: Final = re.compile(r"`([^`]+)`")
_CAPTIONS: Final = {
    "difference": "Up is more accurate, to the right is faster. Bars: the interval of 95 % of the difference, and the "
    "middle half of the rounds.",
    "accuracy": "Bars: where the share lies with 95 %. Whether two models differ is not to be seen here: look at the "
    "difference on the same photos.",
    "speed": "Median of the rounds' ratios; bars: the middle half of them.",
}


def render(judgement: Judgement) -> str:
    """The whole page of a judgement."""
    found = sections(judgement)
    return document("Models judged", summary(judgement), found, plots=drawn(judgement), captions=_CAPTIONS)


def document(
    title: str, said: str, found: Sequence[Section], *, plots: Mapping[str, str], captions: Mapping[str, str]
) -> str:
    """A page of sections below `title` and what is `said` first; `plots`, elements `<svg>`, by the keys of theirs."""
    body = "".join(_section(section, plots.get(section.key), captions) for section in found)
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}: {escape(said)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1><p>{_words(said)}</p></header>\n{body}</body>\n</html>\n"
    )


def _section(section: Section, plot: str | None, captions: Mapping[str, str]) -> str:
    parts = [f'<section id="{section.key}">\n<h2>{escape(section.title)}</h2>\n']
    if section.lead:
        parts.append(f'<p class="lead">{_words(section.lead)}</p>\n')
    parts += [f'<div class="table">\n{"".join(_table(table))}</div>\n' for table in section.tables]
    if section.notes:
        parts += ["<ul>\n", *(f"<li>{_words(note)}</li>\n" for note in section.notes), "</ul>\n"]
    if plot is not None:
        parts.append(f"<figure>\n{plot}<figcaption>{escape(captions[section.key])}</figcaption>\n</figure>\n")
    return "".join([*parts, "</section>\n"])


def _words(text: str) -> str:
    """Text in which what is between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _table(table: Table) -> Iterator[str]:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.columns)
    yield f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
    for first, *others in table.rows:
        cells = "".join(f"<td{_tone(cell)}>{escape(cell)}</td>" for cell in others)
        yield f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>\n'
    yield "</tbody>\n</table>\n"


def _tone(cell: str) -> str:
    """The class of a verdict, whose colour only repeats what its sign says."""
    return {"✓": ' class="good"', "✗": ' class="bad"'}.get(cell[:1], "")
