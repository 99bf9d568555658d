"""Time that passes only when nothing is left to do: an event loop that jumps to its next timer.

So the service's own code, which waits on an event loop and asks its clock, runs through an hour of traffic in seconds.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from topfive.ground.clock import TimerHandle

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock begins at 0 and jumps from timer to timer; it does no I/O."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made, of the time that is simulated."""
        return self._jumping.seconds


class VirtualClock:
    """The clock of a `VirtualLoop`, as the service's classes take it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.now: Callable[[], float] = loop.time
        self._loop = loop

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """See `topfive.ground.clock.Clock`."""
        return self._loop.call_at(when, callback)


def simulate(work: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run what `work` makes on a loop of its own, and return its result.

    Raises `RuntimeError` if it waits for something that no timer will bring.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(work(loop))


class _Jumping(selectors.BaseSelector):
    """Never finds a file ready; instead of waiting for one, it moves the time on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Keep `fileobj`, the loop's own way to be woken by another thread, of which there is none."""
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget `fileobj`."""
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What is registered."""
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let `timeout` seconds pass at once."""
        if timeout is None:
            raise RuntimeError("the simulation waits for something that will not come")
        self.seconds += max(0.0, timeout)
        return []
