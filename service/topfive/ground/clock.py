"""The clock: passed as an argument to all that needs the time, so that tests can control time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

_NEVER: Final = float("inf")


class TimerHandle(Protocol):
    """A timer, as `Clock.call_at` returns it."""

    def cancel(self) -> None:
        """Do not call the callback any more."""


class Clock(Protocol):
    """Gives monotonic seconds, and calls a callback at a given second."""

    def now(self) -> float:
        """Monotonic time in seconds."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` on the event loop at `when`, not before."""


async def sleep(clock: Clock, seconds: float) -> None:
    """Return when `seconds` have passed on `clock`."""
    passed = asyncio.get_running_loop().create_future()
    timer = clock.call_at(clock.now() + seconds, lambda: None if passed.done() else passed.set_result(None))
    try:
        await passed
    finally:
        timer.cancel()


class MonotonicClock:
    """The real clock: `time.monotonic` and the running event loop's timers."""

    now = staticmethod(time.monotonic)

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` on the running loop once `when` is past."""
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)


class Alarm:
    """One timer, which can be set again and again.

    It keeps its callback, a method of its owner, only while it is set, so that no cycle keeps the owner alive.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._when = _NEVER
        self._timer: TimerHandle | None = None

    def set(self, when: float, callback: Callable[[], None]) -> None:
        """Call `callback` at `when`, instead of at the time set before; never if `when` is infinity."""
        if when == self._when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        self._timer = None if when == _NEVER else self._clock.call_at(when, partial(self._ring, callback))

    def _ring(self, callback: Callable[[], None]) -> None:
        self._timer, self._when = None, _NEVER
        callback()
