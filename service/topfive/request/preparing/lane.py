"""Images that wait to be prepared: who is next, and how long it will take.

What lives here: one line of waiting, as a pure class. What does not: threads, clients, memory (`preparation`).

The cheapest goes first, so that a small image passes large ones; but each second that something waits counts for it, so
that it is not passed for ever. How long a format really takes here is learnt, as a factor on its price.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from math import frexp
from typing import Any, Final

from topfive.request.preparing.price import Price

_AGEING: Final = 20.0
"""Seconds of waiting that make up for a second of price."""
_LONGEST_PASSED_SECONDS: Final = 4.0
"""For no longer than that is anything passed, whatever its price."""
_SMOOTHING: Final = 0.1
_FACTORS: Final = (0.2, 5.0)
"""Bounds on what is learnt: one client's files must not make the estimate for others' absurd."""


@dataclass(slots=True, eq=False)
class Job:
    """One image: `call` prepares it, on a thread; who waits for `outcome` is told its result.

    `deadline`: monotonic seconds at which nobody waits any more. `abandoned`: whether its client has left.
    """

    price: Price
    call: Callable[..., Any]
    outcome: Any
    deadline: float
    abandoned: Callable[[], bool] = field(repr=False)
    seconds: float = 0.0
    """What it was expected to take when it came."""
    waits: bool = False
    began: float = 0.0


class Lane:
    """The line before `places` places, in which jobs run side by side."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.running: set[Job] = set()
        self._waiting: list[tuple[float, int, Job]] = []
        self._numbers = count()
        self._tiers: dict[int, float] = {}  # seconds that wait, by the price's power of two
        self._factors: dict[str, float] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Job]:
        """All that wait or run."""
        return chain(self.running, (job for _, _, job in self._waiting))

    def seconds(self, price: Price) -> float:
        """What it will take, as far as is known."""
        return price.seconds * self._factors.get(price.kind, 1.0)

    def wait_seconds(self, price: Price, *, now: float) -> float:
        """How long something of this price would wait that came `now`."""
        if not self._waiting and len(self.running) < self.places:
            return 0.0
        own = _tier(self.seconds(price))
        ahead = sum(seconds for tier, seconds in self._tiers.items() if tier <= own)
        left = sum(max(0.0, job.seconds - (now - job.began)) for job in self.running)
        return (ahead + left) / self.places

    def put(self, job: Job, *, now: float) -> None:
        """Let `job` wait."""
        job.seconds, job.waits = self.seconds(job.price), True
        passed = min(_AGEING * job.seconds, _LONGEST_PASSED_SECONDS)
        heapq.heappush(self._waiting, (now + passed, next(self._numbers), job))
        self._count(job, 1)

    def first(self) -> Job | None:
        """Who is next; None if nobody waits."""
        return self._waiting[0][2] if self._waiting else None

    def start(self, *, now: float) -> Job:
        """Let who is next run."""
        _, _, job = heapq.heappop(self._waiting)
        self._count(job, -1)
        if not self._waiting:
            self._tiers.clear()  # of what rounding has left
        job.waits, job.began = False, now
        self.running.add(job)
        return job

    def drop(self, jobs: set[Job]) -> None:
        """Let `jobs` wait no more."""
        for _, _, job in self._waiting:
            if job in jobs:
                job.waits = False
                self._count(job, -1)
        self._waiting = [entry for entry in self._waiting if entry[2] not in jobs]
        heapq.heapify(self._waiting)

    def learn(self, price: Price, seconds: float) -> None:
        """One of that price took `seconds`."""
        if price.seconds:
            least, most = _FACTORS
            factor = min(most, max(least, seconds / price.seconds))
            before = self._factors.get(price.kind, 1.0)
            self._factors[price.kind] = before + _SMOOTHING * (factor - before)

    def _count(self, job: Job, sign: int) -> None:
        tier = _tier(job.seconds)
        self._tiers[tier] = self._tiers.get(tier, 0.0) + sign * job.seconds


def _tier(seconds: float) -> int:
    return frexp(seconds)[1]
