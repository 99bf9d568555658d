"""Answers to the callers that wait for items: outputs or errors, and the hook calls that go with them.

What lives here: every way in which an item ends, except that its own caller cancels it. What does not: the decision
that it ends (`batching.batcher`). Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from topfive.backends.base import Row
from topfive.batching.batch import BatcherHooks, HandedBatch, Outcome
from topfive.batching.items import Item, ItemState
from topfive.ground.errors import (
    BackendFailure,
    BackendUnreachable,
    ClientDisconnected,
    DeadlineExceeded,
    QueueFull,
    TopfiveError,
)

FAILED: Final = "the model failed on this image; this is not your fault"
DEFECT: Final = "the batcher has failed; this is not your fault, and this process is about to be replaced"


class Answers:
    """Sets the result or the error of items' waiters, and calls `hooks`."""

    def __init__(self, hooks: BatcherHooks) -> None:
        self.hooks = hooks

    def expired(self, items: Sequence[Item], now: float) -> None:
        """Answer `items`, whose deadline passed while they waited in the queue."""
        for item in items:
            item.state = ItemState.EXPIRED
            waited = f"{now - item.arrived:.3f} s"
            text = f"the deadline passed after {waited} in the queue; allow more, or send less"
            _refuse(item, DeadlineExceeded(text))
        for _ in items:  # after all answers: a hook that raises must not leave an item without one
            self.hooks.on_discard("expired")

    def overrun(self, items: Sequence[Item]) -> None:
        """Answer `items`, whose deadline passed after their batch was handed over; their outputs are dropped."""
        for item in items:
            item.state = ItemState.EXPIRED
            _refuse(item, DeadlineExceeded("the deadline passed before the batch had run; allow more, or send less"))

    def still_there(self, batch: Sequence[Item]) -> list[Item]:
        """Return `batch` without the items whose client has hung up; those end here."""
        wanted = []
        for item in batch:
            if item.abandoned():
                item.state = ItemState.CANCELLED
                self.hooks.on_discard("abandoned")
                _refuse(item, ClientDisconnected("the client hung up while its image waited"))
            else:
                wanted.append(item)
        return wanted

    def left_out(self, batch: HandedBatch) -> None:
        """Answer and count the members that did not run: too late, impossible to prepare, or cancelled."""
        self.expired(batch.late, batch.started)
        for item, error in batch.failed:
            fail_all([item], error, FAILED)
            self.hooks.on_batch_failure(1, error)
        for item in batch.gone:
            if item.state is ItemState.EXPIRED:  # it has its answer already
                self.hooks.on_discard("expired")
            else:
                item.state = ItemState.CANCELLED
                self.hooks.on_discard("cancelled")

    def batch_failed(self, batch: HandedBatch, error: BaseException, *, retry: bool, now: float) -> list[Item]:
        """Answer the members of a batch that ended in `error`; return those that should run again, one by one.

        With `retry`, all members of a batch of several run again, because any one of them may have caused the error.
        After `BackendUnreachable` or `QueueFull` none does: no image caused it, and the backend needs less load. After
        `DeadlineExceeded`, the members whose deadline has not passed run again.
        """
        members = batch.unanswered
        if isinstance(error, BackendUnreachable | QueueFull):
            self.refused(members, error)
            return []
        if isinstance(error, DeadlineExceeded):
            passed = max(now, batch.deadline)
            self.expired([item for item in members if item.deadline <= passed], now)
            return [item for item in members if item.deadline > passed]
        if isinstance(error, asyncio.CancelledError) and not members:
            for item in batch.wanted:
                if item.waiter.cancelled():  # the other members have an answer already
                    self.hooks.on_discard("cancelled")
            return []
        again = members if retry and len(batch.wanted) > 1 and isinstance(error, Exception) else []
        if not again:
            fail_all(members, error, FAILED)
        self.hooks.on_batch_failure(len(batch.wanted), error)
        return again

    def refused(self, items: Sequence[Item], error: TopfiveError) -> None:
        """Answer `items` with `error`: the backend takes no work."""
        for item in items:
            item.state = ItemState.FAILED
            _refuse(item, type(error)(str(error), retry_after_seconds=error.retry_after_seconds))

    def done(self, batch: HandedBatch, rows: Sequence[Row], ended: float) -> None:
        """Answer each member that ran with its row; `count` is to follow."""
        size = len(rows)
        resize_seconds, seconds = _durations(batch, ended)
        for item, row in zip(batch.wanted, rows, strict=True):
            if not item.waiter.done():
                item.state = ItemState.DONE
                item.waiter.set_result(Outcome(row, batch.started - item.arrived, resize_seconds, seconds, size))

    def count(self, batch: HandedBatch, ended: float) -> None:
        """Count a batch whose members have their answers."""
        self.hooks.on_batch(len(batch.wanted), *_durations(batch, ended))


def fail_all(items: Sequence[Item], cause: BaseException, message: str) -> None:
    """Answer `items` with `BackendFailure`, a fault of the service; `cause` is for the log."""
    for item in items:
        item.state = ItemState.FAILED
        failure = BackendFailure(message)
        failure.__cause__ = cause
        _refuse(item, failure)


def _refuse(item: Item, error: TopfiveError) -> None:
    """Answer `item` with `error`, unless it has an answer or was cancelled."""
    waiter: asyncio.Future[Outcome] = item.waiter
    if not waiter.done():
        waiter.set_exception(error)


def _durations(batch: HandedBatch, ended: float) -> tuple[float, float]:
    """The seconds of preparing the images, and of the graph."""
    return batch.prepared - batch.started, ended - batch.prepared
