"""A report is one folder: for programs, for reviews, and a page that needs nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import documents
from topfive_pipeline.judging.documents import check_can_draw
from topfive_pipeline.judging.judge import Judgement
from topfive_pipeline.judging.markdown import escaped
from topfive_pipeline.judging.plots import drawn
from topfive_pipeline.judging.reports import told, write


class Balanced(HTMLParser):
    """Fails on a tag that is closed before what is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "path", "use", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"path", "use", "rect"}:
            assert self.open.pop() == tag


def test_it_is_three_files(judgement: Judgement, tmp_path: Path) -> None:
    written = write(judgement, tmp_path / "a" / "report")
    assert [path.name for path in written] == ["judgement.json", "report.md", "report.html"]
    assert json.loads(written[0].read_text(encoding="utf-8"))["photos"] == 60
    assert written[1].read_text(encoding="utf-8") == told(judgement, {}).as_markdown()


def test_markdown_has_every_table(judgement: Judgement) -> None:
    text = told(judgement, {}).as_markdown()
    assert text.startswith("# Models judged\n\npets:2, pets:3 against pets:1, on 60 photos\n\n## What remains\n")
    assert "| pets | top-1, % | 95 % | top-5, % | 95 % | loss |\n|---|---:|---:|---:|---:|---:|\n| version 1 |" in text
    assert "largest \\|Δp\\|" in text


def test_the_page_is_whole_and_fetches_nothing(judgement: Judgement) -> None:
    text = told(judgement, drawn(judgement)).as_html()
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "<script" not in text
    assert set(re.findall(r"https?://[^\"'\s<]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert text.count("<svg") == 3


def test_the_page_follows_dark_mode_and_its_plots_too(judgement: Judgement) -> None:
    text = told(judgement, drawn(judgement)).as_html()
    assert "prefers-color-scheme: dark" in text
    plots = drawn(judgement)
    assert [*plots] == ["accuracy", "difference", "speed"]
    for plot in plots.values():
        assert "var(--soft)" in plot
        assert "#495057" not in plot


def test_names_are_text(judgement: Judgement) -> None:
    models = (replace(judgement.models[0], title="<b>|x*:1"), *judgement.models[1:])
    named = replace(judgement, models=models)
    assert "<b>" not in told(named, {}).as_html()
    assert "&lt;b&gt;|x*:1" in told(named, {}).as_html()
    assert escaped("<b>|x*_[1]") == r"\<b>\|x\*\_\[1\]"


def test_without_speed_or_company_fewer_plots_are_drawn(without_speed: Judgement) -> None:
    assert [*drawn(without_speed)] == ["accuracy"]
    assert [*drawn(replace(without_speed, models=without_speed.models[:1]))] == ["accuracy"]


def test_a_folder_that_cannot_be_written_is_named(judgement: Judgement, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"--report .*file: cannot be written \(File exists\)"):
        write(judgement, tmp_path / "file")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_can_draw()
    monkeypatch.setattr(documents, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"needs the extra `optimise`: pip install 'topfive\[optimise\]'"):
        check_can_draw()
