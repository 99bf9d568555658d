"""Runs a typer command as `topfive NAME`: its exit code, and all that goes wrong as one line."""

from __future__ import annotations

import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

import typer

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.stopping import STOPPED, stops_in_order

REFUSED: Final = 2
"""The exit code if the command could not begin, or its input cannot be used: nothing was proven or disproven."""
FAILED: Final = 1
"""The exit code if a proof failed."""
UNHEARD: Final = 141
"""The exit code if nobody reads the output any more, as of a program that SIGPIPE ends."""


def run(command: Callable[..., int], name: str, arguments: Sequence[str], *, needs_arguments: bool = True) -> int:
    """Run `command`, whose parameters are its flags, with `arguments`; return its exit code.

    `needs_arguments`: without any it shows its help.
    """
    _repair_streams()
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @functools.wraps(command)
    def wrapped(*positional: Any, **named: Any) -> None:
        raise typer.Exit(_code(functools.partial(command, *positional, **named), name))

    app.command(name, no_args_is_help=needs_arguments)(wrapped)
    try:
        with stops_in_order(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy and Pillow; what matters, the proof says
            app(list(arguments), prog_name=f"topfive {name}")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else REFUSED if end.code else 0
    return 0


def _code(command: Callable[[], int], name: str) -> int:
    """Run `command`; its exit code, or the one of what it raised, which is told."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except ConfigurationError as error:
        return _complain(name, str(error))
    except KeyboardInterrupt:
        _complain(name, "stopped")
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the last flush complains
        return UNHEARD
    except MemoryError as error:
        return _complain(name, f"there is not enough memory ({str(error) or 'the system gave no more'})")
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _complain(name, f"{where}{error.strerror or error}")
    except UnicodeEncodeError as error:
        return _complain(name, f"{error.object[error.start : error.end]!r} is no text that can be written ({error})")
    except Exception as error:  # noqa: BLE001 # people shall not have to read a traceback
        return _complain(name, _own_fault(error))


def _repair_streams() -> None:
    """Standard output and error that are there, and take every character."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _own_fault(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = (str(error).splitlines() or [""])[0]
    return (
        f"this is a fault of topfive's own, please report it: {type(error).__name__}: {said} "
        f"({Path(last.filename).name}, line {last.lineno})"
    )


def _complain(name: str, message: str) -> int:
    line = " ".join(part.strip() for part in message.splitlines())  # the runtime and names of files may have several
    sys.stderr.write(f"topfive {name}: {line}\n")
    return REFUSED
