"""Turns of the event loop, for connections that have more to do than one connection may do at once.

In each turn of the loop one waiting connection goes on, in the order of asking. So all of them together take no more of
a turn than one alone, and the other connections are served between two of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

MOST: Final = 256
"""How many connections should wait at once. Each may hold a quarter of a megabyte that has arrived meanwhile."""


class Turns:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def crowded(self) -> bool:
        """Whether more than `MOST` wait."""
        return len(self._waiting) > MOST

    def ask(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` in a later turn."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        go_on = self._waiting.popleft()
        if self._waiting:  # scheduled before `go_on` runs, which may ask again or fail
            asyncio.get_running_loop().call_soon(self._next)
        go_on()
