"""Must-pass cases are read strictly, and each that the candidate misses says what was seen and what is live."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.testkit.serving_process import ROOT
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer
from topfive_pipeline.gating.cases import chapter, knows_imagenet, read_cases, shipped, unlisted
from topfive_pipeline.gating.client import Client
from topfive_pipeline.gating.contestants import Pair


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, of which one has a case."""
    Image.new("RGB", (8, 8), (250, 5, 5)).save(tmp_path / "red.png")
    Image.new("RGB", (8, 8), (5, 5, 250)).save(tmp_path / "blue.png")
    (tmp_path / "pixels").write_bytes(bytes([250, 5, 5] * 64))
    return tmp_path


def write(folder: Path, *cases: str) -> Path:
    (folder / "cases.yaml").write_text("cases:\n" + "".join(f"  - {each}\n" for each in cases), encoding="utf-8")
    return folder


def test_what_holds_for_any_model_holds_for_this_one(pair: Pair) -> None:
    """The refusals, and the same pixels in several files; the labels of ImageNet are asked of no other model."""
    assert not knows_imagenet(pair.live)
    cases = shipped(imagenet=False)
    told = chapter(pair, cases, lambda _: None)
    assert [finding.name for finding in told.findings if not finding.met] == []
    assert len(told.findings) == len(cases) >= 15
    statuses = {case.expect.status for case in cases if case.expect.is_refusal}
    assert statuses == {400, 413, 415, 422}
    assert told.tables[0].columns[1:] == ("candidate", "live")  # red is taken for green in some


def test_the_shipped_cases_of_imagenet_hold_for_the_shipped_model() -> None:
    cases = shipped(imagenet=True)[len(shipped(imagenet=False)) :]
    assert {case.file.name for case in cases} == {"camera.jpg", "cat.jpg", "coffee.jpg", "rocket.jpg"}
    assert all(case.expect.top == 5 and case.expect.label for case in cases)


def test_a_case_that_is_missed_says_what_was_seen_and_what_is_live(pair: Pair, folder: Path) -> None:
    write(
        folder,
        "{file: red.png, expect: {label: red}}",
        "{name: raw, file: pixels, query: {height: 8, width: 8}, expect: {label: green}}",
        "{file: blue.png, expect: {label: green}}",
        "{name: alike, file: red.png, expect: {like: blue.png}}",
    )
    steps: list[str] = []
    told = chapter(pair, read_cases(folder), steps.append, notes=["a note"])
    red, raw, blue, alike = told.findings
    assert (red.met, red.wanted) == (False, "red first")
    assert red.name == "case: red.png"
    assert red.seen.startswith("green ")
    assert red.note.startswith("the live version meets it: red ")
    assert raw.met
    assert blue.note.startswith("the live version misses it too: blue ")
    assert "; to blue.png: blue " in alike.seen
    assert steps[-1] == "case 4 of 4"
    assert told.notes == ("a note",)
    assert told.figures["cases"][0]["met"] is False  # type: ignore[index]


def test_busy_is_no_answer(pair: Pair, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "classify", lambda *_, **__: Answer(429, code="queue_full"))
    write(folder, "{file: red.png, expect: {label: red}}", "{name: full, file: red.png, expect: {status: 429}}")
    busy, wanted = chapter(pair, read_cases(folder), lambda _: None).findings
    assert (busy.met, busy.note) == (None, "its server refused it as too busy")
    assert wanted.met


def test_files_that_no_case_names_are_found(folder: Path) -> None:
    cases = read_cases(write(folder, "{file: red.png, expect: {like: blue.png}}"))
    assert unlisted(folder, cases) == ["pixels"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("{file: none.png, expect: {status: 200}}", r"case 'none.png': there is no file .*none.png; add it"),
        ("{file: red.png, expect: {like: none.png}}", r"case 'red.png': there is no file .*none.png"),
        ("{file: red.png, query: {model: a}, expect: {status: 200}}", "the gate itself says model; take it out"),
        ("{file: red.png, expect: {}}", r"cases\[0\].expect: it expects nothing"),
        (r'{file: red.png, media_type: "a\r\nX: y", expect: {status: 200}}', r"cases\[0\].media_type: .* pattern"),
        ("{file: red.png}", r"cases\[0\].expect: it is missing; add it"),
        ("{file: red.png, expect: {lable: red}}", r"cases\[0\].expect.lable: there is no such field"),
    ],
)
def test_a_case_that_cannot_be_used_is_refused_by_name(case: str, words: str, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_cases(write(folder, case))


def test_two_cases_have_two_names(folder: Path) -> None:
    write(folder, *["{file: red.png, expect: {label: red}}"] * 2)
    with pytest.raises(ConfigurationError, match=r"there are two cases 'red\.png'"):
        read_cases(folder)
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        read_cases(folder / "none")


def test_the_cases_of_the_page_can_be_read(folder: Path) -> None:
    """Those of docs/gate.md, whole and as lines that are added."""
    page = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    (whole,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if block.startswith("cases:"))
    (added,) = re.findall(r"cases\.yaml <<END\n(.*?)END\n", page, re.DOTALL)
    for name in ("broken.jpg", "pixels.rgb"):
        (folder / name).touch()
    (folder / "cases.yaml").write_text(whole + added, encoding="utf-8")
    assert [case.name for case in read_cases(folder)] == ["the cup of ticket 4711", "pixels.rgb", "broken.jpg"]
