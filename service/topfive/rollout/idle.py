"""Whether the cores are idle enough for work that no client waits for; a pure class, told of the time.

The rule: fewer requests are in flight than half of the cores, and this has been so for a moment. The moment matters to
a client that sends its next request when it has the answer to its last: its own next request is the likeliest to come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOMENT_SECONDS: Final = 0.01
_NEVER: Final = float("inf")


class Idle:
    """Of a process with so many `cores`; `in_flight` says how many requests are in flight now."""

    def __init__(self, cores: int, *, in_flight: Callable[[], int]) -> None:
        self._most = max(1, cores // 2)
        self._in_flight = in_flight
        self._busy_at = -_NEVER

    def ended(self, now: float) -> None:
        """Note that a request has ended at `now`; it is not in flight any more."""
        if self._in_flight() + 1 >= self._most:
            self._busy_at = now

    def since(self) -> float:
        """The monotonic second from which the cores are idle if no request comes; never, while they are busy."""
        return _NEVER if self._in_flight() >= self._most else self._busy_at + MOMENT_SECONDS
