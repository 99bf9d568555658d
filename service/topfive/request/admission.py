"""Admission, the bounds of the process on requests and bytes; and the entry, all that one request holds until its end.

The bounds are checked when a request's head has come, before a byte of its body is read, so that a request that does
not fit is refused at once. A request counts only for what is there: bytes as they come; a place among the requests in
flight, and places in the model's queue, once the body is whole. So a client that announces much and sends it slowly
takes nothing from other clients.

Neither does a client that sends nearly all of its body and stops. When bytes come that do not fit, stalled bodies are
given up: first the body that has held most bytes for longest. A client that sends evenly, however slowly, is never cut
off, and a body that is whole is never given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from topfive.access.tenants import Tenant
from topfive.batching.room import Room
from topfive.batching.sharing import Holdings, Sharer
from topfive.ground.errors import QueueFull
from topfive.ground.statuses import is_clients

_NEVER: Final = float("inf")

PATIENCE_SECONDS: Final = 2.0
"""A body that has brought next to nothing for so long is stalled; network faults are usually shorter."""


class Admission:
    """Bounds on the requests in flight (their body is here, their answer is not) and on all body bytes in memory.

    `slowest_seconds`: the longest time in which a body may come. `now`: the clock, in monotonic seconds.
    """

    def __init__(self, *, max_requests: int, max_bytes: int, slowest_seconds: float, now: Callable[[], float]) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.nbytes = 0
        self.requests_of = Holdings()
        self.bytes_of = Holdings()
        """What tenants hold, while there are several."""
        self.now = now
        self.steady_share = 1 / slowest_seconds
        """The slowest body that comes evenly grows by at least this share of its held bytes in a second."""
        self.coming: set[HeldBytes] = set()
        """Requests whose body is still coming; each can be given up."""

    def check(self, nbytes: int, tenant: Sharer | None = None) -> None:
        """Raise `QueueFull` if a request that announces `nbytes` does not fit now; change nothing."""
        self.check_requests(tenant)
        self.check_bytes(nbytes, tenant)

    def check_bytes(self, nbytes: int, tenant: Sharer | None = None) -> None:
        """Raise `QueueFull` if `nbytes` more do not fit now, or if `tenant` has its share of them."""
        if self.nbytes + nbytes > self.max_bytes:
            self._find_room(nbytes)
        if tenant is not None and not self.bytes_of.allows(tenant, nbytes, free=self.max_bytes - self.nbytes):
            raise QueueFull(
                f"too many bytes: {self.nbytes} of at most {self.max_bytes} are held, and your key has its share of "
                "them; retry later"
            )

    def check_requests(self, tenant: Sharer | None = None) -> None:
        """Raise `QueueFull` if `max_requests` are in flight, or so many that `tenant` has its share of them."""
        if self.requests >= self.max_requests:
            raise QueueFull(f"too many requests: {self.requests} are in flight, the most served at once; retry later")
        if tenant is not None and not self.requests_of.allows(tenant, 1, free=self.max_requests - self.requests):
            raise QueueFull(
                f"too many requests: {self.requests} of at most {self.max_requests} are in flight, and your key has "
                "its share of them; retry later"
            )

    def make_room(self, nbytes: int, body: HeldBytes) -> None:
        """Give up stalled bodies until `nbytes` more fit for `body`; raises `QueueFull` if there are too few."""
        for stalled in self._find_room(nbytes, body):
            if self.nbytes + nbytes <= self.max_bytes:
                break
            stalled.give_up()

    def _find_room(self, nbytes: int, body: HeldBytes | None = None) -> list[HeldBytes]:
        """The stalled bodies but `body`, by bytes times stalled seconds, highest first.

        Raises `QueueFull` if `nbytes` more do not fit even without them.
        """
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
        """Count `nbytes` that preparing an image takes, until `give_back`."""
        self.nbytes += nbytes

    def give_back(self, nbytes: int) -> None:
        """Stop counting `nbytes`."""
        self.nbytes -= nbytes


class HeldBytes:
    """The bytes of one body: counted as they come, given back at the end of the `with` block."""

    __slots__ = ("_admission", "_goal", "_let_go", "_shares", "nbytes", "steady_at")

    def __init__(self, admission: Admission, shares: Sharer | None = None) -> None:
        self._admission = admission
        self._shares = shares
        self._let_go: Callable[[], None] | None = None
        self._goal = math.inf
        self.nbytes = 0
        self.steady_at = 0.0
        """When the body last had grown by the steady share; it is stalled `PATIENCE_SECONDS` after that."""

    def expect(self, let_go: Callable[[], None]) -> None:
        """Begin to wait for the body; `let_go` is called if it is given up, and must end the request."""
        self._let_go = let_go
        self._goal = 0
        self.steady_at = self._admission.now()
        self._admission.coming.add(self)

    def charge(self, nbytes: int) -> None:
        """Count `nbytes` more that are held for this request; raises `QueueFull` if they do not fit."""
        admission = self._admission
        if admission.nbytes + nbytes > admission.max_bytes:
            admission.make_room(nbytes, self)
        admission.nbytes += nbytes
        self.nbytes += nbytes
        if self._shares is not None:
            admission.bytes_of.add(self._shares, nbytes)
        if self.nbytes >= self._goal:
            self.steady_at = admission.now()
            self._goal = self.nbytes * (1 + admission.steady_share)

    def is_whole(self) -> None:
        """Say that the whole body has come: it is not given up any more."""
        self._goal = math.inf
        self._admission.coming.discard(self)

    def give_up(self) -> None:
        """End the request by its `let_go`, and give back the bytes that it holds."""
        assert self._let_go is not None
        self.is_whole()
        self._free()
        self._let_go()

    def _free(self) -> None:
        self._admission.nbytes -= self.nbytes
        if self._shares is not None:
            self._admission.bytes_of.add(self._shares, -self.nbytes)
        self.nbytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.coming.discard(self)
        self._free()


class Entry(HeldBytes):
    """All that one inference request holds: made at its head, begun when its body is whole, over with the `with` block.

    `room` bounds the queue of the model's version, which stays loaded until the entry ends, even if another version has
    replaced it. The constructor refuses a request that would be refused later anyway, of at least `images` images, a
    body of `nbytes`, and at best `priority`. It raises `NotReady`, `TooLarge`, `DeadlineExceeded`, or `QueueFull` with
    the time to retry after; and `RateLimited` or `QuotaExceeded` if `tenant`, whose key came with it, may not send so
    many images now. If `may_hit`, the answer cache may have its answers, which take no place: then only bytes and the
    tenant's limits are judged before `begin`.
    """

    __slots__ = ("_images", "_in_flight", "_level", "_room", "_since", "_spent", "_tenant")

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
        may_hit: bool = False,
        tenant: Tenant | None = None,
    ) -> None:
        super().__init__(admission, None if tenant is None else tenant.shares)
        self._room = room
        self._tenant = tenant
        self._in_flight = False
        self._images = 0
        self._level = 0
        self._spent = self._since = 0
        if tenant is not None:
            tenant.check(images)
        if not may_hit:
            room.check(images, deadline=deadline, priority=priority, tenant=tenant)
        try:
            (admission.check_bytes if may_hit else admission.check)(nbytes, self._shares)
        except QueueFull as full:
            raise self._advised(full) from None
        room.enter()

    def charge(self, nbytes: int) -> None:
        """Count `nbytes` more, as `HeldBytes` does; raises `QueueFull` with the time to retry after."""
        try:
            super().charge(nbytes)
        except QueueFull as full:
            raise self._advised(full) from None

    def spend(self, images: int) -> None:
        """Spend so many images of what the tenant may send; raises `RateLimited`, `QuotaExceeded` or `TooLarge`.

        They are given back if the request ends in an error that is not its client's doing.
        """
        if self._tenant is not None:
            self._since = self._tenant.spend(images)
            self._spent = images

    def begin(self, images: int, *, deadline: float = _NEVER, priority: int = 0, is_near: bool = True) -> None:
        """Take a place in flight and places in the queue for `images`; the body is whole. Raises as the constructor.

        `is_near`: whether the images will be ready for a batch soon, so that they count in the wait of other requests.
        """
        try:
            self._admission.check_requests(self._shares)
        except QueueFull as full:
            raise self._advised(full) from None
        self._admission.requests += 1
        if self._shares is not None:
            self._admission.requests_of.add(self._shares, 1)
        self._in_flight = True
        level = self._room.check(images, deadline=deadline, priority=priority, tenant=self._tenant)
        self._level = level if is_near else None
        self._images = images
        self._room.hold(images, self._level, self._shares)

    def release_places(self) -> None:
        """Give the queue's places back, just before the images enter the queue; a second call does nothing."""
        if self._images:
            self._room.hold(-self._images, self._level, self._shares)
            self._images = 0

    def _advised(self, full: QueueFull) -> QueueFull:
        """Return `full` with the time to retry after: the estimated wait of an image that comes now."""
        if full.retry_after_seconds is None:
            full.retry_after_seconds = self._room.estimated_wait_seconds()
        return full

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release_places()
        self._room.leave()
        self._admission.requests -= self._in_flight
        if self._in_flight and self._shares is not None:
            self._admission.requests_of.add(self._shares, -1)
        if self._spent and error is not None and self._tenant is not None and not is_clients(error):
            self._tenant.give_back(self._spent, self._since)
        super().__exit__(kind, error, trace)
