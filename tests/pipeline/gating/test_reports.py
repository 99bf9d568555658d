"""A report is one folder: a page for people, Markdown for reviews, JSON and JUnit for programs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from tests.pipeline.gating.told import GATED
from topfive_pipeline.gating.page import render
from topfive_pipeline.gating.reports import as_markdown, write


class Page(HTMLParser):
    """Fails on a tag that is closed before what is in it; notes in which folded parts a text stands."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.folded: list[str] = []
        self.shown: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.folded if "details" in self.open else self.shown).append(data)


def test_it_is_four_files(tmp_path: Path) -> None:
    written = write(GATED, tmp_path / "a" / "report")
    assert [path.name for path in written] == ["gate.json", "gate.md", "gate.html", "junit.xml"]
    assert json.loads(written[0].read_text(encoding="utf-8"))["verdict"] == "no"


def test_the_page_has_the_sentence_then_what_is_not_met_and_the_rest_folded() -> None:
    text = render(GATED)
    page = Page(text)
    assert text.index(GATED.sentence.replace(">", "&gt;")) < text.index("✗ missed") < text.index("? unknown")
    assert text.index("? unknown") < text.index("9 met") < text.index("Must-pass cases")
    assert page.folded.count("case: a cup") == 9 + 8  # as tiles, and those of a chapter that has many
    assert page.shown.count("case: a cup") == 1
    assert page.shown.count("p99 at 8 workers") == 2
    assert "Not looked at: quality (--photos)." in page.shown


def test_the_page_fetches_nothing_runs_nothing_and_names_are_text() -> None:
    text = render(replace(GATED, candidate="<i>pets</i>"))
    assert "<script" not in text
    assert "<b>round" not in text
    assert "<i>" not in text
    assert "Latency &amp; rate" in text
    assert re.findall(r"https?://|url\(|@import|src=|href=", text) == []


def test_the_page_of_one_that_may_go_live_has_no_tiles_but_folded_ones() -> None:
    told = replace(GATED, chapters=GATED.chapters[:1], left_out=())
    page = Page(render(told))
    assert "YES: all 8 met." in page.shown
    assert "✗ missed" not in page.shown
    assert "Not looked at" not in "".join(page.shown)


def test_markdown_tells_the_same() -> None:
    text = as_markdown(GATED)
    assert text.startswith("# Launch gate\n\nNO: p99 at 8 workers 61 ms > 50 ms; else 9 of 11 met, 1 unknown.\n")
    assert "## Missed or unknown" in text
    assert text.index("| p99 at 8 workers | 61 ms | ≤ 50 ms | ✗ missed |") < text.index("## Must-pass cases")
    assert "| 8 | 61 |" in text
    assert "no /metrics \\| here" in text
    assert "## All is met" in as_markdown(replace(GATED, chapters=GATED.chapters[:1]))
