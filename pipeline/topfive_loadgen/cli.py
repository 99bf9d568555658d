"""The command line of all programs: `python -m PROGRAM NAME --option …`, with one function for each name.

The function's parameters are its options, `--help` shows its docstring, and its result is the exit code.
A bad option gives one line of error and exit code 2.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer

UNKNOWN = 2
"""The exit code of a run without a verdict: it was INVALID, or an option was bad."""

One = TypeVar("One")


class Commands:
    """The commands of a program, by name."""

    def __init__(self, program: str, *, about: str) -> None:
        self._program = program
        self._app = typer.Typer(
            help=about,
            add_completion=False,
            no_args_is_help=True,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
        )
        self._app.callback()(lambda: None)  # so that the name is needed even if there is only one command

    def add(self, function: Callable[..., int], name: str, **settings: Any) -> None:
        """Add a function as the command `name`; `settings` are typer's."""

        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> None:
            raise typer.Exit(function(*arguments, **options))

        self._app.command(name, **settings)(run)

    def run(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command in `arguments` (default: those of this process); return its exit code."""
        try:
            self._app(arguments, prog_name=f"python -m {self._program}")
        except SystemExit as end:
            if isinstance(end.code, str):  # the reason why nothing could be measured
                print(end.code, file=sys.stderr)
                return UNKNOWN
            return end.code or 0
        return 0


def given(function: Callable[..., int], *, about: str, **fixed: object) -> Callable[..., int]:
    """A variant of `function` with some parameters `fixed`, which are then no options; `about` is its docstring."""
    whole = inspect.signature(function, eval_str=True)

    def run(**options: object) -> int:
        return function(**options, **fixed)

    run.__doc__ = about
    left = [one for one in whole.parameters.values() if one.name not in fixed]
    run.__signature__ = whole.replace(parameters=left)  # type: ignore[attr-defined]
    return run


def several(read: Callable[[str], One], *, allowed: Sequence[One] | None = None) -> Callable[[Any], list[One]]:
    """A parser of `a,b,c`, for a parameter of type `Sequence`; a default passes unchanged."""

    def parse(given: Any) -> list[One]:
        if not isinstance(given, str):
            return list(given)
        try:
            found = [read(one) for one in given.split(",") if one]
        except ValueError as error:
            raise typer.BadParameter(f"{given!r}: {error}") from error
        for one in found:
            if allowed is not None and one not in allowed:
                raise typer.BadParameter(f"{one!r} is none of {', '.join(map(str, allowed))}")
        return found

    return parse


def one_of(allowed: Sequence[str]) -> Callable[[str], str]:
    """A parser that accepts only the `allowed` words, for an option that may be repeated."""

    def parse(given: str) -> str:
        if given not in allowed:
            raise typer.BadParameter(f"{given!r} is none of {', '.join(allowed)}")
        return given

    return parse


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    if (value := int(text)) < 1:
        raise ValueError("at least 1")
    return value
