"""Whether a request may come in: the bounds of the process, and all that one request holds, given back at its end.

Room is asked for by a request's head, before a byte of its body is read, so that a request without room is refused at
once. Room is taken by what is really there: bytes as they come; a place among the requests in flight, and places in
the model's queue, once the body is whole. So a client that announces much and sends it slowly takes nothing from
others.

Neither does a client that sends nearly all of its body and stops. Where there is no room for a byte that has come, the
bodies that have stalled make room; first those that have kept most bytes waiting for longest. A client that sends
evenly, however slowly, is never asked to make room, and a body that is whole is never given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from topfive.batching.room import Room
from topfive.ground.errors import QueueFull

_NEVER: Final = float("inf")

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
        self.coming: set[HeldBytes] = set()
        """Those whose body is still on its way, and can be given up."""

    def check(self, nbytes: int) -> None:
        """Raise `QueueFull` if a request that announces `nbytes` has no room now; change nothing."""
        self.check_requests()
        if self.nbytes + nbytes > self.max_bytes:
            self._find_room(nbytes)

    def check_requests(self) -> None:
        """Raise `QueueFull` if as many requests are in flight as may be."""
        if self.requests >= self.max_requests:
            raise QueueFull(f"too many requests: {self.requests} are in flight, the most served at once; retry later")

    def make_room(self, nbytes: int, body: HeldBytes) -> None:
        """Give up as many stalled bodies as `nbytes` more for `body` need; raises `QueueFull` if they are too few."""
        for stalled in self._find_room(nbytes, body):
            if self.nbytes + nbytes <= self.max_bytes:
                break
            stalled.give_up()

    def _find_room(self, nbytes: int, body: HeldBytes | None = None) -> list[HeldBytes]:
        """The stalled bodies, the one first that keeps most waiting for longest; raises `QueueFull` if too little."""
        now = self.now()
        stalled = [each for each in self.coming if now - each.steady_at > PATIENCE_SECONDS and each is not body]
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


class HeldBytes:
    """The bytes of one body, counted as they come, and given back at the end of the `with` block."""

    __slots__ = ("_admission", "_goal", "_let_go", "nbytes", "steady_at")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
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
        """Let the request go, and give back the bytes that it holds."""
        assert self._let_go is not None
        self.is_whole()
        self._admission.nbytes -= self.nbytes
        self.nbytes = 0
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.coming.discard(self)
        self._admission.nbytes -= self.nbytes


class Entry(HeldBytes):
    """One inference request on its way in: made at its head, begun when its body is whole, over at the block's end.

    Until then the model's version stays loaded, even if another has taken its place: `room` is that of its batcher. To
    make an entry raises what would be raised later anyway, for at least `images` images of `nbytes` in all, at best of
    `priority`: `NotReady`, `TooLarge`, `QueueFull` with the time to retry after, or `DeadlineExceeded`.
    """

    __slots__ = ("_images", "_in_flight", "_level", "_room")

    _level: int | None

    def __init__(
        self,
        admission: Admission,
        room: Room,
        *,
        nbytes: int = 0,
        images: int = 1,
        deadline: float = _NEVER,
        priority: int = 0,
    ) -> None:
        super().__init__(admission)
        self._room = room
        self._in_flight = False
        self._images = 0
        self._level = 0
        room.check(images, deadline=deadline, priority=priority)
        try:
            admission.check(nbytes)
        except QueueFull as full:
            raise self._advised(full) from None
        room.enter()

    def charge(self, nbytes: int) -> None:
        """As of any body; `QueueFull` has the time to retry after."""
        try:
            super().charge(nbytes)
        except QueueFull as full:
            raise self._advised(full) from None

    def begin(self, images: int, *, deadline: float = _NEVER, priority: int = 0, is_near: bool = True) -> None:
        """The body is whole and holds `images`: take a place in flight and their places, or raise as the constructor.

        `is_near`: whether they will be ready for a batch soon, so that others must expect to wait for them.
        """
        try:
            self._admission.check_requests()
        except QueueFull as full:
            raise self._advised(full) from None
        self._admission.requests += 1
        self._in_flight = True
        self._room.check(images, deadline=deadline, priority=priority)
        self._level = self._room.level(priority) if is_near else None
        self._images = images
        self._room.hold(images, self._level)

    def release_places(self) -> None:
        """Give the places back, for the images themselves; a second time does nothing."""
        if self._images:
            self._room.hold(-self._images, self._level)
            self._images = 0

    def _advised(self, full: QueueFull) -> QueueFull:
        """`full` with the time to retry after: when what waits now will have left."""
        if full.retry_after_seconds is None:
            full.retry_after_seconds = self._room.estimated_wait_seconds()
        return full

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release_places()
        self._room.leave()
        self._admission.requests -= self._in_flight
        super().__exit__(kind, error, trace)
