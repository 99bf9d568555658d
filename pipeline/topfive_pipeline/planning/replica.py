"""One server in the simulation: the service's own batcher, queue, room and lanes, on cores that only count time.

What lives here: what a request does in a server, in the order of `topfive.request.classifier`. What does not: how
batches are formed and what is refused, which is the service's code; what a batch takes (`planning.slots`).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any, Final, cast

from topfive.batching.batch import BatcherHooks, Payload
from topfive.batching.batcher import Batcher
from topfive.batching.items import QueueLimits
from topfive.config.settings import Settings
from topfive.ground.errors import QueueFull
from topfive.request.admission import Admission, Entry
from topfive.request.preparing.lane import Job, Lane
from topfive.request.preparing.price import Price
from topfive_pipeline.planning.cores import Cores
from topfive_pipeline.planning.costs import Costs, KindCosts
from topfive_pipeline.planning.slots import Image, Slots, drawn
from topfive_pipeline.planning.virtual_time import VirtualClock, VirtualLoop

_NEVER: Final = float("inf")


class Replica:
    """A server on `cores`; its batches run there too, or on a `device`, which other servers may share.

    `batches`: how many of each size have run. `in_flight`: requests that the balancer has sent here and that have no
    answer yet. `takes`: whether the balancer sends it more.
    """

    def __init__(
        self, costs: Costs, loop: VirtualLoop, *, cores: Cores, device: Cores | None = None, seed: int = 0
    ) -> None:
        chance = random.Random(f"replica {seed}")  # noqa: S311  # of a simulation
        self._costs = costs
        self._cores = cores
        self._loop = loop
        self._chance = chance
        self._patience = float(_default("max_queue_wait_seconds"))
        self._lanes = {is_dear: Lane(costs.cores) for is_dear in (False, True)}
        self._turn = 0.0  # when the event loop has done all that it was given
        self._admission = Admission(
            max_requests=_default("max_in_flight_requests"),
            max_bytes=_default("max_in_flight_bytes"),
            slowest_seconds=_default("body_seconds"),
            now=loop.time,
        )
        self.batches: Counter[int] = Counter()
        self._batcher = Batcher(
            backend=Slots(costs, loop, cores=cores if device is None else device, chance=chance),
            limits=QueueLimits(
                max_batch_size=costs.batch_size_that_pays,
                max_items=costs.max_queue_items,
                max_bytes=_default("max_in_flight_bytes"),
                max_queue_delay_seconds=costs.max_queue_delay_seconds,
                graph_batch_size=costs.graph_batch_size,
                max_wait_seconds=self._patience,
            ),
            clock=VirtualClock(loop),
            hooks=BatcherHooks(self._ran, _ignore, _ignore, _ignore),
        )
        self.in_flight = 0
        self.takes = True

    async def answer(self, kind: KindCosts) -> None:
        """Take a request of that kind to its answer; raises one of `topfive.ground.errors` if it is refused."""
        await self._on_loop()
        with Entry(self._admission, self._batcher.room, nbytes=kind.nbytes) as entry:
            entry.charge(kind.nbytes)
            entry.is_whole()
            if kind.in_slot:
                entry.begin(1)
            else:
                await self._prepare(kind, entry)
            entry.release_places()
            await self._batcher.submit([cast("Payload", Image(kind))])
        if self._costs.fixed_seconds:
            await asyncio.sleep(self._costs.fixed_seconds)
        await self._on_loop()

    async def _on_loop(self) -> None:
        """Half of what the event loop does for a request, on its one thread, after what it has to do already."""
        seconds = self._costs.loop_seconds / 2
        waits = max(0.0, self._turn - self._loop.time())
        self._turn = self._loop.time() + waits + seconds
        if waits:
            await asyncio.sleep(waits)
        done = self._loop.create_future()
        self._cores.run_first(seconds, lambda: done.set_result(None))
        await done

    async def _prepare(self, kind: KindCosts, entry: Entry) -> None:
        """Decode and resize on a thread, in the order of the service's lane; refuse as `Preparation.check` does."""
        price = Price(kind.name, kind.price_seconds, 0, is_dear=kind.is_dear)
        lane, now = self._lanes[kind.is_dear], self._loop.time()
        if (wait := lane.wait_seconds(price, now=now)) > self._patience:
            raise QueueFull("too many images wait to be decoded", retry_after_seconds=wait)
        entry.begin(1, is_near=not kind.is_dear)
        is_idle = not any(each.running or len(each) for each in self._lanes.values())
        alone = is_idle and self._batcher.would_run_alone
        job = Job(price, _ignore, self._loop.create_future(), _NEVER, bool)
        lane.put(job, now=now)
        self._start(lane)
        await job.outcome  # it has a thread
        began = self._loop.time()
        if alone:
            await self._computed(kind.decode_seconds)
            await self._computed(kind.resize_alone_seconds, threads=self._costs.cores)
        else:
            await self._computed(kind.decode_seconds + kind.resize_seconds)
        lane.running.discard(job)
        lane.learn(price, self._loop.time() - began)
        self._start(lane)

    def _start(self, lane: Lane) -> None:
        while len(lane.running) < lane.places and lane.first() is not None:
            lane.start(now=self._loop.time()).outcome.set_result(None)

    async def _computed(self, seconds: float, *, threads: int = 1) -> None:
        factor = drawn(self._costs, self._cores, self._chance)
        done = self._loop.create_future()
        self._cores.run(seconds * factor, lambda: done.set_result(None), threads=threads)
        await done

    def _ran(self, images: int, _: float, __: float) -> None:
        self.batches[images] += 1


def _default(name: str) -> Any:
    return Settings.model_fields[name].default


def _ignore(*_: object) -> None:
    """Nobody is told."""
