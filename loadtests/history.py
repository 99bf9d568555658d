"""The history of stored runs: throughput and p99 of each cell, run after run, each with its noise. Pure but for `find`.

A run that is INVALID, or a cell that never settled or was cut short, is a point of the history that no line goes
through: it says when something was tried, and nothing of the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from loadtests.comparison import agreed_windows, closed_subject
from loadtests.results import Cell, Run, UnreadableRun, load
from topfive_loadgen.percentiles import standing

FILE: Final = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A figure, and the least and most of it over the windows that agreed: the noise within the run."""

    value: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One cell in one run (images per second, seconds). `doubt`: why it says nothing of the server, "" if it does."""

    run: str
    began: datetime
    commit: str
    throughput: Known
    p99: Known | None
    doubt: str

    @property
    def label(self) -> str:
        """The date and the commit, for an axis."""
        return f"{self.began:%d %b %H:%M}\n{self.commit or self.run}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The history of a cell, such as "random × 8", by date."""

    subject: str
    points: Sequence[Point]


def find(folder: Path) -> list[Run]:
    """The stored runs in a folder and the folders within it, by date; raises `UnreadableRun` for another file."""
    if not folder.is_dir():
        raise UnreadableRun(f"{folder} is no folder: name one that holds stored runs")
    found = [load(path) for path in sorted(folder.rglob(FILE))]
    return sorted(found, key=lambda run: datetime.fromisoformat(run.began))


def lines(runs: Iterable[Run]) -> list[Line]:
    """The history of every cell that one of the runs has."""
    points: dict[str, list[Point]] = {}
    for run in runs:
        for cell in run.closed:
            points.setdefault(closed_subject(cell), []).append(_point(run, cell))
    return [Line(subject=subject, points=found) for subject, found in points.items()]


def _point(run: Run, cell: Cell) -> Point:
    windows = agreed_windows(cell)
    tails = [window.p99 for window in windows if window.p99 is not None]
    commit = run.environment.get("commit")
    p99 = None
    if cell.latency and standing(cell.latency.count, 99) != "not measured":
        p99 = _known(cell.latency.p99, tails)
    return Point(
        run=run.name,
        began=datetime.fromisoformat(run.began),
        commit=commit if isinstance(commit, str) else "",
        throughput=_known(cell.throughput, [window.throughput for window in windows]),
        p99=p99,
        doubt=_doubt(run, cell),
    )


def _known(value: float, over: Sequence[float]) -> Known:
    """The value with its range; it may lie outside that of its windows, as the p99 of all of them does."""
    return Known(value=value, least=min([value, *over]), most=max([value, *over]))


def _doubt(run: Run, cell: Cell) -> str:
    if run.faults:
        return f"INVALID: {run.faults[0]}"
    if cell.cut:
        return "INVALID: cut short"
    return "" if cell.settled else "not settled"
