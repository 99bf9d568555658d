"""Preparation: runs the jobs that decode and resize images, in order, within deadlines and memory bounds.

What lives here: two lanes with their threads, the refusals on arrival, deadlines and memory. What does not: what is
done to an image (`request.preparing.payloads`), the order in a lane (`request.preparing.lane`), batches.

Light images are decoded on threads. Dear images (`request.preparing.price`) have a lane of their own, whose threads let
processes decode (`request.preparing.decoder`): only a process can be ended, at a deadline or a bound, and its work does
not hold up the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from topfive.batching.sharing import Sharer
from topfive.ground.clock import Alarm, Clock
from topfive.ground.errors import ClientDisconnected, DeadlineExceeded, NotReady, QueueFull
from topfive.images.decoding import DecodingRules, ImageLimits, decode
from topfive.images.files.limits import Buffer
from topfive.machine.workers import WorkerPool
from topfive.request.admission import Admission
from topfive.request.preparing.decoder import Decoder
from topfive.request.preparing.lane import Job, Lane
from topfive.request.preparing.price import Price, price_of

T = TypeVar("T")
Decode = Callable[[Buffer], NDArray[np.uint8]]
"""Decodes an image file to UINT8 [1, H, W, 3]."""

_NEVER: Final = float("inf")
_LOOK_SECONDS: Final = 0.25
"""How often jobs are checked for clients that have left, and whether there is memory for the next dear job."""

_LAST: Final = Price("last", 1e9, 0, is_dear=False)
"""A price behind all others, for the wait of a job that would be the last."""


@dataclass(frozen=True, slots=True)
class PreparingLimits:
    """Threads of each lane; the longest estimated wait; the longest dear decode; how many dear jobs may wait."""

    threads: int
    max_wait_seconds: float
    max_decode_seconds: float
    max_dear: int


class Preparation:
    """Runs jobs; made and used on one event loop. `on_death` is called with the error when a thread dies."""

    def __init__(
        self,
        limits: PreparingLimits,
        *,
        images: ImageLimits,
        rules: DecodingRules,
        admission: Admission,
        clock: Clock,
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._limits = limits
        self._images = images
        self._rules = rules
        self._admission = admission
        self._clock = clock
        self._alarm = Alarm(clock)
        self._looks_at = _NEVER
        self._closed = False
        self._light, self._dear = Lane(limits.threads), Lane(limits.threads)
        self._threads = {
            self._light: WorkerPool(threads=limits.threads, name="prepare", on_death=on_death),
            self._dear: WorkerPool(threads=limits.threads, name="prepare-dear", on_death=on_death),
        }
        self._decoders = [Decoder(images, rules, seconds=limits.max_decode_seconds) for _ in range(limits.threads)]
        self._free: SimpleQueue[Decoder] = SimpleQueue()
        for decoder in self._decoders:
            self._free.put(decoder)

    @property
    def pools(self) -> Sequence[WorkerPool]:
        """The threads of both lanes."""
        return tuple(self._threads.values())

    def waiting(self) -> dict[str, tuple[int, float]]:
        """For each lane, how many jobs wait, and how many seconds a new job behind them all would wait."""
        now = self._clock.now()
        lanes = {"small": self._light, "dear": self._dear}
        return {name: (len(lane), lane.wait_seconds(_LAST, now=now)) for name, lane in lanes.items()}

    @property
    def is_idle(self) -> bool:
        """Whether no job waits or runs."""
        return not any(lane.running or len(lane) for lane in self._threads)

    def price_of(self, body: Buffer, *, short_side: int) -> Price:
        """The price of preparing an image file; `short_side` as `images.decoding.decode` takes it."""
        return price_of(body, self._images, short_side=short_side)

    def check(self, prices: Sequence[Price], *, deadline: float, tenant: Sharer | None = None) -> float:
        """How long jobs of these prices, of one request of `tenant`, would wait, in seconds.

        Raises `QueueFull` if that is too long or too many dear jobs wait; `DeadlineExceeded` if it passes `deadline`.
        """
        now = self._clock.now()
        wait = max((self._lane(price).wait_seconds(price, now=now, tenant=tenant) for price in prices), default=0.0)
        if now + wait > deadline:
            raise DeadlineExceeded(
                f"the images before this one would take {wait:.3f} s to decode, which is beyond the deadline; allow "
                "more time, or send less load"
            )
        dear = sum(price.is_dear for price in prices)
        if dear and len(self._dear) and len(self._dear) + dear > self._limits.max_dear:
            raise QueueFull(
                f"too many large images wait to be decoded: {len(self._dear)}, of at most {self._limits.max_dear}; "
                "retry later, or send smaller images",
                retry_after_seconds=wait,
            )
        if wait > self._limits.max_wait_seconds:
            raise QueueFull(
                f"too many images wait to be decoded: this one would wait {wait:.3f} s, of at most "
                f"{self._limits.max_wait_seconds:g} s; retry later, or send smaller images",
                retry_after_seconds=wait,
            )
        return wait

    def run(
        self,
        price: Price,
        call: Callable[[Decode], T],
        *,
        deadline: float,
        abandoned: Callable[[], bool],
        tenant: Sharer | None = None,
    ) -> asyncio.Future[T]:
        """Run `call(decode)` on a thread as a job of this price.

        The future gets its result, its error, `DeadlineExceeded` or `ClientDisconnected`. In the last two cases, and
        when the future is cancelled, a dear decode is ended.
        """
        if self._closed:
            raise NotReady("the service stops and decodes no more; send the request to another replica")
        lane, now = self._lane(price), self._clock.now()
        job = Job(price, call, asyncio.get_running_loop().create_future(), deadline, abandoned, tenant=tenant)
        job.outcome.add_done_callback(partial(self._told, job))
        lane.put(job, now=now)
        self._dispatch(lane)
        self._look_by(min(deadline, now + _LOOK_SECONDS))
        outcome: asyncio.Future[T] = job.outcome
        return outcome

    def close(self, *, timeout_seconds: float) -> bool:
        """Refuse all jobs and end the threads and processes; whether all threads ended within the time."""
        self._closed = True
        stopped = NotReady("the service stopped before it could decode; send the request to another replica")
        for lane in self._threads:
            for job in list(lane):
                _tell(job, stopped)
        for decoder in self._decoders:
            decoder.close()
        self._alarm.set(_NEVER, self._look)
        ended = [pool.close(timeout_seconds=timeout_seconds) for pool in self.pools]
        return all(ended)

    def _lane(self, price: Price) -> Lane:
        return self._dear if price.is_dear else self._light

    def _dispatch(self, lane: Lane) -> None:
        """Hand jobs to threads; twice as many light ones as there are threads, so that no thread waits for the loop."""
        places = lane.places if lane is self._dear else 2 * lane.places
        while len(lane.running) < places and (job := lane.first()) is not None:
            if job.outcome.done():  # it has been answered already
                lane.drop({job})
                continue
            if lane is self._dear:
                if lane.running and not self._admission.has_room(job.price.nbytes):
                    return
                self._admission.take(job.price.nbytes)
            lane.start(now=self._clock.now())
            call = self._run_dear if lane is self._dear else self._run_light
            self._threads[lane].run(call, job).add_done_callback(partial(self._ended, lane, job))

    def _run_light(self, job: Job) -> tuple[Any, float]:
        began = self._clock.now()
        price = job.price
        read = partial(decode, limits=self._images, rules=self._rules, head=price.head, short_side=price.short_side)
        result = job.call(read)
        return result, self._clock.now() - began

    def _run_dear(self, job: Job) -> tuple[Any, float]:
        began = self._clock.now()
        decoder = self._free.get()
        try:
            result = job.call(partial(decoder.decode, wanted=job.outcome, short_side=job.price.short_side))
        finally:
            self._free.put(decoder)
        return result, self._clock.now() - began

    def _ended(self, lane: Lane, job: Job, run: asyncio.Future[tuple[Any, float]]) -> None:
        lane.running.discard(job)
        if lane is self._dear:
            self._admission.give_back(job.price.nbytes)
        error = run.exception()
        if error is not None:
            _tell(job, error)
        else:
            result, seconds = run.result()
            lane.learn(job.price, seconds)
            if not job.outcome.done():
                job.outcome.set_result(result)
        self._dispatch(lane)

    def _told(self, job: Job, outcome: asyncio.Future[Any]) -> None:
        """Called when `job` has its outcome: drop it if it still waits, end the process that decodes for it, if any."""
        lane = self._lane(job.price)
        if job.waits:
            lane.drop({job})
        elif job in lane.running:
            for decoder in self._decoders:
                decoder.end(outcome)

    def _look_by(self, when: float) -> None:
        if when < self._looks_at:
            self._looks_at = when
            self._alarm.set(when, self._look)

    def _look(self) -> None:
        """End jobs whose deadline has passed or whose client has left; then start jobs if there is memory again."""
        self._looks_at = _NEVER
        now, earliest = self._clock.now(), _NEVER
        for lane in self._threads:
            for job in list(lane):
                if job.deadline <= now:
                    _tell(job, DeadlineExceeded("the deadline passed before the image was prepared; allow more time"))
                elif job.abandoned():
                    _tell(job, ClientDisconnected("the client hung up while its image was prepared"))
                elif not job.outcome.done():
                    earliest = min(earliest, job.deadline, now + _LOOK_SECONDS)
            self._dispatch(lane)
        self._look_by(earliest)


def _tell(job: Job, error: BaseException) -> None:
    if not job.outcome.done():
        job.outcome.set_exception(error)
