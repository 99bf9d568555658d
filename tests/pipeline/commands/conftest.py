"""What the tests of commands share: a command as a terminal runs it, and photos whose preprocessing matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Ran:
    """A command's exit code, and what it said."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it said, however the lines are wrapped."""
        return " ".join(self.out.split())


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a command's `main` with arguments."""

    def ran(main: Callable[[Sequence[str]], int], *arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran
