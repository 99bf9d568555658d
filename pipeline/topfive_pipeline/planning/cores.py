"""Cores that threads share, as an operating system shares them: those of one core make equal progress.

A thread gets a core when it is woken. Kernels do not always take an idle one: they rather leave a thread where it ran
last, or put it where the one runs that woke it, and a core that has become idle does not always take over a thread that
waits at another. How often, is measured (`costs.Costs.misplaced`). Who goes on with the next work keeps a core of
its own.

Two kinds of work: threads that compute, and short work that goes first, as the event loop's does, which has slept.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable
from itertools import count, cycle, islice
from typing import Final

from topfive_pipeline.planning.virtual_time import VirtualLoop

_NOTHING: Final = 1e-12
_LEAST: Final = 0.05
"""The share of a core that is left for threads even if what goes first would take all of it."""


class Cores:
    """`number` cores, or the slots of a device. `misplaced`: how often a thread is put on any core, idle or not."""

    def __init__(self, loop: VirtualLoop, *, number: int, misplaced: float = 0.0, seed: int = 0) -> None:
        self.number = number
        self._loop = loop
        self._misplaced = misplaced if number > 1 else 0.0
        self._chance = random.Random(f"cores {seed}")  # noqa: S311  # of a simulation
        self._cores = [_Core(loop, self._balance) for _ in range(number)]

    @property
    def threads(self) -> int:
        """How many compute now."""
        return sum(core.threads for core in self._cores)

    @property
    def busy_seconds(self) -> float:
        """Core seconds that were computed."""
        return sum(core.busy_seconds for core in self._cores)

    def run(self, seconds: float, then: Callable[[], None], *, threads: int = 1) -> None:
        """Compute on `threads` cores for so many seconds, longer if they are shared; then call `then`."""
        if threads == 1:
            self._chosen().run(seconds, then)
            return
        left = threads

        def over() -> None:
            nonlocal left
            left -= 1
            if not left:
                then()

        for core in islice(cycle(sorted(self._cores, key=_load)), threads):
            core.run(seconds, over)

    def run_first(self, seconds: float, then: Callable[[], None]) -> None:
        """Take a core for so many seconds, before all that `run` computes; then call `then`."""
        core = self._chance.choice(self._cores) if self._is_misplaced() else min(self._cores, key=_load)
        core.run_first(seconds, then)

    def _chosen(self) -> _Core:
        now = self._loop.time()
        for core in self._cores:
            if core.left_at == now and not core.load:  # who left it goes on
                core.left_at = -math.inf
                return core
        if self._is_misplaced():
            return self._chance.choice(self._cores)
        return min(self._cores, key=_load)

    def _is_misplaced(self) -> bool:
        return self._misplaced > 0 and self._chance.random() < self._misplaced

    def _balance(self, idle: _Core) -> None:
        """Let a core that has become idle take over a thread that shares another."""
        fullest = max(self._cores, key=_threads)
        if fullest.threads > 1 and not self._is_misplaced():
            idle.run(*fullest.give_up())


class _Core:
    """One core; `idle` is called when its last thread has ended. `left_at`: when one ended that may still go on."""

    def __init__(self, loop: VirtualLoop, idle: Callable[[_Core], None]) -> None:
        self._loop = loop
        self._idle = idle
        self._first = 0
        self.left_at = -math.inf
        self._done = 0.0  # what a thread would have done that had run since the beginning, in seconds
        self._at = 0.0
        self._pace = 1.0
        self._ends: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self.busy_seconds = 0.0

    @property
    def threads(self) -> int:
        return len(self._ends)

    @property
    def load(self) -> int:
        """Threads, and what goes first."""
        return len(self._ends) + self._first

    def run(self, seconds: float, then: Callable[[], None]) -> None:
        """Compute for so many seconds beside its other threads; then call `then`."""
        self._pass()
        heapq.heappush(self._ends, (self._done + seconds, next(self._numbers), then))
        self._go_on()

    def run_first(self, seconds: float, then: Callable[[], None]) -> None:
        """Do this before its threads go on; then call `then`."""
        self._pass()
        self._first += 1
        self._go_on()

        def over() -> None:
            self._pass()
            self._first -= 1
            self._go_on()
            then()

        self._loop.call_at(self._loop.time() + seconds, over)

    def give_up(self) -> tuple[float, Callable[[], None]]:
        """Take off the thread that has most to do: its seconds, and what to call after them."""
        self._pass()
        end, number, then = max(self._ends)
        self._ends.remove((end, number, then))
        heapq.heapify(self._ends)
        self._go_on()
        return end - self._done, then

    def _pass(self) -> None:
        """Account for the time since the last change."""
        now = self._loop.time()
        self._done += (now - self._at) * self._pace
        if self._ends or self._first:
            self.busy_seconds += now - self._at
        self._at = now

    def _go_on(self) -> None:
        """After a change: find the new pace, and when the next thread ends by it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ends:
            self._pace = max(1 - self._first, _LEAST) / len(self._ends)
            self._timer = self._loop.call_at(self._at + max(0.0, self._ends[0][0] - self._done) / self._pace, self._end)

    def _end(self) -> None:
        self._timer = None
        self._pass()
        over = []
        while self._ends and self._ends[0][0] <= self._done + _NOTHING:
            over.append(heapq.heappop(self._ends)[2])
        self._go_on()
        for then in over:
            self.left_at = self._at
            then()
        if not self._ends:
            self._idle(self)


def _load(core: _Core) -> int:
    return core.load


def _threads(core: _Core) -> int:
    return core.threads
