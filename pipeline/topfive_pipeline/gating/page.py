"""A gate as one HTML file: the sentence, tiles of what is missed and unknown, the rest folded, then all chapters.

It fetches nothing and runs no script; folding is the browser's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Final

from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.gate import Gated
from topfive_pipeline.gating.telling import MARKS, compared, in_order, left_out, notes
from topfive_pipeline.judging.hypertext import figure, listed, table, whole

_STYLE: Final = resources.files("topfive_pipeline.gating") / "gate.css"
_TONES: Final = {True: "met", False: "missed", None: "unknown"}
_VERDICTS: Final = {"yes": "met", "no": "missed", "unknown": "unknown"}
TITLE: Final = "Launch gate"
_FEW: Final = 6
"""Rows that are met and are shown at once; more are folded."""


def render(told: Gated) -> str:
    """The whole page."""
    missed, unknown, met = in_order(told.findings)
    folded = ""
    if met:
        folded = f'<details class="met">\n<summary>{len(met)} met</summary>\n{_tiles(met)}</details>\n'
    body = (
        f"<header><h1>{TITLE}</h1><p>{escape(compared(told))}</p></header>\n"
        f'<p class="sentence {_VERDICTS[told.verdict]}">{escape(told.sentence)}</p>\n'
        f"{_paragraph('left', left_out(told))}{_tiles([*missed, *unknown])}{folded}"
        f"{''.join(_chapter(chapter) for chapter in told.chapters)}"
    )
    return whole(TITLE, told.sentence, body, style=_STYLE.read_text(encoding="utf-8"))


def _tiles(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    return f'<div class="tiles">\n{"".join(map(_tile, findings))}</div>\n'


def _tile(finding: Finding) -> str:
    return (
        f'<div class="tile {_TONES[finding.met]}">\n'
        f'<p class="mark">{MARKS[finding.met]}</p><p class="name">{escape(finding.name)}</p>'
        f'<p class="seen">{escape(finding.seen)}</p><p class="wanted">wanted {escape(finding.wanted)}</p>'
        f"{_paragraph('note', finding.note)}{listed(finding.reasons)}</div>\n"
    )


def _chapter(chapter: Chapter) -> str:
    parts = [f'<section id="{chapter.key}">\n<h2>{escape(chapter.title)}</h2>\n', _paragraph("lead", chapter.lead)]
    if chapter.findings:
        parts.append(_findings(chapter.findings))
    parts += [figure(plot.svg, plot.caption) for plot in chapter.plots]
    parts += [*map(table, chapter.tables), listed(notes(chapter)), "</section>\n"]
    return "".join(parts)


def _findings(findings: Sequence[Finding]) -> str:
    """A row for each: the missed and the unknown first, then those that are met, which are folded if they are many."""
    missed, unknown, met = in_order(findings)
    unmet = [*missed, *unknown]
    if len(met) <= _FEW:
        return _rows([*unmet, *met])
    return f'{_rows(unmet)}<details class="met">\n<summary>{len(met)} met</summary>\n{_rows(met)}</details>\n'


def _rows(findings: Sequence[Finding]) -> str:
    return f'<ul class="checks">\n{"".join(map(_row, findings))}</ul>\n' if findings else ""


def _row(finding: Finding) -> str:
    mark, _, word = MARKS[finding.met].partition(" ")
    return (
        f'<li class="{_TONES[finding.met]}"><span class="mark" title="{word}">{mark}</span>'
        f'<span class="name">{escape(finding.name)}</span> <span class="seen">{escape(finding.seen)}</span> '
        f'<span class="wanted">wanted {escape(finding.wanted)}</span></li>\n'
    )


def _paragraph(kind: str, text: str) -> str:
    return f'<p class="{kind}">{escape(text)}</p>\n' if text else ""
