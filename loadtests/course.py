"""What every measurement of a run shares: its clock, its progress, the server's figures, and whether it still lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from loadtests.liveness import Liveness
from loadtests.recorder import Sample
from loadtests.results import OpenRun, Server

Observe = Callable[[float, float], Server | None]
"""Returns what the server did between two times (monotonic)."""
Count = Callable[[int, int], None]
"""Takes how many requests had a right answer since the last call, and how many had none."""
NO_CONNECTION: Final = "no answer"
"""How the error of a request begins that no answer came to; the rest shows that the server lives."""


def _nothing(*_: object) -> None:
    """For measurements that are not of the server under test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The run around a measurement. `zero`: when it began; `say` gets lines of progress."""

    zero: float
    say: Callable[[str], None]
    following: Liveness
    observe: Observe = _nothing
    count: Count = _nothing
    of_server: bool = True  # False while the null backend is measured

    @property
    def is_over(self) -> bool:
        """Whether the server under test is lost, so that there is nothing to measure."""
        return self.following.lost is not None

    @property
    def ended(self) -> float | None:
        """When the server was lost (monotonic); None while it lives."""
        lost = self.following.lost
        return None if lost is None else self.zero + lost.at

    def sleep_until(self, moment: float, *, at_most: float) -> bool:
        """Wait for a moment (monotonic), but only so many seconds of it; return whether it has come."""
        left = moment - time.monotonic()
        time.sleep(max(0.0, min(left, at_most)))  # the load runs meanwhile
        return left <= at_most

    def note(self, samples: list[Sample]) -> list[Sample]:
        """Count samples of the server under test; return them."""
        if not self.of_server:
            return samples
        right = sum(not one.error for one in samples)
        if samples:
            self.count(right, len(samples) - right)
        if answered := [one.ended for one in samples if not one.error.startswith(NO_CONNECTION)]:
            self.following.answered(max(answered))
        return samples

    def alone(self) -> Course:
        """The course of a measurement that is not of the server under test; that it is lost ends this one too."""
        return replace(self, observe=_nothing, count=_nothing, of_server=False)

    def note_open(self, found: OpenRun) -> None:
        """Count the requests of an open loop."""
        self.count(found.latency.count if found.latency else 0, sum(found.errors.values()))
