"""The watchdog: finds a batch that does not end. A pure class, called about once a second.

What lives here: what counts as stuck. What does not: what follows from it (`batching.batcher`), and the calls
(`serving.serving`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from topfive.batching.batch import HandedBatch

_GRACE_SECONDS: Final = 2.0
"""How long a batch may take to end after the backend was told to end it; at most as long as it had to run."""
_PAUSE_SECONDS: Final = 5.0
"""A longer time between two calls means that the process did not run: it was stopped, or starved."""


class Watchdog:
    """Finds the stuck batch. Between calls it remembers when it was last called, and the batch that should start."""

    def __init__(self) -> None:
        self._asked = float("inf")
        self._counts_from = 0.0
        self._next: HandedBatch | None = None
        self._next_since = 0.0

    def find_stuck(self, batches: Iterable[HandedBatch], *, now: float, seconds: float) -> HandedBatch | None:
        """The first of `batches`, in the order in which they were handed over, that takes more than `seconds`.

        A batch that runs counts from its start. A batch that has not started may wait for the ones before it, so it
        counts from the first call at which it is the first of all: then a slot is free, and only a missing thread can
        keep it from starting. A batch that was given up has a short time from then on to end. Time in which the
        process did not run does not count.
        """
        if now - self._asked > _PAUSE_SECONDS:
            self._counts_from = now
        self._asked = now
        first = None
        for batch in batches:
            if first is None:
                first = batch
            if batch.given_up is not None:
                if now - max(batch.given_up_at, self._counts_from) > min(_GRACE_SECONDS, seconds):
                    return batch
            elif batch.claimed and now - max(batch.started, self._counts_from) > seconds:
                return batch
        if first is None or first.claimed:
            self._next = None
        elif first is not self._next:
            self._next, self._next_since = first, now
        elif now - max(self._next_since, self._counts_from) > seconds:
            return first
        return None
