"""Turns of the event loop, for connections that have more to do than one may do at once.

Of all that wait, one goes on in each turn, in the order in which they asked. So together they take no more of a turn
than one of them alone, and everybody else is served between two of them, however many they are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

MOST: Final = 256
"""Waiting at once; of each there may be a quarter of a megabyte that it has sent meanwhile."""


class Turns:
    """Those of one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def crowded(self) -> bool:
        """Whether more wait than should."""
        return len(self._waiting) > MOST

    def ask(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` in a later turn."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        go_on = self._waiting.popleft()
        if self._waiting:  # before it goes on: it may ask again, or fail
            asyncio.get_running_loop().call_soon(self._next)
        go_on()
