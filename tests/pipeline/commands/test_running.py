from __future__ import annotations

from typing import Annotated

import pytest
from typer import Option

from tests.pipeline.commands.conftest import Ran
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.running import run


def command(name: str, times: Annotated[int, Option(help="How often.")] = 1) -> int:
    """Say a name."""
    if name == "nobody":
        raise ConfigurationError("there is nobody; name somebody")
    print(name * times)  # noqa: T201  # a command
    return times - 1


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    code = run(command, "greet", arguments)
    return Ran(code, *capsys.readouterr())


def test_a_commands_result_is_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "me") == Ran(0, "me\n", "")
    assert ran(capsys, "me", "--times", "2") == Ran(1, "meme\n", "")


def test_a_refusal_is_one_line_and_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "nobody") == Ran(2, "", "topfive greet: there is nobody; name somebody\n")


@pytest.mark.parametrize("arguments", [["me", "--time", "2"], ["me", "--times", "x"], ["me", "you"]])
def test_arguments_that_cannot_be_read_are_exit_code_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    result = ran(capsys, *arguments)
    assert (result.code, result.out) == (2, "")
    assert "topfive greet" in result.err


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    result = ran(capsys, "--help")
    assert (result.code, result.err) == (0, "")
    assert "Usage: topfive greet" in result.out
    assert "Say a name." in result.out
    without = ran(capsys)
    assert "Say a name." in without.out + without.err
