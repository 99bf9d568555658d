"""Bounds the loading of a graph: it gets threads of its own, and a number of seconds.

What lives here: the limit, the log while loading goes on, and the threads that never return. What does not: the loading
itself (`backends.embedded`, `backends.triton`), and what follows from its failure (`models.loading`).

A graph that hangs must not harm the served models, so it hangs on a thread that runs no batches. When its loading is
cancelled, the code that loads it ends its runs. A run that the runtime does not end is left behind on a daemon thread.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from topfive.ground.clock import Clock, MonotonicClock, sleep
from topfive.ground.errors import ConfigurationError
from topfive.machine.workers import WorkerPool

logger = logging.getLogger("topfive")

T = TypeVar("T")

_REPORT_SECONDS: Final = 10.0
"""How often a loading that goes on is logged."""
_GRACE_SECONDS: Final = 2.0
"""How long a thread may take to return after its run was ended; but at most as long as the loading itself."""


class BoundedLoading:
    """Runs each part of a load for at most `seconds`, on threads that end with it."""

    def __init__(self, *, seconds: float = math.inf, clock: Clock | None = None) -> None:
        self._seconds = seconds
        self._clock = clock or MonotonicClock()
        self._left_behind: list[WorkerPool] = []

    @property
    def left_behind(self) -> bool:
        """Whether a thread of a load that was given up is still inside the runtime."""
        self._left_behind = [pool for pool in self._left_behind if not pool.close(timeout_seconds=0)]
        return bool(self._left_behind)

    async def run(self, what: str, load: Callable[[WorkerPool], Coroutine[Any, Any, T]]) -> T:
        """The result of `load`, which gets threads; raises `ConfigurationError`, with `what`, if it takes too long."""
        pool = WorkerPool(threads=1, name="load")
        try:
            return await self.within(what, load(pool))
        finally:
            if not await asyncio.to_thread(pool.close, timeout_seconds=min(_GRACE_SECONDS, self._seconds)):
                self._left_behind.append(pool)
                logger.error(
                    "%s cannot be ended: a thread is left behind inside the runtime, and may keep a core busy until "
                    "the service is restarted",
                    what,
                )

    async def within(
        self, what: str, work: Coroutine[Any, Any, T], *, too_long: type[ConfigurationError] = ConfigurationError
    ) -> T:
        """The result of `work`; if it takes too long, cancel it, wait until that has ended it, and raise `too_long`."""
        task = asyncio.get_running_loop().create_task(work)
        began = self._clock.now()
        try:
            while not task.done():
                passed = self._clock.now() - began
                if passed >= self._seconds:
                    raise too_long(
                        f"{what} did not end within {self._seconds:g} s and is given up; mend the model, or allow more "
                        "with the setting load_seconds"
                    )
                if passed >= _REPORT_SECONDS:
                    logger.info("%s goes on after %.0f s, of at most %g", what, passed, self._seconds)
                await self._pause(task, min(_REPORT_SECONDS, self._seconds - passed))
            return task.result()
        finally:
            if task.cancel():
                await asyncio.wait([task])
            del task  # its error refers to this frame, which would keep the task and the graph alive

    async def _pause(self, task: asyncio.Task[Any], seconds: float) -> None:
        """Return when `task` has ended, or `seconds` have passed."""
        pause = asyncio.get_running_loop().create_task(sleep(self._clock, seconds))
        try:
            await asyncio.wait([task, pause], return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
