"""The copies that wait for the shadow: bounded in images and bytes, first come, first served; a pure class.

Invariants (property-tested in `tests/rollout/test_copies.py`): the bounds are never exceeded; every copy that came in
leaves once, by `take` or by `expire`; a copy that does not fit changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from topfive.rollout.comparison import Labelled

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One live request that the shadow is to answer as well.

    `first`: which of the request's images is the first of these. `live`: what each got. `seconds`: what the live answer
    took, measured as the target measures its own; None if that cannot be compared. `load`: what the target needs, of
    `nbytes`. `expires`: the monotonic second at which it has waited for too long.
    """

    request_id: str
    live: Sequence[Labelled]
    seconds: float | None
    load: Any
    nbytes: int
    expires: float
    first: int = 0


class Copies:
    """At most `max_images` images and `max_bytes` bytes that wait."""

    def __init__(self, *, max_images: int, max_bytes: int) -> None:
        self.max_images = max_images
        self.max_bytes = max_bytes
        self.images = 0
        self.nbytes = 0
        self._waiting: deque[Copy] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, copy: Copy) -> bool:
        """Add `copy`; False if it does not fit."""
        if self.images + len(copy.live) > self.max_images or self.nbytes + copy.nbytes > self.max_bytes:
            return False
        self._waiting.append(copy)
        self._count(copy, 1)
        return True

    def take(self) -> Copy:
        """Remove and return the first copy; there must be one."""
        copy = self._waiting.popleft()
        self._count(copy, -1)
        return copy

    def expire(self, now: float) -> list[Copy]:
        """Remove and return the copies that have waited for too long; later copies expire later."""
        late = []
        while self._waiting and self._waiting[0].expires <= now:
            late.append(self.take())
        return late

    @property
    def next_expiry(self) -> float:
        """The monotonic second at which the first copy expires; never, if none waits."""
        return self._waiting[0].expires if self._waiting else _NEVER

    def _count(self, copy: Copy, sign: int) -> None:
        self.images += sign * len(copy.live)
        self.nbytes += sign * copy.nbytes
