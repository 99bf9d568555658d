"""Runs a typer command as `topfive NAME`: its exit code, and its errors as one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import typer

from topfive.ground.errors import ConfigurationError

REFUSED: Final = 2
"""The exit code if the command could not begin, or its input cannot be used: nothing was proven or disproven."""
FAILED: Final = 1
"""The exit code if a proof failed."""


def run(command: Callable[..., int], name: str, arguments: Sequence[str], *, needs_arguments: bool = True) -> int:
    """Run `command`, whose parameters are its flags, with `arguments`; return its exit code.

    `needs_arguments`: without any it shows its help.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @functools.wraps(command)
    def wrapped(*positional: Any, **named: Any) -> None:
        raise typer.Exit(command(*positional, **named))

    app.command(name, no_args_is_help=needs_arguments)(wrapped)
    try:
        app(list(arguments), prog_name=f"topfive {name}")
    except ConfigurationError as error:
        sys.stderr.write(f"topfive {name}: {error}\n")
        return REFUSED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else REFUSED if end.code else 0
    return 0
