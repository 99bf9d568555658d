"""What those who wait for an item are told, and the hooks with them.

What lives here: every way in which an item ends, except by its own caller. What does not: the decision that it ends
(`batcher`). All of it happens on the event loop.
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
DEFECT: Final = "the batcher has failed; this is not your fault, and the process says so"


class Answers:
    """Tells waiters and `hooks`."""

    def __init__(self, hooks: BatcherHooks) -> None:
        self.hooks = hooks

    def expired(self, items: Sequence[Item], now: float) -> None:
        """Tell those whose deadline passed while they waited."""
        for item in items:
            item.state = ItemState.EXPIRED
            waited = f"{now - item.arrived:.3f} s"
            text = f"the deadline passed after {waited} in the queue; allow more, or send less"
            _refuse(item, DeadlineExceeded(text))
        for _ in items:  # when all are told: a hook that fails must not leave one of them waiting
            self.hooks.on_discard("expired")

    def overrun(self, items: Sequence[Item]) -> None:
        """Tell those whose deadline passed once their batch had been handed over; what runs of it is for nobody."""
        for item in items:
            item.state = ItemState.EXPIRED
            _refuse(item, DeadlineExceeded("the deadline passed before the batch had run; allow more, or send less"))

    def still_there(self, batch: Sequence[Item]) -> list[Item]:
        """`batch` less the items whose client has hung up, which end here."""
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
        """Tell, and count, the members that were not claimed: too late, impossible to prepare, or cancelled."""
        self.expired(batch.late, batch.started)
        for item, error in batch.failed:
            fail_all([item], error, FAILED)
            self.hooks.on_batch_failure(1, error)
        for item in batch.gone:
            if item.state is ItemState.EXPIRED:  # and told so
                self.hooks.on_discard("expired")
            else:
                item.state = ItemState.CANCELLED
                self.hooks.on_discard("cancelled")

    def batch_failed(self, batch: HandedBatch, error: BaseException, *, retry: bool, now: float) -> list[Item]:
        """Tell the members of a batch that ended in `error`, but for those that should run again, one by one.

        These are all of several, if `retry`: it cannot be told whose fault it was. Where the backend says that it was
        nobody's, running them again would only add to its troubles; a deadline costs whom it was of.
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
                if item.waiter.cancelled():  # others were told why
                    self.hooks.on_discard("cancelled")
            return []
        again = members if retry and len(batch.wanted) > 1 and isinstance(error, Exception) else []
        if not again:
            fail_all(members, error, FAILED)
        self.hooks.on_batch_failure(len(batch.wanted), error)
        return again

    def refused(self, items: Sequence[Item], error: TopfiveError) -> None:
        """Tell those who wait for `items` that the backend takes none."""
        for item in items:
            item.state = ItemState.FAILED
            _refuse(item, type(error)(str(error), retry_after_seconds=error.retry_after_seconds))

    def done(self, batch: HandedBatch, rows: Sequence[Row], ended: float) -> None:
        """Give each member that ran its row."""
        size = len(rows)
        resize_seconds, seconds = batch.prepared - batch.started, ended - batch.prepared
        for item, row in zip(batch.wanted, rows, strict=True):
            if not item.waiter.done():
                item.state = ItemState.DONE
                item.waiter.set_result(Outcome(row, batch.started - item.arrived, resize_seconds, seconds, size))
        if size:
            self.hooks.on_batch(size, resize_seconds, seconds)


def fail_all(items: Sequence[Item], cause: BaseException, message: str) -> None:
    """Tell those who wait for `items` that ours is the fault: `BackendFailure`, with `cause` for the log."""
    for item in items:
        item.state = ItemState.FAILED
        failure = BackendFailure(message)
        failure.__cause__ = cause
        _refuse(item, failure)


def _refuse(item: Item, error: TopfiveError) -> None:
    """Give `error` to who waits for `item`, unless they have gone."""
    waiter: asyncio.Future[Outcome] = item.waiter
    if not waiter.done():
        waiter.set_exception(error)
