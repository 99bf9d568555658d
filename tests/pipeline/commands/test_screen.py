from __future__ import annotations

import json
from pathlib import Path

import pytest

from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.facts import Fact
from topfive_pipeline.proof.verdict import Finding, Proof

MARKUP = "a [red]b[/] [/nothing] :cat: [1, 2]"
"""What names and paths may hold; Rich would take it for styles and pictures, or fail."""


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_what_users_named_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.command(MARKUP)
    screen.command_block(MARKUP)
    screen.warn(MARKUP)
    screen.facts([Fact("read", "labels", MARKUP, MARKUP)], [("--mean", MARKUP)])
    screen.proof(Proof((Finding("resize", False, MARKUP),)))
    screen.table("title", ("name", "figure"), [(MARKUP, MARKUP)])
    with screen.working() as progress:
        progress(MARKUP)
    assert said(capsys).count(MARKUP) == 9


def test_facts_are_told_once_for_each_origin(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().facts([Fact("found", "a", "1"), Fact("found", "b", "2"), Fact("said", "c", "3", "--c")], [("--d", "4")])
    assert said(capsys) == "found a 1 b 2 said c 3 (--c) must be said --d 4"


def test_every_verdict_has_its_word(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().proof(Proof((Finding("a", True, "1"), Finding("b", None, "2"), Finding("c", False, "3"))))
    assert said(capsys) == "proof a ok 1 b -- 2 c FAILED 3"


def test_lines_to_copy_are_never_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    line = "topfive import " + "--flag value " * 40
    Screen().command(line)
    assert capsys.readouterr().out == f"  {line}\n"


def test_a_quiet_screen_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(quiet=True)
    screen.say("a")
    screen.warn("a")
    screen.proof(Proof((Finding("a", True, "1"),)))
    with screen.working() as working, screen.counting("photos") as counting:
        working("a")
        counting(1, 2)
    assert capsys.readouterr() == ("", "")


def test_progress_is_for_terminals_only(capsys: pytest.CaptureFixture[str]) -> None:
    """In a log its lines would be noise."""
    screen = Screen()
    with screen.working() as working:
        working("a")
    with screen.counting("photos") as counting:
        counting(1, 2)
    assert capsys.readouterr() == ("", "")


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": Path("a"), "values": (1, 2)})
    assert json.loads(capsys.readouterr().out) == {"path": "a", "values": [1, 2]}
