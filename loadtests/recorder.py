"""Stores every sample of every generator process in files, because Locust's own statistics round them.

Each of Locust's processes writes one file, with a line for each answer; the driver reads them. Times are on the
machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PATTERN: Final = "samples-*.csv"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. `error`: what was wrong with its answer, "" if right. `users`: of its process at that time."""

    started: float
    ended: float
    scenario: str
    kind: str
    error: str
    users: int

    @property
    def seconds(self) -> float:
        """The time from the first byte sent to the last byte read."""
        return self.ended - self.started


class Recorder:
    """Keeps samples until `flush` writes them, so that writing does not delay a request."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / _PATTERN.replace("*", str(os.getpid()))
        self._waiting: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Keep a sample."""
        self._waiting.append(sample)

    def flush(self) -> None:
        """Write the samples added since the last call."""
        waiting, self._waiting = self._waiting, []
        with self._path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(
                (repr(one.started), repr(one.ended), one.scenario, one.kind, one.error, one.users) for one in waiting
            )


class Reader:
    """Reads the new samples of all processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}

    def new(self) -> list[Sample]:
        """The samples since the last call, of each process in its order; an incomplete line is left for later."""
        return [sample for path in sorted(self._folder.glob(_PATTERN)) for sample in self._new_of(path)]

    def _new_of(self, path: Path) -> Iterable[Sample]:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            whole, _, _ = file.read().rpartition(b"\n")
        if not whole:
            return
        self._read[path] = self._read.get(path, 0) + len(whole) + 1
        for started, ended, scenario, kind, error, users in csv.reader(whole.decode().split("\n")):
            yield Sample(float(started), float(ended), scenario, kind, error, int(users))
