"""Stand-ins that tests steer: time that stands still, and a backend that holds its batches until told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from topfive.backends.base import Batch, Row, Tensor
from topfive.batching.batch import BatcherHooks
from topfive.batching.batcher import Batcher
from topfive.batching.items import QueueLimits

SHAPE = (2, 2, 3)


@dataclass(eq=False)
class _Timer:
    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakeClock:
    """Time moves only by `advance`, which runs the timers that fall due."""

    time: float = 100.0
    timers: list[_Timer] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(when, callback)
        self.timers.append(timer)
        return timer

    @property
    def armed(self) -> list[float]:
        return sorted(timer.when for timer in self.timers if not timer.cancelled)

    def advance(self, seconds: float) -> None:
        self.time += seconds
        due = [timer for timer in self.timers if timer.when <= self.time and not timer.cancelled]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in sorted(due, key=lambda timer: timer.when):
            timer.callback()


def image(value: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """An image that can be told from others by its first byte."""
    return np.full(shape, value, np.uint8)


def value_of(row: Row) -> int:
    """The image that a row of `HeldBackend` answers."""
    return int(row["value"])


@dataclass(eq=False)
class HeldBatch:
    """A batch that has reached the backend and waits for the test's word."""

    batch: Batch
    alone: bool
    release: asyncio.Future[list[Row]]
    values: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Run it, as far as the batcher can tell."""
        self.values = [int(tensor.flat[0]) for tensor in self.batch.claim()]

    def answer(self, poison: Collection[int] = ()) -> None:
        """Answer it; if it holds `poison`, fail it."""
        if any(value in poison for value in self.values):
            self.fail()
        else:
            self.release.set_result([{"value": np.array(value)} for value in self.values])

    def fail(self, error: BaseException | None = None) -> None:
        self.release.set_exception(error or OSError("down"))


class HeldBackend:
    """Holds every batch until the test answers or fails it; starts as many as it has slots, in order.

    While `starts` is false none starts, as if there were no thread. While `ends` is false, one that hangs does so
    whatever it is told.
    """

    def __init__(
        self, *, slots: int = 1, serves_alone: bool = False, batch_size_that_pays: int = 4, prefetch: int = 0
    ) -> None:
        self.slots = slots
        self.prefetch = prefetch
        self.prepares = False
        self.cancels = False
        self.engine = ""
        self.serves_alone = serves_alone
        self.batch_size_that_pays = batch_size_that_pays
        self.starts = True
        self.ends = False
        self.told_to_end = asyncio.Event()
        self.held: list[HeldBatch] = []
        self.ahead: list[HeldBatch] = []
        self.ran: list[HeldBatch] = []

    async def warm_up(self) -> None:
        pass

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        return asyncio.get_running_loop().create_task(self._hold(batch, alone=alone))

    async def _hold(self, batch: Batch, *, alone: bool) -> Sequence[Row]:
        handed = HeldBatch(batch, alone, asyncio.get_running_loop().create_future())
        self.ahead.append(handed)
        assert len(self.ahead) + len(self.held) <= self.slots + self.prefetch, "more was handed over than asked for"
        self._start_next()
        try:
            return await handed.release
        finally:
            (self.held if handed in self.held else self.ahead).remove(handed)
            self._start_next()

    def _start_next(self) -> None:
        while self.starts and self.ahead and len(self.held) < self.slots:
            handed = self.ahead.pop(0)
            self.held.append(handed)
            handed.start()
            if handed.values:
                self.ran.append(handed)
            else:
                handed.release.set_result([])

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        self.told_to_end.set()
        if self.ends or self.cancels:
            run.cancel()

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


class LocalFactory:
    """The part of a backend factory that has nothing to do where the graphs run in this process."""

    left_behind = False

    async def wait_until_reachable(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class Events:
    """What a batcher's hooks were told."""

    batches: list[int] = field(default_factory=list)
    failures: list[tuple[int, BaseException]] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    fatal: list[BaseException] = field(default_factory=list)

    def hooks(self) -> BatcherHooks:
        return BatcherHooks(
            on_batch=lambda size, *_: self.batches.append(size),
            on_batch_failure=lambda size, error: self.failures.append((size, error)),
            on_discard=self.discarded.append,
            on_failure=self.fatal.append,
        )


class Inside:
    """A request inside a batcher's room, until the end of the `with` block, and the places that it holds."""

    def __init__(self, batcher: Batcher) -> None:
        self._room = batcher.room
        self._room.enter()
        self._images = 0
        self._level = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._room.leave()

    def extend(self, images: int, *, deadline: float = float("inf"), priority: int = 0) -> None:
        """Hold so many places more, all at this priority."""
        self._room.check(images, deadline=deadline, priority=priority)
        held = self._images
        self.release()
        self._images, self._level = held + images, self._room.level(priority)
        self._room.hold(self._images, self._level)

    def release(self) -> None:
        if self._images:
            self._room.hold(-self._images, self._level)
            self._images = 0


@dataclass
class Bench:
    """A batcher on a held backend and a standing clock."""

    backend: HeldBackend
    clock: FakeClock = field(default_factory=FakeClock)
    events: Events = field(default_factory=Events)
    max_items: int = 100
    max_bytes: int = 1 << 20
    delay: float = 0.0
    graph_batch_size: int = 1
    max_wait_seconds: float = float("inf")
    levels: int = 0
    default_level: int = 0

    def __post_init__(self) -> None:
        limits = QueueLimits(
            max_batch_size=self.backend.batch_size_that_pays,
            max_items=self.max_items,
            max_bytes=self.max_bytes,
            max_queue_delay_seconds=self.delay,
            graph_batch_size=self.graph_batch_size,
            max_wait_seconds=self.max_wait_seconds,
            priority_levels=self.levels,
            default_priority_level=self.default_level,
        )
        self.batcher = Batcher(backend=self.backend, limits=limits, clock=self.clock, hooks=self.events.hooks())

    def submit(
        self,
        *values: int,
        deadline: float = float("inf"),
        priority: int = 0,
        abandoned: Callable[[], bool] = bool,
        inside: Inside | None = None,
    ) -> asyncio.Task[list[int]]:
        """Submit images of these values as one request; the task gives back the values answered."""

        async def run() -> list[int]:
            with contextlib.nullcontext(inside) if inside else Inside(self.batcher) as here:
                if inside is None:
                    here.extend(len(values), deadline=deadline, priority=priority)
                here.release()
                outcomes = await self.batcher.submit(
                    [image(value) for value in values], deadline=deadline, priority=priority, abandoned=abandoned
                )
            return [value_of(outcome.row) for outcome in outcomes]

        return asyncio.get_running_loop().create_task(run())

    @property
    def running(self) -> list[list[int]]:
        """The values in each batch that runs."""
        return [batch.values for batch in self.backend.held]

    async def measure(self, seconds_per_image: float) -> None:
        """Let the batcher learn what an image costs."""
        request = self.submit(255)
        await settle()
        self.clock.advance(seconds_per_image)
        self.backend.held[0].answer()
        assert await request == [255]

    async def answer_all(self, poison: Collection[int] = ()) -> None:
        """Answer, one after the other, all that runs and waits."""
        await settle()
        while self.backend.held:
            self.backend.held[0].answer(poison)
            await settle()


async def settle() -> None:
    """Let every task that can run, run: a bounded number of turns of the loop, no time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def answers(*requests: asyncio.Task[list[int]]) -> list[list[int]]:
    """What each request was answered; raises what the first failed one raises."""
    return list(await asyncio.gather(*requests))
