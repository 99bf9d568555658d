"""Permits: the bounds on what all requests of the process hold at once.

Room is asked for by a request's head, before a byte of its body is read, so that what has no room is refused at once.
It is taken by what is really there: bytes as they come, a place among the requests in flight once the body is whole.
A client that announces much and sends it slowly, or never, therefore takes nothing from others.

Nor does one that sends nearly all of it and stops: where there is no room for a byte that has come, the bodies that
have all but stopped make some, those first that have kept most waiting for longest. Who sends evenly never does, slow
as it may be, and what is whole is never given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from topfive.ground.errors import QueueFull

PATIENCE_SECONDS: Final = 2.0
"""For how long a body may bring next to nothing where others have no room: longer than lines falter."""


class Admission:
    """Bounds on the requests in flight (their body is here, their answer is not) and on all body bytes in memory.

    `slowest_seconds` is what a body may take in all, by the clock `now`.
    """

    def __init__(self, *, max_requests: int, max_bytes: int, slowest_seconds: float, now: Callable[[], float]) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.nbytes = 0
        self.now = now
        self.steady_share = 1 / slowest_seconds
        """Of what is held of a body, the part that even the slowest, if it comes evenly, brings in a second."""
        self.coming: set[Permit] = set()
        """Those whose body is still on its way, and can be given up."""

    def permit(self, nbytes: int) -> Permit:
        """A permit for one request that announces `nbytes`; raises `QueueFull` if there is no room for it now."""
        self.check_requests()
        if self.nbytes + nbytes > self.max_bytes:
            self._find_room(nbytes)
        return Permit(self)

    def check_requests(self) -> None:
        """Raise `QueueFull` if as many requests are in flight as may be."""
        if self.requests >= self.max_requests:
            raise QueueFull(f"too many requests: {self.requests} are in flight, the most served at once; retry later")

    def make_room(self, nbytes: int, permit: Permit) -> None:
        """Give up as many stalled bodies as `nbytes` more for `permit` need; raises `QueueFull` if they are too few."""
        for stalled in self._find_room(nbytes, permit):
            if self.nbytes + nbytes <= self.max_bytes:
                break
            stalled.give_up()

    def _find_room(self, nbytes: int, permit: Permit | None = None) -> list[Permit]:
        """The stalled bodies, the one first that keeps most waiting for longest; raises `QueueFull` if too little."""
        now = self.now()
        stalled = [each for each in self.coming if now - each.steady_at > PATIENCE_SECONDS and each is not permit]
        if self.nbytes + nbytes - sum(each.nbytes for each in stalled) > self.max_bytes:
            raise QueueFull(
                f"too many bytes: {self.nbytes} of at most {self.max_bytes} are held and this body has {nbytes} more; "
                "retry later"
            )
        return sorted(stalled, key=lambda each: each.nbytes * (now - each.steady_at), reverse=True)

    def has_room(self, nbytes: int) -> bool:
        """Whether `nbytes` more are within the bound."""
        return self.nbytes + nbytes <= self.max_bytes

    def take(self, nbytes: int) -> None:
        """Count `nbytes` that preparing an image takes, until they are given back."""
        self.nbytes += nbytes

    def give_back(self, nbytes: int) -> None:
        """Count them no more."""
        self.nbytes -= nbytes


class Permit:
    """What one request holds, given back at the end of the `with` block."""

    __slots__ = ("_admission", "_goal", "_in_flight", "_let_go", "nbytes", "steady_at")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._in_flight = False
        self._let_go: Callable[[], None] | None = None
        self._goal = math.inf
        self.nbytes = 0
        self.steady_at = 0.0
        """When the body had last brought its share of a second."""

    def expect(self, let_go: Callable[[], None]) -> None:
        """The body is waited for from now on; `let_go` is called if it is given up, and must end the request."""
        self._let_go = let_go
        self._goal = 0
        self.steady_at = self._admission.now()
        self._admission.coming.add(self)

    def charge(self, nbytes: int) -> None:
        """Count `nbytes` more that are held for this request; raises `QueueFull` if they are too many."""
        admission = self._admission
        if admission.nbytes + nbytes > admission.max_bytes:
            admission.make_room(nbytes, self)
        admission.nbytes += nbytes
        self.nbytes += nbytes
        if self.nbytes >= self._goal:
            self.steady_at = admission.now()
            self._goal = self.nbytes * (1 + admission.steady_share)

    def is_whole(self) -> None:
        """The body is here: it is not given up any more."""
        self._goal = math.inf
        self._admission.coming.discard(self)

    def give_up(self) -> None:
        """Let the request go, and give back what it holds."""
        assert self._let_go is not None
        self.is_whole()
        self._admission.nbytes -= self.nbytes
        self.nbytes = 0
        self._let_go()

    def begin(self) -> None:
        """Take a place among the requests in flight; raises `QueueFull` if there is none left."""
        self._admission.check_requests()
        self._admission.requests += 1
        self._in_flight = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.coming.discard(self)
        self._admission.requests -= self._in_flight
        self._admission.nbytes -= self.nbytes
