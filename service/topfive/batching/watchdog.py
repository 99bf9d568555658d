"""Finds the batch that does not end: pure, asked about once a second.

What lives here: what counts as stuck. What does not: what follows from it (`batcher`), and who asks (`serving`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from topfive.batching.batch import HandedBatch

_GRACE_SECONDS: Final = 2.0
"""For a batch to end after the backend was told to end it, or as long as it had, if that is less."""
_PAUSE_SECONDS: Final = 5.0
"""Between two questions so long can only pass where the process did not run: it was stopped, or starved."""


class Watchdog:
    """Remembers from one question to the next what it would otherwise take for stuck."""

    def __init__(self) -> None:
        self._asked = float("inf")
        self._counts_from = 0.0
        self._next: HandedBatch | None = None
        self._next_since = 0.0

    def find_stuck(self, batches: Iterable[HandedBatch], *, now: float, seconds: float) -> HandedBatch | None:
        """The first of `batches`, in the order in which they were handed over, that takes more than `seconds`.

        A batch that runs counts from its start. One that has not started may have to wait for those before it, so it
        counts from the first question at which there is none before it: then a slot is free, and only a thread that
        will never come can be missing. One that was given up has a moment, from then on, to end. A time in which the
        process did not run counts for nobody.
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
