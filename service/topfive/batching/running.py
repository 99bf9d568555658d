"""The batches that were handed to the backend, and the slots that they take.

What lives here: handing batches over, cancelling, ending and giving them up, and finding the stuck one. What does not:
which batch runs, and what follows from its end (`batching.batcher`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from topfive.backends.base import Backend, Row
from topfive.batching.batch import HandedBatch
from topfive.batching.items import Item
from topfive.batching.watchdog import Watchdog
from topfive.ground.clock import Clock
from topfive.ground.errors import BackendFailure

_NEVER: Final = float("inf")

Ended = Callable[[HandedBatch, int, "Sequence[Row] | BaseException"], None]
"""Called when a batch ends, with its number of slots and its rows, one for each member that ran, or its error."""


class Running:
    """The batches on `backend`; made and used on one event loop.

    It keeps `on_end`, a method of its owner, only while a batch runs, so that no cycle keeps the owner alive.
    """

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._watchdog = Watchdog()
        self._busy = 0
        self._alone = False
        self.next_deadline = _NEVER
        """The first of the members' deadlines; never, if the backend cancels: then a batch ends by it anyway."""
        self._runs: dict[asyncio.Future[Sequence[Row]], HandedBatch] = {}  # in the order in which they were handed over

    def __repr__(self) -> str:
        return f"<Running {self._busy}/{self._backend.slots} slots busy>"

    def __iter__(self) -> Iterator[HandedBatch]:
        return iter(self._runs.values())

    @property
    def idle(self) -> int:
        """How many slots are free; if negative, how many batches were handed over beyond the slots."""
        return self._backend.slots - self._busy

    @property
    def takes_ahead(self) -> bool:
        """Whether the backend takes one more batch beyond its slots."""
        return -self.idle < self._backend.prefetch and not self._alone

    def start(self, batch: HandedBatch, *, on_end: Ended) -> None:
        """Hand `batch` over, and call `on_end` on the event loop when it has ended; one alone takes all slots."""
        slots = self._backend.slots if batch.alone else 1
        self._busy += slots
        self._alone = batch.alone
        try:
            run = self._backend.infer(batch, alone=batch.alone)
        except Exception as error:  # noqa: BLE001  # handled as if the run itself had failed
            run = asyncio.get_running_loop().create_future()
            run.set_exception(error)
        self._runs[run] = batch
        if batch.next_deadline < self.next_deadline and not self._backend.cancels:
            self.next_deadline = batch.next_deadline
        run.add_done_callback(partial(self._end, on_end, slots))

    def cancel_unwanted(self) -> None:
        """Cancel the batches in which no member waits for an answer, if the backend can do that."""
        if self._backend.cancels:
            for run, batch in self._runs.items():
                if not batch.unanswered:
                    run.cancel()

    def expire(self, now: float) -> list[Item]:
        """Return the members whose deadline has passed since their batch was handed over and that have no answer.

        To be called at `next_deadline`.
        """
        late = [item for batch in self._runs.values() if batch.next_deadline <= now for item in batch.expire(now)]
        self.next_deadline = self._earliest()
        return late

    def _earliest(self) -> float:
        return min([batch.next_deadline for batch in self._runs.values()], default=_NEVER)

    def find_stuck(self, seconds: float) -> HandedBatch | None:
        """The first batch that has been running, or free to start, for more than `seconds`, or outlives `end`."""
        return self._watchdog.find_stuck(self._runs.values(), now=self._clock.now(), seconds=seconds)

    def end(self, batch: HandedBatch, error: BackendFailure) -> bool:
        """Tell the backend to end `batch`, with `error`; False if it has not started, or this was done before."""
        if not batch.claimed or batch.given_up is not None:
            return False
        batch.given_up, batch.given_up_at = error, self._clock.now()
        self._backend.end(next(run for run, running in self._runs.items() if running is batch))
        return True

    def give_up(self) -> list[HandedBatch]:
        """Cancel all batches, forget them whether or not that ends them, and return them."""
        given_up, self._runs = self._runs, {}
        for run in given_up:
            run.cancel()
        return list(given_up.values())

    async def wait(self) -> None:
        """Return when no batch runs any more."""
        while self._runs:
            await asyncio.wait(self._runs)

    def _end(self, on_end: Ended, slots: int, run: asyncio.Future[Sequence[Row]]) -> None:
        outcome = asyncio.CancelledError() if run.cancelled() else run.exception() or run.result()
        batch = self._runs.pop(run, None)
        if batch is None:
            return  # `give_up` has forgotten it
        if self.next_deadline != _NEVER:
            self.next_deadline = self._earliest()
        self._busy -= slots
        self._alone = False
        if isinstance(outcome, BaseException) and batch.given_up is not None:
            outcome = batch.given_up
        if not isinstance(outcome, BaseException) and len(outcome) != len(batch.wanted):
            outcome = BackendFailure(f"{len(outcome)} rows were answered to a batch of {len(batch.wanted)}")
        on_end(batch, slots, outcome)
