"""Time, as an argument: the batcher and the request path never ask the system themselves, so tests can steer it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

_NEVER: Final = float("inf")


class TimerHandle(Protocol):
    """What `Clock.call_at` returns."""

    def cancel(self) -> None:
        """Do not call back any more."""


class Clock(Protocol):
    """Monotonic seconds and a way to be called at one of them."""

    def now(self) -> float:
        """Monotonic time in seconds."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` on the event loop at `when`, not before."""


async def sleep(clock: Clock, seconds: float) -> None:
    """Return when so much time has passed on `clock`."""
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
    """One timer at a time, set as often as one likes; it knows its callback only while it is set.

    So its owner, whose method that is, is freed by its last reference.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._when = _NEVER
        self._timer: TimerHandle | None = None

    def set(self, when: float, callback: Callable[[], None]) -> None:
        """Call `callback` at `when` and at no other time; never, if that is infinity."""
        if when == self._when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        self._timer = None if when == _NEVER else self._clock.call_at(when, partial(self._ring, callback))

    def _ring(self, callback: Callable[[], None]) -> None:
        self._timer, self._when = None, _NEVER
        callback()
