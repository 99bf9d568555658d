"""The batches in the backend's hands, and the slots that they take; made and used on one event loop.

What lives here: handing over, cancelling, ending, giving up, and which batch is stuck. What does not: which batch runs,
and what its end means to anybody (`batcher`).
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
"""Told of each batch that ends: how many slots it had, and its rows, one for each member that ran, or its error."""


class Running:
    """What runs on `backend`. It knows who is to be told of an end only while something runs.

    So its owner, whose method that is, is freed by its last reference.
    """

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._watchdog = Watchdog()
        self._busy = 0
        self._alone = False
        self._runs: dict[asyncio.Future[Sequence[Row]], HandedBatch] = {}  # in the order of their handing over

    def __repr__(self) -> str:
        return f"<Running {self._busy}/{self._backend.slots} slots busy>"

    def __iter__(self) -> Iterator[HandedBatch]:
        return iter(self._runs.values())

    @property
    def idle(self) -> int:
        """Slots that are free; below zero, batches that were handed over ahead."""
        return self._backend.slots - self._busy

    @property
    def takes_ahead(self) -> bool:
        """Whether the backend takes one more beyond its slots."""
        return -self.idle < self._backend.prefetch and not self._alone

    def start(self, batch: HandedBatch, *, alone: bool, on_end: Ended) -> None:
        """Hand `batch` over, and call `on_end`, on the event loop, when it has ended; `alone` it takes all slots."""
        slots = self._backend.slots if alone else 1
        self._busy += slots
        self._alone = alone
        try:
            run = self._backend.infer(batch, alone=alone)
        except Exception as error:  # noqa: BLE001  # as if the run itself had failed
            run = asyncio.get_running_loop().create_future()
            run.set_exception(error)
        self._runs[run] = batch
        run.add_done_callback(partial(self._end, on_end, slots))

    def cancel_unwanted(self) -> None:
        """Cancel the batches that nobody waits for any more, where that ends them."""
        if self._backend.cancels:
            for run, batch in self._runs.items():
                if not batch.unanswered:
                    run.cancel()

    def expire(self, now: float) -> list[Item]:
        """The members whose deadline has passed while their batch was in the backend's hands; each is told of once.

        Where the backend cancels, a batch ends by the first of its deadlines anyway.
        """
        if self._backend.cancels:
            return []
        return [item for batch in self._runs.values() if batch.next_deadline <= now for item in batch.expire(now)]

    def next_event(self) -> float:
        """When `expire` is to be asked again; infinity if never."""
        if self._backend.cancels:
            return _NEVER
        return min([batch.next_deadline for batch in self._runs.values()], default=_NEVER)

    def find_stuck(self, seconds: float) -> HandedBatch | None:
        """The first batch that has been running, or free to start, for more than `seconds`, or cannot be ended."""
        return self._watchdog.find_stuck(self._runs.values(), now=self._clock.now(), seconds=seconds)

    def end(self, batch: HandedBatch, error: BackendFailure) -> bool:
        """Tell the backend to end `batch`, with `error`; False if it does not run, or was told so before."""
        if not batch.claimed or batch.given_up is not None:
            return False
        batch.given_up, batch.given_up_at = error, self._clock.now()
        self._backend.end(next(run for run, running in self._runs.items() if running is batch))
        return True

    def give_up(self) -> list[HandedBatch]:
        """Cancel all batches, and forget them whether or not that ends them; they are returned."""
        given_up, self._runs = self._runs, {}
        for run in given_up:
            run.cancel()
        return list(given_up.values())

    async def wait(self) -> None:
        """Return when nothing runs any more."""
        while self._runs:
            await asyncio.wait(self._runs)

    def _end(self, on_end: Ended, slots: int, run: asyncio.Future[Sequence[Row]]) -> None:
        outcome = asyncio.CancelledError() if run.cancelled() else run.exception() or run.result()
        batch = self._runs.pop(run, None)
        if batch is None:
            return  # given up long ago
        self._busy -= slots
        self._alone = False
        if isinstance(outcome, BaseException) and batch.given_up is not None:
            outcome = batch.given_up
        if not isinstance(outcome, BaseException) and len(outcome) != len(batch.wanted):
            outcome = BackendFailure(f"{len(outcome)} rows were answered to a batch of {len(batch.wanted)}")
        on_end(batch, slots, outcome)
