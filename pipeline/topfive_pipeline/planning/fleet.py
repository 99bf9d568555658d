"""Servers behind a balancer, in the simulation: who gets a request, and what happens to those of a server that is lost.

A lost server's requests are sent once more, to another, as `deploy/nginx.conf` does it: a classification changes
nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

from topfive.ground.errors import TopfiveError
from topfive_pipeline.planning.cores import Cores
from topfive_pipeline.planning.costs import Costs, KindCosts
from topfive_pipeline.planning.replica import Replica
from topfive_pipeline.planning.virtual_time import VirtualLoop

Policy = Literal["least_conn", "round_robin", "random_two"]
TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Loss:
    """Server `number` is gone `at` that second; its requests and the balancer notice that `noticed_seconds` later."""

    at: float
    number: int = 0
    noticed_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Rollout:
    """From second `at` on, each server in turn gets no more requests, ends those that it has, and starts anew."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`replicas` servers of `costs`, and how requests reach them.

    `machine_cores`: if not 0, all servers share one machine with so many cores; otherwise each has cores of its own.
    `gpus`: of costs that are on a device, how many all servers share.
    """

    costs: Costs
    replicas: int = 1
    policy: Policy = "least_conn"
    machine_cores: int = 0
    gpus: int = 1
    events: Sequence[Loss | Rollout] = ()


class Fleet:
    """The servers of a `site`."""

    def __init__(self, site: Site, loop: VirtualLoop, *, seed: int) -> None:
        self._site = site
        self._loop = loop
        self._seeds = count(1000 * seed)
        self._chance = random.Random(f"balancer {seed}")  # noqa: S311  # of a simulation
        costs = site.costs
        number = site.machine_cores or costs.cores
        machines = [
            Cores(loop, number=number, misplaced=costs.misplaced, seed=next(self._seeds))
            for _ in range(1 if site.machine_cores else site.replicas)
        ]
        self._cores = [machines[which % len(machines)] for which in range(site.replicas)]
        self._device = Cores(loop, number=site.gpus * costs.slots) if costs.on_device else None
        self.replicas = [self._new(number) for number in range(site.replicas)]
        self._asking: list[set[asyncio.Task[None]]] = [set() for _ in self.replicas]
        self._lost: set[int] = set()
        self._turn = 0
        self._changes = [loop.create_task(self._change(event)) for event in site.events]

    def _new(self, number: int) -> Replica:
        return Replica(
            self._site.costs, self._loop, cores=self._cores[number], device=self._device, seed=next(self._seeds)
        )

    @property
    def busy_seconds(self) -> float:
        """Of an average core, or, if those are busier, of an average slot of the GPUs."""
        several = [set(self._cores), {self._device} if self._device is not None else set()]
        return max(
            sum(cores.busy_seconds for cores in each) / sum(cores.number for cores in each) for each in several if each
        )

    async def answer(self, kind: KindCosts) -> bool:
        """Have a request of that kind answered; False if it is refused, or was lost twice."""
        task = asyncio.current_task()
        assert task is not None
        for _ in range(TRIES):
            number = self._chosen()
            if number is None:
                return False
            replica, asking = self.replicas[number], self._asking[number]
            replica.in_flight += 1
            asking.add(task)
            try:
                if number in self._lost:
                    await asyncio.Event().wait()  # `_lose` cancels it
                await replica.answer(kind)
                return True
            except TopfiveError:
                return False
            except asyncio.CancelledError:
                if number not in self._lost:
                    raise
                task.uncancel()
            finally:
                replica.in_flight -= 1
                asking.discard(task)
        return False

    def _chosen(self) -> int | None:
        """The server that the balancer sends the next request to."""
        up = [number for number, replica in enumerate(self.replicas) if replica.takes]
        if not up:
            return None
        self._turn += 1
        first = self._turn % len(up)
        if self._site.policy == "round_robin":
            return up[first]
        if self._site.policy == "random_two":
            up, first = self._chance.sample(up, min(2, len(up))), 0
        in_turn = up[first:] + up[:first]
        return min(in_turn, key=lambda number: self.replicas[number].in_flight)

    async def _change(self, event: Loss | Rollout) -> None:
        await asyncio.sleep(event.at)
        if isinstance(event, Loss):
            await self._lose(event)
        else:
            for number in range(len(self.replicas)):
                await self._restart(number)

    async def _lose(self, loss: Loss) -> None:
        self._lost.add(loss.number)
        await asyncio.sleep(loss.noticed_seconds)
        self.replicas[loss.number].takes = False
        for task in list(self._asking[loss.number]):
            task.cancel()

    async def _restart(self, number: int) -> None:
        old = self.replicas[number]
        old.takes = False
        await asyncio.gather(*(asyncio.shield(task) for task in self._asking[number]))
        await asyncio.sleep(self._site.costs.start_seconds)
        self.replicas[number] = self._new(number)

    def close(self) -> None:
        """End what would still change."""
        for task in self._changes:
            task.cancel()
