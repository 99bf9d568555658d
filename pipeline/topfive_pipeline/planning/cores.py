"""Cores that threads share, as an operating system shares them: all that run make equal progress (processor sharing).

Two kinds of work: threads that compute, and short work that goes first, as the event loop's does, which has slept and
so gets a core at once.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Final

from topfive_pipeline.planning.virtual_time import VirtualLoop

_NOTHING: Final = 1e-12
_LEAST: Final = 0.05
"""Cores that are left for threads even if what goes first would take all."""


class Cores:
    """`number` cores, or the slots of a device; `threads`: how many compute on them now."""

    def __init__(self, loop: VirtualLoop, *, number: int) -> None:
        self._loop = loop
        self.number = number
        self.threads = 0
        self._first = 0
        self._rests_since = -math.inf  # since when a core has had nothing to do; never, while all compute
        self._done = 0.0  # what a thread would have done that had run since the beginning, in seconds
        self._at = 0.0
        self._pace = 1.0
        self._ends: list[tuple[float, int, int, Callable[[], None]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self.busy_seconds = 0.0
        """Core seconds that were computed."""

    def run(self, seconds: float, then: Callable[[], None], *, threads: int = 1) -> None:
        """Compute on `threads` cores for so many seconds, longer if they are shared; then call `then`."""
        self._pass()
        self.threads += threads
        if self.threads >= self.number:
            self._rests_since = math.inf
        heapq.heappush(self._ends, (self._done + seconds, next(self._numbers), threads, then))
        self._go_on()

    def run_first(self, seconds: float, then: Callable[[], None]) -> None:
        """Take a core for so many seconds, before all that `run` computes; then call `then`."""
        self._pass()
        self._first += 1
        self.busy_seconds += seconds
        self._go_on()

        def over() -> None:
            self._pass()
            self._first -= 1
            self._go_on()
            then()

        self._loop.call_at(self._loop.time() + seconds, over)

    @property
    def some_idle(self) -> bool:
        """Whether some core computes while another has rested: who begins now is woken, and does not just go on."""
        return 0 < self.threads < self.number and self._rests_since < self._loop.time()

    def _pass(self) -> None:
        """Account for the time since the last change."""
        now = self._loop.time()
        self._done += (now - self._at) * self._pace
        self.busy_seconds += (now - self._at) * min(self.threads, max(0, self.number - self._first))
        self._at = now

    def _go_on(self) -> None:
        """After a change: find the new pace, and when the next thread ends by it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ends:
            self._pace = min(1.0, max(self.number - self._first, _LEAST) / self.threads)
            self._timer = self._loop.call_at(self._at + max(0.0, self._ends[0][0] - self._done) / self._pace, self._end)

    def _end(self) -> None:
        self._timer = None
        self._pass()
        over = []
        while self._ends and self._ends[0][0] <= self._done + _NOTHING:
            _, _, threads, then = heapq.heappop(self._ends)
            self.threads -= threads
            over.append(then)
        if self.threads < self.number and self._rests_since == math.inf:
            self._rests_since = self._at
        self._go_on()
        for then in over:
            then()
