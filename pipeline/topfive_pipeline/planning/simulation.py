"""Runs requests through a fleet in virtual time: by a schedule (open loop), or each after the last answer (closed)."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from topfive_pipeline.planning.costs import KindCosts
from topfive_pipeline.planning.fleet import Fleet, Site
from topfive_pipeline.planning.virtual_time import VirtualLoop, simulate
from topfive_pipeline.under_load.load import Probe

Arrival = tuple[float, KindCosts]
"""The second at which a request is due, and what it asks."""
WARM: Final = 0.1
"""The share of each simulation that is not counted: it begins with empty queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of a simulation of `seconds`.

    `answers`: of each request that counts, when it was due, and its latency in seconds, None if it was refused or lost.
    `busy`: the share of the cores' time in which they computed, or of the GPUs' if those are busier. `batches`: how
    many of each size ran.
    """

    seconds: float
    answers: Sequence[tuple[float, float | None]]
    busy: float
    batches: Counter[int]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(latency is not None for _, latency in self.answers) / self.seconds

    def probe(self, rate: float) -> Probe:
        """The same as of a load that was measured, for an objective to judge."""
        latencies = sorted(latency for _, latency in self.answers if latency is not None)
        return Probe(rate, tuple(latencies), len(self.answers) - len(latencies))


def poisson(kinds: Sequence[KindCosts], *, rate: float, seconds: float, seed: int) -> Iterator[Arrival]:
    """Arrivals of independent clients, `rate` a second, of kinds by their shares."""
    chance = random.Random(f"arrivals {seed}")  # noqa: S311  # of a simulation
    shares = list(accumulate(kind.share for kind in kinds))
    now = chance.expovariate(rate)
    while now < seconds:
        yield now, kinds[bisect(shares, chance.random() * shares[-1], hi=len(shares) - 1)]
        now += chance.expovariate(rate)


def opened(site: Site, arrivals: Iterable[Arrival], *, seed: int = 0, after: float = 0.0) -> Simulated:
    """Send each of `arrivals` (ascending) when it is due; those due `after` that second count."""

    async def work(loop: VirtualLoop) -> Simulated:
        fleet = Fleet(site, loop, seed=seed)
        answers: list[tuple[float, float | None]] = []

        async def ask(due: float, kind: KindCosts) -> None:
            answered = await fleet.answer(kind)
            if due >= after:
                answers.append((due, loop.time() - due if answered else None))

        asking: set[asyncio.Task[None]] = set()
        due = 0.0
        for due, kind in arrivals:
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            task = loop.create_task(ask(due, kind))
            asking.add(task)
            task.add_done_callback(asking.discard)
        if asking:
            await asyncio.wait(asking)
        return _result(fleet, loop, sorted(answers, key=lambda answer: answer[0]), seconds=due - after)

    return simulate(work)


def closed(site: Site, *, connections: int, seconds: float, seed: int = 0) -> Simulated:
    """Keep `connections` requests under way for so many seconds."""

    async def work(loop: VirtualLoop) -> Simulated:
        fleet = Fleet(site, loop, seed=seed)
        answers: list[tuple[float, float | None]] = []
        after = WARM * seconds

        async def client(number: int) -> None:
            kinds = [kind for _, kind in poisson(site.costs.kinds, rate=1, seconds=_MANY, seed=number)]
            asked = 0
            while (began := loop.time()) < seconds:
                answered = await fleet.answer(kinds[asked % len(kinds)])
                asked += 1
                if began >= after:
                    answers.append((began, loop.time() - began if answered else None))

        await asyncio.gather(*(client(number) for number in range(connections)))
        return _result(fleet, loop, answers, seconds=seconds - after)

    return simulate(work)


_MANY: Final = 200
"""Requests of a client, which it repeats."""


def _result(
    fleet: Fleet, loop: VirtualLoop, answers: Sequence[tuple[float, float | None]], *, seconds: float
) -> Simulated:
    fleet.close()
    batches = sum((replica.batches for replica in fleet.replicas), Counter[int]())
    return Simulated(seconds=seconds, answers=answers, busy=fleet.busy_seconds / loop.time(), batches=batches)
