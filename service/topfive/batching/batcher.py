"""The dynamic batcher: it takes items into the queue, forms batches and hands them to the backend.

The method `_dispatch` makes every decision. It is called when something changed (an item came, a batch ended, a timer
fired) and does no I/O; there is no loop that could die or poll. The tests show that:

- every `submit` returns or raises exactly once;
- a batch is formed only when the backend can take it, and at most `slots` batches run;
- each idle slot takes its share of the queue, so that no slot takes all items while another is idle;
- the members of a batch that fails (an exception in the backend, or a result of the wrong length) run again one by
  one, once, before everything that waits; only the members that fail by themselves too get an error;
- a request with a deadline has an answer by then, rows or `DeadlineExceeded`, even if its batch still runs;
- a cancelled, expired or abandoned item never reaches a graph, and is counted; a batch whose members all have their
  answer or were cancelled is cancelled, if the backend can do that;
- `drain` answers every item; `retire` first waits until every request that is inside has left;
- if `_dispatch` itself raises, every waiter gets an error and `on_failure` is called, so that readiness goes down;
- `fail_if_stuck` ends a batch that does not end by itself, and it fails; if that has no effect, all waiters get an
  error;
- while the backend cannot be reached (`suspend`), every request is refused at once, until `resume`.

When a batch runs alone, and when one is handed over ahead: docs/architecture.md. Other modules have the bounds on
arrival (`batching.room`), the batches that run (`batching.running`), the answers (`batching.answers`), and the items
that run again (`batching.retries`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from topfive.access.tenants import Tenant
from topfive.backends.base import Backend, Row
from topfive.batching.answers import DEFECT, Answers, fail_all
from topfive.batching.batch import BatcherHooks, HandedBatch, Outcome, Payload
from topfive.batching.items import Item, QueueLimits
from topfive.batching.queue import BatchingQueue
from topfive.batching.retries import Retries
from topfive.batching.room import Room
from topfive.batching.running import Running
from topfive.ground.clock import Alarm, Clock
from topfive.ground.errors import BackendFailure, BackendUnreachable
from topfive.ground.types import Fill

_NEVER: Final = float("inf")


class Batcher:
    """Forms batches of the submitted images and runs them on `backend`; made and used on one event loop."""

    def __init__(self, *, backend: Backend, limits: QueueLimits, clock: Clock, hooks: BatcherHooks) -> None:
        self._backend = backend
        self._queue = BatchingQueue(limits)
        self._retries = Retries()
        self.room = Room(self._queue, self._retries, clock)
        self._answers = Answers(hooks)
        self._running = Running(backend, clock)
        self._clock = clock
        self._alarm = Alarm(clock)
        self._submissions = 0
        self._calm = True
        self._failure: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Batcher {self._queue!r}, {self._running!r}, failure={self._failure!r}>"

    @property
    def prepares(self) -> bool:
        """Whether callers should submit small images `Unprepared`: the backend's slots are the cores' own threads."""
        return self._backend.prepares

    @property
    def would_run_alone(self) -> bool:
        """Whether a batch that left now might use all slots: no batch runs, no item waits, and requests come singly."""
        waiting = self._queue.items or self._retries.items
        return self._calm and self._backend.serves_alone and self._running.idle == self._backend.slots and not waiting

    @property
    def waiting(self) -> tuple[int, int]:
        """How many images wait for a batch, and their bytes."""
        return self._queue.items + len(self._retries.items), self._queue.nbytes + self._retries.nbytes

    @property
    def fill(self) -> Fill:
        """How full the batcher is now."""
        items, nbytes = self.waiting
        slots = self._backend.slots
        return Fill(items, self._queue.limits.max_items, nbytes, slots - max(0, self._running.idle), slots)

    async def submit(
        self,
        payloads: Sequence[Payload],
        *,
        deadline: float = _NEVER,
        priority: int = 0,
        tenant: Tenant | None = None,
        abandoned: Callable[[], bool] = bool,
        in_background: bool = False,
    ) -> list[Outcome]:
        """Run `payloads` (of one request, any shapes), in batches with other items; all enter the queue or none does.

        The caller is inside the `room`, and has just given back the places that it held for them. `deadline`: monotonic
        second by which there must be an outcome. `priority`: as on Triton, 1 is the best and 0 the model's default.
        `tenant`: whose request it is, if it came with a key. `abandoned`: called just before dispatch; true if the
        client has hung up. `in_background`: no client waits for them, so their batch leaves the other slots' cores
        alone. Raises `QueueFull`, `NotReady`, `TooLarge`, `DeadlineExceeded`, `ClientDisconnected` or `BackendFailure`.
        """
        self.room.check_places(len(payloads), sum(payload.nbytes for payload in payloads))
        now = self._clock.now()
        level = self.room.level(priority, tenant)
        shares = None if tenant is None else tenant.shares
        loop = asyncio.get_running_loop()
        items = [
            Item(
                key=payload.shape,
                payload=payload,
                nbytes=payload.nbytes,
                deadline=deadline,
                priority=level,
                tenant=shares,
                waiter=loop.create_future(),
                abandoned=abandoned,
                in_background=in_background,
            )
            for payload in payloads
        ]
        for item in items:
            self._queue.put(item, now=now)
        self._submissions += 1
        self._dispatch()
        try:
            return [await item.waiter for item in items]
        except BaseException:  # a cancellation, or the error of one of them: the others must not run for nobody
            self._withdraw(items)
            raise

    def hurry(self) -> None:
        """Let no item wait for a fuller batch any more; still take new work."""
        self._queue.hurry()
        self._dispatch()

    async def retire(self) -> None:
        """Serve until no request is inside, then drain: for a model that new requests do not find any more."""
        await self.room.all_out()
        await self.drain()

    async def drain(self) -> None:
        """Take no more items, run everything that waits, and return when every item has its answer."""
        self._queue.close()
        self._dispatch()
        await self._running.wait()

    def fail_if_stuck(self, seconds: float) -> bool:
        """End batches that have been running, or free to start, for more than `seconds`; call it about once a second.

        A batch that runs is ended and fails like any other; its slot is free then. If that does not end it, or if no
        thread starts it, all batches are given up, every item gets an error, and the batcher fails; true only then.
        """
        while (batch := self._running.find_stuck(seconds)) is not None:
            doing = "run" if batch.claimed else "waited for a thread"
            what = f"a batch of {len(batch.items)} has {doing} for more than {seconds:g} s"
            error = BackendFailure(f"{what}; it is given up")
            if not self._running.end(batch, error):
                for given_up in self._running.give_up():
                    fail_all(given_up.unanswered, error, DEFECT)
                self._fail(error)
                return True
        return False

    def suspend(self, reason: BackendUnreachable) -> None:
        """Refuse every item that waits, and every request until `resume`: the backend cannot be reached."""
        self.room.suspend(reason)
        self._answers.refused(self._queue.drain() + self._retries.drain(), reason)
        if self._backend.cancels:
            for batch in self._running:
                self._answers.refused(batch.unanswered, reason)
            self._running.cancel_unwanted()

    def resume(self) -> None:
        """Let requests in again."""
        self.room.suspend(None)

    def give_up_abandoned(self) -> None:
        """Answer running items whose client has hung up, and cancel batches without any other, if the backend can."""
        if self._backend.cancels:
            for batch in self._running:
                self._answers.still_there(batch.unanswered)
            self._running.cancel_unwanted()

    def _withdraw(self, items: Sequence[Item]) -> None:
        """Take back the items of a request that was cancelled, or one of whose items failed."""
        for item in items:
            if self._queue.cancel(item) or self._retries.cancel(item):
                self._answers.hooks.on_discard("cancelled")
            if not item.waiter.cancel() and not item.waiter.cancelled():
                item.waiter.exception()  # retrieved: the caller has the error of another item of this request
        self._running.cancel_unwanted()

    def _dispatch(self) -> None:
        try:
            now = self._clock.now()
            if late := self._queue.expire(now=now):
                self._answers.expired(late, now)
            if self._retries.items:
                self._answers.expired(self._retries.expire(now=now), now)
            if self._running.next_deadline <= now:
                self._answers.overrun(self._running.expire(now))
            while batch := self._next_batch(now):
                self._hand_over(batch)
            self._alarm.set(self._next_event(now), self._dispatch)
        except Exception as error:  # noqa: BLE001  # a defect here would otherwise leave every waiter hanging
            self._fail(error)

    def _hand_over(self, batch: list[Item]) -> None:
        try:
            alone = self.would_run_alone and not any(item.in_background for item in batch)
            if wanted := self._answers.still_there(batch):
                handed = HandedBatch(wanted, self._clock, submissions=self._submissions, alone=alone)
                self._running.start(handed, on_end=self._end)
        except Exception as error:
            fail_all(batch, error, DEFECT)  # these items have left the queue, so `_fail` does not see them
            raise

    def _next_batch(self, now: float) -> list[Item]:
        """Take an item to be retried; else a share of the queue for an idle slot; else a full batch to hand ahead."""
        idle = self._running.idle
        if self._retries.items:
            return self._retries.take() if idle > 0 else []
        if idle > 0:
            share = -(-self._queue.items // idle)
            return self._queue.take(max(1, share), now=now)
        return self._queue.take_full() if self._running.takes_ahead else []

    def _end(self, batch: HandedBatch, slots: int, outcome: Sequence[Row] | BaseException) -> None:
        self._calm = batch.submissions == self._submissions
        try:
            if not isinstance(outcome, BaseException):
                self._settle(batch, outcome, slots)
            if len(batch.wanted) < len(batch.items):
                self._answers.left_out(batch)
            if isinstance(outcome, BaseException):
                self._end_failed(batch, outcome)
        except Exception as defect:  # noqa: BLE001  # in a hook; otherwise nothing would report it
            fail_all(batch.unanswered, defect, DEFECT)
            self._fail(defect)
        self._dispatch()

    def _settle(self, batch: HandedBatch, rows: Sequence[Row], slots: int) -> None:
        ended = self._clock.now()
        if rows:
            self.room.ran(len(rows), (ended - batch.started) * slots / self._backend.slots)
            self._answers.done(batch, rows, ended)
            # In the next turn of the loop: those that wait go on first.
            asyncio.get_running_loop().call_soon(self._count, batch, ended)

    def _count(self, batch: HandedBatch, ended: float) -> None:
        try:
            self._answers.count(batch, ended)
        except Exception as defect:  # noqa: BLE001  # in a hook; otherwise nothing would report it
            self._fail(defect)

    def _end_failed(self, batch: HandedBatch, error: BaseException) -> None:
        """Queue the members that should run again, and answer the others; suspend or fail if the error says so."""
        now = self._clock.now()
        self._retries.add(self._answers.batch_failed(batch, error, retry=self._failure is None, now=now))
        if isinstance(error, BackendUnreachable):
            self.suspend(error)
        elif not isinstance(error, Exception | asyncio.CancelledError):
            self._fail(error)

    def _next_event(self, now: float) -> float:
        when = min(self._queue.next_event(now=now), self._running.next_deadline)
        return min(when, self._retries.next_event()) if self._retries.items else when

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self.room.fail()
        self._queue.close()
        fail_all(self._queue.drain() + self._retries.drain(), error, DEFECT)
        self._answers.hooks.on_failure(error)
