"""Permits: the bounds on what all requests of the process hold at once.

Room is asked for by a request's head, before a byte of its body is read, so that what has no room is refused at once.
It is taken by what is really there: bytes as they come, a place among the requests in flight once the body is whole.
A client that announces much and sends it slowly, or never, therefore takes nothing from others.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from service.errors import QueueFull


class Admission:
    """Bounds on the requests in flight (their body is here, their answer is not) and on all body bytes in memory."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.nbytes = 0

    def permit(self, nbytes: int) -> Permit:
        """A permit for one request that announces `nbytes`; raises `QueueFull` if there is no room for it now."""
        self.check_requests()
        self.check_bytes(nbytes)
        return Permit(self)

    def check_requests(self) -> None:
        """Raise `QueueFull` if as many requests are in flight as may be."""
        if self.requests >= self.max_requests:
            raise QueueFull(f"too many requests: {self.requests} are in flight, the most served at once; retry later")

    def check_bytes(self, nbytes: int) -> None:
        """Raise `QueueFull` if `nbytes` more would be too many."""
        if self.nbytes + nbytes > self.max_bytes:
            raise QueueFull(
                f"too many bytes: {self.nbytes} of at most {self.max_bytes} are held and this body has {nbytes} more; "
                "retry later"
            )

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

    __slots__ = ("_admission", "_in_flight", "nbytes")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._in_flight = False
        self.nbytes = 0

    def charge(self, nbytes: int) -> None:
        """Count `nbytes` more that are held for this request; raises `QueueFull` if they are too many."""
        self._admission.check_bytes(nbytes)
        self._admission.nbytes += nbytes
        self.nbytes += nbytes

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
        self._admission.requests -= self._in_flight
        self._admission.nbytes -= self.nbytes
