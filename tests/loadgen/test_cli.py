"""The style of command lines: options by their functions' parameters, exit codes, and what is said of a bad option."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import pytest
from typer import Option

from topfive_loadgen.cli import Commands, given, one_of, positive, several


def measure(
    *,
    workers: Annotated[Sequence[int], Option(parser=several(positive))] = (1, 2),
    kinds: Annotated[list[str], Option("--kind", parser=one_of(("a", "b")))] = [],  # noqa: B006  # typer reads it
    code: int = 0,
) -> int:
    """What it measures."""
    if code < 0:
        raise SystemExit("there is nothing to measure")
    print(f"{list(workers)} {kinds}")  # noqa: T201  # as commands do
    return code


@pytest.fixture
def commands() -> Commands:
    made = Commands("topfive_loadgen", about="About all.")
    made.add(measure, "measure")
    made.add(given(measure, about="One worker.", workers=(1,)), "alone")
    return made


def test_the_result_is_the_exit_code(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["measure"]) == 0
    assert commands.run(["measure", "--workers", "4,8", "--kind", "a", "--kind", "b", "--code", "1"]) == 1
    assert commands.run(["alone"]) == 0
    assert capsys.readouterr().out.splitlines() == ["[1, 2] []", "[4, 8] ['a', 'b']", "[1] []"]


def test_help_says_what_each_measures(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["measure", "--help"]) == 0
    assert "What it measures." in capsys.readouterr().out
    assert commands.run(["alone", "--help"]) == 0
    told = capsys.readouterr().out
    assert "One worker." in told
    assert "--workers" not in told


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["measure", "--workers", "0"], "at least 1"),
        (["measure", "--workers", "x"], "'x'"),
        (["measure", "--kind", "c"], "none of a, b"),
        (["measure", "--code", "x"], "--code"),
        (["measure", "--nothing", "1"], "--nothing"),
        (["alone", "--workers", "1"], "--workers"),
        (["elsewhere"], "elsewhere"),
        (["measure", "--code", "-1"], "there is nothing to measure"),
    ],
)
def test_what_cannot_be_done_is_told_with_exit_code_2(
    commands: Commands, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert commands.run(arguments) == 2
    assert why in capsys.readouterr().err
