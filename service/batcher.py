"""The dynamic batcher: the queue's shell, which owns time, slots and waiters.

One method, `_dispatch`, owns every decision. It is called when something changed (an item came, a batch ended, a timer
fired) and does no I/O, so there is no loop to die or to poll. What you can rely on (tested in `tests/test_batcher.py`):

- every `submit` returns or raises exactly once;
- a place in the backend is reserved before a batch is formed, and never more than `slots` batches run;
- with slots idle, each takes its share of what waits, so none swallows the queue while another idles;
- a result of the wrong length, or an exception in the backend, fails that batch only;
- a cancelled, expired or abandoned item never reaches a graph, and is counted;
- `drain` answers everybody;
- if the decision itself raises, every waiter gets that error and `on_failure` is told, so that readiness goes down.

A batch runs *alone* when it is the only item there is and nothing came while the last batch ran: then it may use the
cores of all slots, which halves a lone client's latency and costs a busy server nothing.

A backend may ask for `prefetch` batches beyond its slots, so that a slot need not wait for the event loop between two
batches. Only full batches are handed over ahead: no later item could have joined them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from service.backends.base import Backend, Row
from service.batch import BatcherHooks, HandedBatch, Outcome, Payload, Reservation, fail_all, refuse
from service.batching_queue import BatchingQueue, Item, ItemState, QueueLimits
from service.clock import Clock, TimerHandle
from service.errors import (
    BackendFailure,
    ClientDisconnected,
    DeadlineExceeded,
    NotReady,
    QueueFull,
    TooLarge,
)

_NEVER: Final = float("inf")
_RATE_SMOOTHING: Final = 0.1
"""Weight of the newest batch in the running cost per image: remembers about the last ten batches."""
_DEFECT: Final = "the batcher has failed; this is not your fault, and the process says so"
_FAILED: Final = "the model failed on the batch that held this image; this is not your fault"


def _never_abandoned() -> bool:
    return False


class Batcher:
    """Batches what is submitted and runs it on `backend`; made and used on one event loop."""

    def __init__(self, *, backend: Backend, limits: QueueLimits, clock: Clock, hooks: BatcherHooks) -> None:
        self._backend = backend
        self._queue = BatchingQueue(limits)
        self._clock = clock
        self._hooks = hooks
        self._reserved = 0
        self._busy = 0
        self._alone = False
        self._runs: set[asyncio.Future[Sequence[Row]]] = set()
        self._timer: TimerHandle | None = None
        self._timer_when = _NEVER
        self._submissions = 0
        self._calm = True
        self._seconds_per_image = 0.0
        self._failure: BaseException | None = None
        self._left = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Batcher {self._queue!r}, {self._busy}/{self._backend.slots} slots busy, failure={self._failure!r}>"

    @property
    def prepares(self) -> bool:
        """Whether `Unprepared` images should be submitted: the backend's slots are the cores' own threads."""
        return self._backend.prepares

    @property
    def waiting(self) -> tuple[int, int]:
        """Images that wait for a batch, and their bytes."""
        return self._queue.items, self._queue.nbytes

    def estimated_wait_seconds(self) -> float:
        """How long what waits now, or is on its way, will take to leave, from the measured cost per image."""
        return (self._queue.items + self._reserved) * self._seconds_per_image

    def reserve(self) -> Reservation:
        """Somebody is inside."""
        self._check_room(0, 0)
        return Reservation(self._extend, self._release)

    def check_room(self, images: int, *, deadline: float = _NEVER, priority: int = 0) -> None:
        """Raise what would be raised for them."""
        most = self._queue.limits.max_items
        if images > most:
            raise TooLarge(f"the request has {images} images, and at most {most} may wait for this model; send fewer")
        self._check_room(images, 0)

    def _extend(self, images: int, deadline: float, priority: int) -> None:
        self.check_room(images, deadline=deadline, priority=priority)
        self._reserved += images

    def _release(self, images: int) -> None:
        self._reserved -= images
        self._left.set()

    def _check_room(self, images: int, nbytes: int) -> None:
        if self._failure is not None:
            raise NotReady("the batcher has failed and this process is about to be replaced; retry later")
        try:
            self._queue.check_room(images + self._reserved, nbytes)
        except QueueFull as full:
            full.retry_after_seconds = self.estimated_wait_seconds()
            raise

    async def submit(
        self,
        payloads: Sequence[Payload],
        *,
        reservation: Reservation | None = None,
        deadline: float = _NEVER,
        abandoned: Callable[[], bool] = _never_abandoned,
        priority: int = 0,
    ) -> list[Outcome]:
        """Run `payloads` (of one request, any shapes), in batches with whoever else is there; all enter or none does.

        `reservation`: places held for them. `deadline`: monotonic seconds. `abandoned`: asked just before dispatch
        whether the caller is still there. Raises `QueueFull`, `NotReady`, `DeadlineExceeded`, `ClientDisconnected` or
        `BackendFailure`.
        """
        if reservation is not None:
            reservation.release()
        self._check_room(len(payloads), sum(payload.nbytes for payload in payloads))
        now = self._clock.now()
        loop = asyncio.get_running_loop()
        items = [
            Item(
                key=payload.shape,
                payload=payload,
                nbytes=payload.nbytes,
                deadline=deadline,
                waiter=loop.create_future(),
                abandoned=abandoned,
            )
            for payload in payloads
        ]
        for item in items:
            self._queue.put(item, now=now)
        self._submissions += 1
        self._dispatch()
        try:
            return [await item.waiter for item in items]
        finally:
            self._withdraw(items)

    def hurry(self) -> None:
        """Make nobody wait for company any more; still take new work."""
        self._queue.hurry()
        self._dispatch()

    async def drain(self) -> None:
        """Take nothing more in, run everything that waits, and return when all are answered."""
        self._queue.close()
        self._dispatch()
        while self._runs:
            await asyncio.wait(self._runs)

    async def retire(self) -> None:
        """Return when nobody is inside any more: no reservation open, nothing waiting or running. Then it is closed."""
        while self._reserved or self._queue.items or self._runs:
            self._left.clear()
            await self._left.wait()
        self._queue.close()

    def _withdraw(self, items: Sequence[Item]) -> None:
        """Take back what its caller no longer waits for: it was cancelled, or a sibling failed."""
        self._left.set()
        for item in items:
            if self._queue.cancel(item):
                self._hooks.on_discard("cancelled")
            if not item.waiter.cancel() and not item.waiter.cancelled():
                item.waiter.exception()  # retrieved: a sibling's error has been reported already

    def _dispatch(self) -> None:
        try:
            now = self._clock.now()
            for item in self._queue.expire(now=now):
                self._expire(item, now)
            while batch := self._next_batch(now):
                self._hand_over(batch)
            self._arm_timer(now)
        except Exception as error:  # noqa: BLE001  # a defect here would otherwise leave every waiter hanging
            self._fail(error)

    def _hand_over(self, batch: list[Item]) -> None:
        try:
            alone = self._may_run_alone()
            if wanted := self._still_there(batch):
                self._start(HandedBatch(wanted, self._clock), alone=alone)
        except Exception as error:
            fail_all(batch, error, _DEFECT)  # it has left the queue, so nobody else would
            raise

    def _next_batch(self, now: float) -> list[Item]:
        """A share of what waits for each idle slot; beyond the slots, only what is full."""
        idle = self._backend.slots - self._busy
        if idle > 0:
            share = -(-self._queue.items // idle)
            return self._queue.take(max(1, share), now=now)
        return self._queue.take_full() if -idle < self._backend.prefetch and not self._alone else []

    def _may_run_alone(self) -> bool:
        """Whether the batch just taken, of one item, is all there is."""
        return self._calm and self._backend.serves_alone and not self._busy and not self._queue.items

    def _still_there(self, batch: list[Item]) -> list[Item]:
        """`batch` less the items whose client has hung up."""
        wanted = []
        for item in batch:
            if item.abandoned():
                item.state = ItemState.CANCELLED
                self._hooks.on_discard("abandoned")
                refuse(item, ClientDisconnected("the client hung up while its image waited"))
            else:
                wanted.append(item)
        return wanted

    def _start(self, batch: HandedBatch, *, alone: bool) -> None:
        slots = self._backend.slots if alone else 1
        self._busy += slots
        self._alone = alone
        try:
            run = self._backend.infer(batch, alone=alone)
        except Exception as error:  # noqa: BLE001  # as if the run itself had failed
            run = asyncio.get_running_loop().create_future()
            run.set_exception(error)
        self._runs.add(run)
        run.add_done_callback(partial(self._end, batch, slots, self._submissions))

    def _end(self, batch: HandedBatch, slots: int, submissions: int, run: asyncio.Future[Sequence[Row]]) -> None:
        self._runs.discard(run)
        self._left.set()
        self._calm = submissions == self._submissions
        self._busy -= slots
        self._alone = False
        try:
            error = asyncio.CancelledError() if run.cancelled() else run.exception()
            if error is None and len(run.result()) != len(batch.wanted):
                error = BackendFailure(f"{len(run.result())} rows were answered to a batch of {len(batch.wanted)}")
            if error is None:
                self._settle(batch, run.result(), slots)
                self._tell_left_out(batch)
            else:
                self._tell_left_out(batch)
                fail_all(_unanswered(batch), error, _FAILED)
                self._hooks.on_batch_failure(len(batch.wanted), error)
                if not isinstance(error, Exception | asyncio.CancelledError):
                    self._fail(error)
        except Exception as defect:  # noqa: BLE001  # in a hook; nobody would learn of it otherwise
            fail_all(_unanswered(batch), defect, _DEFECT)
            self._fail(defect)
        self._dispatch()

    def _tell_left_out(self, batch: HandedBatch) -> None:
        """Answer and count the members that were not claimed: too late, impossible to prepare, or cancelled."""
        for item in batch.late:
            self._expire(item, batch.started)
        for item, error in batch.failed:
            fail_all([item], error, _FAILED)
            self._hooks.on_batch_failure(1, error)
        for item in batch.items:
            if item.waiter.cancelled() and item not in batch.wanted:
                self._hooks.on_discard("cancelled")

    def _settle(self, batch: HandedBatch, rows: Sequence[Row], slots: int) -> None:
        size, ended = len(rows), self._clock.now()
        resize_seconds, seconds = batch.prepared - batch.started, ended - batch.prepared
        for item, row in zip(batch.wanted, rows, strict=True):
            item.state = ItemState.DONE
            if not item.waiter.done():
                item.waiter.set_result(Outcome(row, batch.started - item.arrived, resize_seconds, seconds, size))
        if size:
            cost = (ended - batch.started) * slots / size / self._backend.slots
            before = self._seconds_per_image or cost
            self._seconds_per_image = before + _RATE_SMOOTHING * (cost - before)
            self._hooks.on_batch(size, resize_seconds, seconds)

    def _expire(self, item: Item, now: float) -> None:
        item.state = ItemState.EXPIRED
        self._hooks.on_discard("expired")
        waited = f"{now - item.arrived:.3f} s"
        refuse(item, DeadlineExceeded(f"the deadline passed after {waited} in the queue; allow more, or send less"))

    def _arm_timer(self, now: float) -> None:
        when = self._queue.next_event(now=now)
        if when == self._timer_when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_when = when
        self._timer = None if when == _NEVER else self._clock.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_when = None, _NEVER
        self._dispatch()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._queue.close()
        fail_all(self._queue.drain(), error, _DEFECT)
        self._hooks.on_failure(error)


def _unanswered(batch: HandedBatch) -> list[Item]:
    return [item for item in batch.items if not item.waiter.done()]
