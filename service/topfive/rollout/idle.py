"""Whether the cores are idle enough for work that no client waits for; a pure class, told of the time.

The rule: fewer requests are in flight than half of the cores, and this has been so for a moment. The moment matters to
a client that sends its next request when it has the answer to its last: its own next request is the likeliest to come.

Nobody knows when the next request comes, and one that comes while such work runs is slower. So the work also rests
after it ran, and takes no more than a share of the time. Of requests that come at random that share meets it,
however many come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOMENT_SECONDS: Final = 0.01
MOST_REST_SECONDS: Final = 60.0
"""So that a graph that hung once is not left out for hours."""
_NEVER: Final = float("inf")


class Idle:
    """Of a process with so many `cores`; `in_flight` says how many requests are in flight now.

    `busy_share`: the most of the time that such work may take, in (0, 1].
    """

    def __init__(self, cores: int, *, in_flight: Callable[[], int], busy_share: float) -> None:
        self._most = max(1, cores // 2)
        self._in_flight = in_flight
        self._rests = 1 / busy_share - 1
        self._busy_at = -_NEVER
        self._rests_until = -_NEVER

    def ended(self, now: float) -> None:
        """Note that a request has ended at `now`; it is not in flight any more."""
        if self._in_flight() + 1 >= self._most:
            self._busy_at = now

    def worked(self, began: float, ended: float) -> None:
        """Note that such work has run from `began` to `ended`: now it rests."""
        self._rests_until = ended + min((ended - began) * self._rests, MOST_REST_SECONDS)

    def since(self) -> float:
        """The monotonic second from which such work may run if no request comes; never, while the cores are busy."""
        if self._in_flight() >= self._most:
            return _NEVER
        return max(self._busy_at + MOMENT_SECONDS, self._rests_until)
