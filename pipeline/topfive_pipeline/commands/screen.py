"""What the commands show: tables, progress and verdicts on the terminal, or one JSON document."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from topfive_pipeline.facts import Fact
from topfive_pipeline.proof.verdict import Finding, Proof

_COLOURS: Final = {"found": "cyan", "read": "blue", "said": "green", "assumed": "yellow", "must be said": "red"}
_MARKS: Final = {True: "[green]ok[/]", False: "[red]FAILED[/]", None: "[dim]--[/]"}


class _Console(Console):
    """Rich's console, which would end the process itself if nobody reads on."""

    def on_broken_pipe(self) -> None:
        """Leave it to who runs the command."""
        raise BrokenPipeError


class Screen:
    """The terminal of one command. `quiet`: nothing is shown, for `--json` prints one document at the end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._out = _Console(quiet=quiet, highlight=False, soft_wrap=False, emoji=False)
        self._progress = _Console(stderr=True, quiet=quiet, emoji=False)
        self._is_watched = not quiet and self._progress.is_terminal

    def say(self, text: str) -> None:
        """A line; may have Rich's markup."""
        self._out.print(text)

    def warn(self, warning: str) -> None:
        """A line that people should read."""
        self._out.print(f"[yellow]warning[/]  {escape(warning)}")

    def command(self, text: str) -> None:
        """A line that people copy: it is never wrapped."""
        self._out.print(f"  {escape(text)}", soft_wrap=True)

    def command_block(self, text: str) -> None:
        """Several lines to copy."""
        self._out.print(escape(text), soft_wrap=True)

    def written(self, name: str, version: int, folders: Sequence[Path], repository: Path) -> None:
        """What a command wrote, and how to serve it."""
        self.say(f"\nWritten: '{name}' version {version}, in")
        for folder in folders:
            self.command(str(folder))
        self.say("\nServe it:\n")
        self.command(f"topfive --model-repository {shlex.quote(str(repository))}")

    def facts(self, facts: Sequence[Fact], missing: Sequence[tuple[str, str]] = ()) -> None:
        """A row for each fact, then for each of `missing`: what must be said, and how."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        last = ""
        for fact in facts:
            origin = "" if fact.origin == last else f"[{_COLOURS[fact.origin]}]{fact.origin}[/]"
            last = fact.origin
            where = f" [dim]({escape(fact.where)})[/]" if fact.where else ""
            table.add_row(origin, fact.about, escape(fact.value) + where)
        for place, (flag, hint) in enumerate(missing):
            table.add_row("[red]must be said[/]" if place == 0 else "", escape(flag), escape(hint))
        self._out.print(table)

    def proof(self, proof: Proof) -> None:
        """A row for each step."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for place, finding in enumerate(proof.findings):
            table.add_row("proof" if place == 0 else "", finding.step, _finding(finding))
        self._out.print(table)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; all columns but the first are figures."""
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for place, column in enumerate(columns):
            table.add_column(column, justify="left" if place == 0 else "right", overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._out.print(table)

    def pairs(self, title: str, rows: Iterable[tuple[str, str]]) -> None:
        """A title, and below it names with their values, a row each."""
        table = Table(title=title, title_justify="left", box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(escape(name), escape(value))
        self._out.print(table)

    @contextmanager
    def working(self) -> Iterator[Callable[[str], None]]:
        """A spinner with what is being done; call the result with each step."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._progress, transient=True, disable=not self._is_watched) as progress:
            task = progress.add_task("reading", total=None)
            yield lambda step: progress.update(task, description=escape(step))

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A bar; call the result with how many are done, of how many."""
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._progress, transient=True, disable=not self._is_watched) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def _finding(finding: Finding) -> str:
    return f"{_MARKS[finding.passed]}  {escape(finding.said)}"
