"""A lane of jobs, images that wait to be prepared: which is next, and how long a job will wait.

What lives here: the order of one lane, as a pure class. What does not: threads, clients and memory
(`request.preparing.preparation`).

The cheapest job goes first, so that a small image passes large ones. Waiting makes up for price, so that no job is
passed for ever. If several tenants share the service, a job also goes behind what its tenant's share of the threads
would be busy with first: so whoever floods waits behind himself, and passes nobody. How long each kind of image really
takes on this machine is learnt, as a factor on its price.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from math import frexp
from typing import Any, Final

from topfive.batching.sharing import Sharer, before
from topfive.request.preparing.price import Price

_AGEING: Final = 20.0
"""So many seconds of waiting make up for one second of price."""
_LONGEST_PASSED_SECONDS: Final = 4.0
"""A job is passed only by jobs that came at most so long after it, whatever its price."""
_NEVER: Final = float("inf")
_ROUNDING: Final = 1e-6
"""Seconds; what is left of a sum whose terms have all been taken off again is less."""
_SMOOTHING: Final = 0.1
_FACTORS: Final = (0.2, 5.0)
"""Bounds on the learnt factor: one client's files must not make the estimate absurd for all."""


@dataclass(slots=True, eq=False)
class Job:
    """One image to be prepared: `call` prepares it on a thread; `outcome` is the future of its result.

    `deadline`: the monotonic second by which its request must have an answer. `abandoned`: whether its client has left.
    """

    price: Price
    call: Callable[..., Any]
    outcome: Any
    deadline: float
    abandoned: Callable[[], bool] = field(repr=False)
    seconds: float = 0.0
    """How long it was expected to take when it came."""
    waits: bool = False
    began: float = 0.0
    tenant: Sharer | None = None
    """With whom it shares the threads; None without others."""


class Lane:
    """Jobs that wait, and those that run; up to `places` run side by side."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.running: set[Job] = set()
        self._waiting: list[tuple[float, int, Job]] = []
        self._numbers = count()
        self._tiers: dict[int, float] = {}  # expected seconds of the waiting jobs, by their power of two
        self._factors: dict[str, float] = {}
        self._shared: dict[Sharer, dict[int, float]] = {}  # the same, of each tenant

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Job]:
        """All jobs that wait or run."""
        return chain(self.running, (job for _, _, job in self._waiting))

    def seconds(self, price: Price) -> float:
        """How long a job of this price is expected to take, by what was learnt."""
        return price.seconds * self._factors.get(price.kind, 1.0)

    def wait_seconds(self, price: Price, *, now: float, tenant: Sharer | None = None) -> float:
        """How long a job of this price that came `now` would wait."""
        if not self._waiting and len(self.running) < self.places:
            return 0.0
        own = _tier(seconds := self.seconds(price))
        if tenant is None:
            ahead = sum(seconds for tier, seconds in self._tiers.items() if tier <= own)
        else:
            ahead = before(tenant, seconds, self._waiting_of_tenants(own))
        left = sum(max(0.0, job.seconds - (now - job.began)) for job in self.running)
        return (ahead + left) / self.places

    def put(self, job: Job, *, now: float) -> None:
        """Add `job` to those that wait."""
        job.seconds, job.waits = self.seconds(job.price), True
        passed = min(_AGEING * job.seconds, _LONGEST_PASSED_SECONDS)
        if job.tenant is not None:
            passed += self._behind_itself(job.tenant)
        heapq.heappush(self._waiting, (now + passed, next(self._numbers), job))
        self._count(job, 1)

    def first(self) -> Job | None:
        """The job that is next; None if none waits."""
        return self._waiting[0][2] if self._waiting else None

    def start(self, *, now: float) -> Job:
        """Move the next job from those that wait to those that run, and return it."""
        _, _, job = heapq.heappop(self._waiting)
        self._count(job, -1)
        if not self._waiting:
            self._tiers.clear()  # rounding may have left a little
            self._shared.clear()
        job.waits, job.began = False, now
        self.running.add(job)
        return job

    def drop(self, jobs: set[Job]) -> None:
        """Remove `jobs` from those that wait."""
        for _, _, job in self._waiting:
            if job in jobs:
                job.waits = False
                self._count(job, -1)
        self._waiting = [entry for entry in self._waiting if entry[2] not in jobs]
        heapq.heapify(self._waiting)

    def learn(self, price: Price, seconds: float) -> None:
        """Learn that a job of that price took `seconds`."""
        if price.seconds:
            least, most = _FACTORS
            factor = min(most, max(least, seconds / price.seconds))
            before = self._factors.get(price.kind, 1.0)
            self._factors[price.kind] = before + _SMOOTHING * (factor - before)

    def _waiting_of_tenants(self, tier: float) -> dict[Sharer, float]:
        """The expected seconds of each tenant's jobs that wait, up to this tier."""
        return {tenant: sum(s for its, s in tiers.items() if its <= tier) for tenant, tiers in self._shared.items()}

    def _behind_itself(self, tenant: Sharer) -> float:
        """How long its share of the threads would be busy with the jobs of `tenant` that wait."""
        waiting = self._waiting_of_tenants(_NEVER)
        weights = sum(other.weight for other, seconds in waiting.items() if seconds > _ROUNDING or other is tenant)
        return waiting.get(tenant, 0.0) * max(weights, tenant.weight) / tenant.weight / self.places

    def _count(self, job: Job, sign: int) -> None:
        tier = _tier(job.seconds)
        self._tiers[tier] = self._tiers.get(tier, 0.0) + sign * job.seconds
        if job.tenant is not None:
            tiers = self._shared.setdefault(job.tenant, {})
            tiers[tier] = tiers.get(tier, 0.0) + sign * job.seconds


def _tier(seconds: float) -> int:
    return frexp(seconds)[1]
